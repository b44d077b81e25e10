"""Two streams as one, on real datasets of RGB and of flow."""

import jax
import numpy as np
import pytest

from support import helpers, two_streams
from tsm_jax import errors, evaluate, models
from tsm_jax.data.input import records
from tsm_jax.data.store import dataset
from tsm_jax.ensemble import matching, running, scoring
from tsm_jax.runs import checkpoints


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
  return two_streams.write_sources(tmp_path_factory.mktemp('two'))


@pytest.fixture(scope='module')
def members(sources, tmp_path_factory):
  return two_streams.write_members(tmp_path_factory.mktemp('runs'), sources)


def softmax(x):
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def by_hand(member, views, config):
  """`{video without ending: (label, logits [V, K])}`, view by view."""
  trained = checkpoints.restore_model(member.path)
  model = models.create_model(trained.config)
  how = trained.preprocessing
  data = dataset.prepare(config.data, how.modality, lambda line: None)
  apply = jax.jit(
    lambda view: model.apply(trained.variables, how.normalize(view)[None])
  )
  found = {}
  for record in data.split('val'):
    logits = [apply(view)[0] for view in records.eval_views(record, how, views)]
    name = record['video_id'].decode().removesuffix('.mp4')
    found[name] = int(record['label']), np.array(logits, np.float64)
  return found


def data_of(member):
  return checkpoints.restore_model(member.path).meta['config']['data']


def run(members, mean, views, **kwargs):
  lines = []
  result, report = running.ensemble(
    members, mean, running.Reading('val', views, **kwargs), lines.append
  )
  return result, report, lines


VIEWS = records.Views(clips=2, crops=3)


@pytest.fixture(scope='module')
def logits_by_hand(members):
  """`by_hand` of either member, seen in `VIEWS`."""
  found = []
  for member in members:
    config = helpers.tiny_config('', '')
    config.unlock()
    config.data = data_of(member)
    found.append(by_hand(member, VIEWS, config))
  return found


@pytest.mark.parametrize('mean', scoring.MEANS)
def test_two_streams_equal_numpy(members, mean, logits_by_hand):
  rgb, flow = members
  weighted = [rgb, flow._replace(weight=1.5)]
  result, report, lines = run(weighted, mean, VIEWS)
  found = logits_by_hand
  assert list(found[0]) != list(found[1])  # another order of the same clips
  assert found[0].keys() == found[1].keys() and len(found[0]) == 8
  confusion, loss = np.zeros((2, 2), int), []
  assert [clip.removesuffix('.mp4') for clip in result.clips] == list(found[0])
  for row, (name, (label, first)) in enumerate(found[0].items()):
    second = found[1][name][1]
    assert first.shape == (6, 2) and found[1][name][0] == label
    a, b = first.mean(0), second.mean(0)
    if mean == 'softmax':
      score = np.log((softmax(a) + 1.5 * softmax(b)) / 2.5)
    else:
      score = (a + 1.5 * b) / 2.5
    np.testing.assert_allclose(result.logits[row], score, rtol=1e-4, atol=1e-5)
    confusion[label, score.argmax()] += 1
    loss.append(-np.log(softmax(score)[label]))
  np.testing.assert_array_equal(result.confusion, confusion)
  assert result.num_clips == 8
  assert result.loss == pytest.approx(np.mean(loss), rel=1e-4)
  assert report['top1'] == result.top1 == np.trace(confusion) / 8
  assert [m['weight'] for m in report['members']] == [0.4, 0.6]
  assert [m['modality'] for m in report['members']] == ['rgb', 'flow']
  assert [m['num_frames'] for m in report['members']] == [4, 2]
  assert (report['mean'], report['views']) == (mean, 6)
  place = 'the softmax of its' if mean == 'softmax' else 'its mean'
  assert f'of each model {place}' in lines[-1]
  # Which is first, and how clips are put into batches, does not matter.
  other, _, _ = run(weighted[::-1], mean, VIEWS, batch_size=16)
  np.testing.assert_array_equal(other.confusion, confusion)
  assert other.loss == pytest.approx(result.loss, rel=1e-5)


def test_one_model_alone_is_its_evaluation(members):
  (member, _) = members
  config = helpers.tiny_config('', '', eval__clips=2)
  config.data.update(source=data_of(member)['source'])
  config.data.data_dir = data_of(member)['data_dir']
  expected = evaluate.evaluate_checkpoint(
    config, member.path, lambda line: None
  )
  for mean in scoring.MEANS:
    result, report, _ = run([member], mean, records.Views(clips=2))
    np.testing.assert_array_equal(result.confusion, expected.confusion)
    assert (result.top1, result.top5) == (expected.top1, expected.top5)
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    assert report['members'][0]['top1'] == expected.top1


def test_the_places_of_the_mean_by_hand():
  one, other = np.array([[4.0, 0.0]]), np.array([[0.0, 1.0]])
  logits = scoring.combine([one, other], [0.25, 0.75], 'logits')
  np.testing.assert_allclose(logits, [[1.0, 0.75]])
  mixed = scoring.combine([one, other], [0.25, 0.75], 'softmax')
  p = 0.25 / (1 + np.exp(-4)) + 0.75 / (1 + np.exp(1))
  np.testing.assert_allclose(np.exp(mixed), [[p, 1 - p]])
  # They even decide differently.
  assert logits.argmax() == 0 and mixed.argmax() == 1
  # Of views it is the logits whose mean is taken.
  views = np.array([[9.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
  assert views.mean(0).argmax() == 0 and softmax(views).mean(0).argmax() == 1
  far = scoring.combine([np.array([[0.0, 9999.0]])], [1.0], 'softmax')
  assert np.isfinite(far).all()


def test_another_dataset_than_that_of_the_training_is_told(members, tmp_path):
  """Clips that are held out there may be those of the training."""
  trained = checkpoints.restore_model(members[0].path)
  variables = jax.device_get(trained.variables)
  names = []
  for number, dataset_name in enumerate(('rgb-0123456789', None)):
    workdir = tmp_path / str(number)
    meta = {**trained.meta, 'dataset': dataset_name or names[0]}
    checkpoints.save_model(workdir, variables, meta)
    _, _, lines = run(
      [matching.Member(str(workdir))], 'softmax', records.Views()
    )
    told = [line for line in lines if 'the model was trained on' in line]
    if dataset_name:
      (line,) = told
      assert line.endswith('the model was trained on rgb-0123456789.')
      names.append(line.removeprefix('The dataset is ').partition(';')[0])
    else:
      assert not told


def test_what_does_not_fit_is_named(sources, members, tmp_path):
  def fails(message, *members, mean='softmax'):
    with pytest.raises(errors.InputError, match=message) as caught:
      run(members, mean, records.Views())
    assert '\n' not in str(caught.value)

  rgb, flow = members
  fails("--mean is 'mean'; choose from", rgb, mean='mean')
  fails('weight of .* is 0.0; it must be pos', rgb, flow._replace(weight=0.0))
  fails('is not a built dataset', rgb._replace(source=str(tmp_path)))
  fails("'rgb', but the dataset .* holds flow", rgb, _with_source(rgb, flow))
  names = two_streams.write_run(
    tmp_path / 'names', sources / 'rgb', tmp_path, 'rgb', labels=['jump', 'hop']
  )
  fails("Class 1 is 'hop' in the checkpoint and 'run'", names)
  partly = tmp_path / 'partly'
  for split in ('train', 'val'):
    for label in two_streams.LABELS:
      for clip in ('1', '9'):
        helpers.write_video(partly / split / label / f'{clip}.mp4', 8)
  some = two_streams.write_run(tmp_path / 'some', partly, tmp_path, 'rgb')
  fails(
    r"6 \('val/jump/1-x', .*, \.\.\.\) only in the first, "
    r"2 \('val/jump/9', 'val/run/9'\) only in the other",
    rgb,
    some,
  )


def _with_source(one, other):
  """A member whose dataset is that of another."""
  data = data_of(other)
  path, _ = helpers.build(data['source'], data['data_dir'], modality='flow')
  return one._replace(source=str(path))


def test_a_model_that_is_not_finite_has_no_accuracy():
  opened = matching.Opened(matching.Member('runs/x'), None, None, None)
  logits = np.zeros((4, 2), np.float32)
  running._check_finite(opened, logits)
  logits[1, 0] = np.nan
  with pytest.raises(errors.InputError, match=r'runs/x .* for 1 of 4 clips'):
    running._check_finite(opened, logits)
