"""What an export is proven by: real clips, and what JAX says of them."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from support import exported, helpers, leaving
from tsm_jax import errors, evaluate, sharding, stream
from tsm_jax.data.store import dataset
from tsm_jax.export import calibration, card, graph, proof, runtimes, samples
from tsm_jax.models import folding
from tsm_jax.runs import identity

LABELS = ['jump', 'run']


@pytest.fixture(scope='module')
def built(folder, data_dir):
  config = helpers.tiny_config(folder, data_dir)
  return dataset.prepare(config.data, log=lambda line: None)


@pytest.fixture(scope='module')
def trained(folder, data_dir, built):
  """Not really; but its checkpoint says that it saw these clips."""
  found = leaving.trained(
    num_classes=2,
    stage_sizes=(1,),
    direction='past',
    consensus='frames',
    consensus_from=2,
  )
  config = helpers.tiny_config(folder, data_dir)
  config.model = found.config
  meta = identity.describe(config, LABELS, built.name)
  return dataclasses.replace(found, labels=LABELS, meta=meta)


@pytest.fixture(scope='module')
def clips(trained):
  return samples.find('RUN', trained, log=lambda line: None)


@pytest.fixture(scope='module')
def of_clips(trained, clips):
  lines = []
  found = samples.collect(trained, clips, 'clip', 50, lines.append)
  (line,) = lines
  assert line.startswith("The split 'val' has 4 clips instead of 50; all of")
  return found


@pytest.fixture(scope='module')
def of_steps(trained, clips):
  with pytest.MonkeyPatch.context() as patch:
    patch.delattr(folding, 'fold')  # whose mistakes are to be seen
    return samples.collect(trained, clips, 'step', 4)


def test_jax_says_what_evaluation_says(trained, clips, of_clips):
  assert of_clips.frames.shape == (4, 4, 36, 36, 3)  # of 4 clips there are
  config = helpers.tiny_config('', '')
  evaluator = evaluate.Evaluator(
    trained.module(),
    trained.preprocessing,
    sharding.create_mesh(jax.devices()[:1]),
  )
  result = evaluator.evaluate(
    trained.variables, clips.dataset.split('val'), config
  )
  top1 = of_clips.probabilities.argmax(-1) == of_clips.labels
  assert result.top1 == top1.mean()
  right = of_clips.probabilities[range(4), of_clips.labels]
  assert result.loss == pytest.approx(-np.log(right).mean(), rel=1e-5)


def test_the_frames_of_a_stream_decide_as_the_clip(of_clips, of_steps):
  assert of_steps.probabilities.shape == (4, 4, 2)
  np.testing.assert_array_equal(of_steps.frames, of_clips.frames)
  assert of_steps.first == 1  # consensus_from is 2
  np.testing.assert_array_equal(
    proof._decide(of_steps.probabilities, of_steps.first),
    of_clips.probabilities.argmax(-1),
  )


@pytest.mark.parametrize(('what', 'batch'), [('clip', 3), ('step', None)])
def test_an_export_is_proven(
  trained, of_clips, of_steps, clips, tmp_path, what, batch
):
  found = {'clip': of_clips, 'step': of_steps}[what]
  out = exported.write(tmp_path / 'out', trained, what, batch)
  result = proof.prove(out, found, proof.USUAL['float32'], clips.about(50))
  assert result.difference < 1e-5
  assert (result.equal, result.equal_frames) == (1, 1)
  assert result.num_frames == (4 if what == 'clip' else 16)
  assert result.top1 == result.jax_top1
  report = json.loads((out / proof.FILE).read_text())
  assert report['num_clips'] == 4 and report['clips_asked_for'] == 50
  assert report['clips_in_split'] == 4 and report['split'] == 'val'
  assert report['bounds'] == {'difference': 1e-4, 'equal': None}
  assert report['runtime_version'] == jax.__version__
  # And again, from what the folder holds.
  card.write(out, runtimes.open(out).card)
  lines = []
  assert proof.verify(out, log=lines.append)
  (line,) = lines
  assert line.startswith(f'jax {jax.__version__}, 4 clips')
  assert not proof.verify(out, difference=0.0, equal=0.0, log=lines.append)
  assert '(--max_difference)' in lines[-1]


def test_what_differs_is_refused(trained, of_steps, tmp_path):
  other = jax.tree.map(lambda x: 1.1 * x, trained.variables)
  other = dataclasses.replace(trained, variables=other)
  out = exported.write(tmp_path / 'out', other, 'step', 1)
  with pytest.raises(
    errors.InputError, match=r'may differ by 0\.0001 \(--max_difference\)\.$'
  ):
    proof.prove(out, of_steps, proof.USUAL['float32'])
  assert not (out / proof.FILE).exists() and not (out / proof.DATA).exists()
  proof.prove(out, of_steps, proof.bounds('float32', difference=1.0))
  opposite = of_steps._replace(probabilities=1 - of_steps.probabilities)
  with pytest.raises(errors.InputError, match=r'98\.00% must have the same'):
    proof.prove(out, opposite, proof.USUAL['int8'])


def test_a_cache_that_is_not_reset_is_noticed(
  trained, of_steps, tmp_path, monkeypatch
):
  out = exported.write(tmp_path / 'out', trained, 'step', 2)
  runtime = runtimes.open(out)
  assert proof.compare(runtime, of_steps).difference < 1e-5
  run = runtime.run

  def without(inputs):
    return run({**inputs, 'reset': np.zeros_like(inputs['reset'])})

  monkeypatch.setattr(runtime, 'run', without)
  assert proof.compare(runtime, of_steps).difference > 1e-3


def test_numbers_that_are_none_are_refused(of_clips):
  comparison = proof.Comparison(4, 4, np.nan, 1.0, 1.0, 1.0, 1.0)
  for limits in proof.USUAL.values():
    with pytest.raises(errors.InputError, match='are no numbers'):
      comparison.check(limits)


def test_calibration_sees_the_training_split_only(trained, clips):
  train = clips.dataset.split('train')
  model, step = trained.module(), jax.jit(stream.step, static_argnums=0)
  made = graph.create(trained, 'step', None)
  found = list(calibration.inputs(trained, made, clips, 3))
  assert len(found) == 3 * 4
  shapes = [[(x.shape, x.dtype.name) for x in inputs] for inputs in found]
  expected = [((1, *t.shape[1:]), t.dtype) for t in made.inputs]
  assert all(one == expected for one in shapes)
  for i, number in enumerate((0, 9, 19)):
    frames = samples.squares(train[number], trained.preprocessing)
    some = found[4 * i : 4 * i + 4]
    np.testing.assert_array_equal([x[0][0] for x in some], frames)
    assert [bool(x[1][0]) for x in some] == [True, False, False, False]
    # The caches are those of the frames before, as in use.
    cache = stream.init_cache(model, 1, 32)
    for t, (_, _, *caches) in enumerate(some):
      if t:
        for leaf, own in zip(jax.tree.leaves(cache), caches, strict=True):
          np.testing.assert_allclose(own, leaf, atol=1e-4)
      view = trained.preprocessing.normalize(frames[t, 2:-2, 2:-2])
      _, cache = step(model, trained.variables, cache, view[None])


def test_calibration_by_clips_fills_a_batch(trained, clips):
  made = graph.create(trained, 'clip', 2)
  first, second = calibration.inputs(trained, made, clips, 3)
  assert [x.shape for x in first] == [x.shape for x in second]
  (last,) = second
  np.testing.assert_array_equal(last[0], last[1])  # the third one, again


def without_splits(built, name):
  report = {**built.report, 'num_frames': {**built.num_frames, name: []}}
  return dataclasses.replace(built, report=report)


def test_an_empty_split_is_refused(trained, clips, built):
  lacking = clips._replace(dataset=without_splits(built, 'train'))
  made = graph.create(trained, 'clip', 1)
  with pytest.raises(errors.InputError, match="no clip in the split 'train'"):
    next(calibration.inputs(trained, made, lacking, 3))
  lacking = clips._replace(dataset=without_splits(built, 'val'))
  with pytest.raises(errors.InputError, match="no clip in the split 'val'"):
    samples.collect(trained, lacking, 'clip', 50)


def changed(trained, **data):
  config = {**trained.meta['config']}
  config['data'] = {**config['data'], **data}
  return dataclasses.replace(trained, meta={**trained.meta, 'config': config})


def test_a_dataset_that_is_built_needs_no_videos(trained, built):
  lost = changed(trained, source='/nowhere')
  assert samples.find('RUN', lost, log=print).dataset.path == built.path


def test_a_lost_dataset_is_named_by_flags(trained, folder, data_dir, tmp_path):
  away = changed(trained, source='/nowhere', data_dir=str(tmp_path))
  with pytest.raises(errors.InputError) as caught:
    samples.find('RUN', away)
  said = str(caught.value)
  assert '/nowhere' in said and '--config.data.source=/path/to/videos' in said
  place = f'--config.data.source={folder}'
  there = f'--config.data.data_dir={data_dir}'
  found = samples.find('RUN', away, [place, there, '--config.eval.split=train'])
  assert found.split == 'train'
  assert len(found.dataset.num_frames['train']) == 20
  none = changed(trained, source='', data_dir=str(tmp_path))
  with pytest.raises(errors.InputError, match=r'^RUN names no .*--config'):
    samples.find('RUN', none)
  for flag, message in (
    ('--config.model.depth=18', 'config.model.depth is no place of clips'),
    ('--config.data.sorce=x', "did you mean 'data.source'"),
  ):
    with pytest.raises(errors.InputError, match=message):
      samples.find('RUN', none, [flag])


def test_other_classes_are_refused(trained, folder, data_dir):
  other = dataclasses.replace(trained, labels=['jump', 'walk'])
  with pytest.raises(errors.InputError, match="'walk' in the checkpoint"):
    samples.find('RUN', other)


def test_a_proof_that_is_damaged_is_named(of_clips, tmp_path):
  path = tmp_path / 'proof.npz'
  proof.write(path, of_clips)
  found = proof.read(path, 2)
  for own, other in zip(of_clips, found, strict=True):
    np.testing.assert_array_equal(own, other)
  with pytest.raises(errors.InputError, match='holds no clips of 3 classes'):
    proof.read(path, 3)
  path.write_bytes(path.read_bytes()[:500])
  with pytest.raises(errors.InputError, match=r'proof\.npz cannot be read'):
    proof.read(path, 2)
