"""Whole trainings on one device: stopped and continued, refused, reported."""

import csv
import json
import signal
import types

import chex
import numpy as np
import pytest

from support import helpers, trainings
from tsm_jax import errors, evaluate, sharding, train
from tsm_jax.data import intervals
from tsm_jax.data.input import pipeline, records
from tsm_jax.data.store import dataset
from tsm_jax.insight import describe
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints, stopping
from tsm_jax.stream import agreement

STEPS = 20


def tiny(folder, data_dir, **changes):
  """A run of `STEPS` steps; the same compiled step wherever nothing differs."""
  return helpers.tiny_config(folder, data_dir, **{'epochs': 8.0, **changes})


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  trainings.on_devices(monkeypatch, 1)


def test_a_resumed_run_equals_the_uninterrupted_one(
  folder, data_dir, tmp_path, monkeypatch
):
  def config():
    return tiny(
      folder,
      data_dir,
      epochs=4.0,
      model__dropout=0.5,
      data__flip='on',
      data__randaugment_ops=2,
      erase_probability=0.5,  # mixing is resumed in before_house_test
      ema_decay=0.8,
      log_every_steps=4,
      eval__every_epochs=0.8,  # two steps
    )

  def evaluations(workdir):
    found = [r for r in metrics.read(workdir) if 'eval/top1' in r]
    return [(r['step'], r['eval/top1'], r['eval/loss']) for r in found]

  # Not Python's own where the tests run in the background.
  handler = signal.getsignal(signal.SIGINT)
  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  state, result, _ = trainings.run(config(), whole)
  assert state.step == 10  # 4 epochs of 20 clips in batches of 8
  assert [step for step, *_ in evaluations(whole)] == [2, 4, 6, 8, 10]
  for signum, code in ((signal.SIGTERM, 75), (signal.SIGINT, 130)):
    with monkeypatch.context() as patch:
      trainings.terminate_at(patch, 3, signum)  # between two lines of the log
      with pytest.raises(SystemExit) as stopped:
        trainings.run(config(), parts)
    assert stopped.value.code == code
  assert signal.getsignal(signal.SIGINT) is handler
  # The evaluation of step 6 is made up for.
  assert [step for step, *_ in evaluations(parts)] == [2, 4]
  # One that is broken off is, too: its step is saved, and no other follows.
  with monkeypatch.context() as patch:
    trainings.terminate_evaluation(patch, 2)  # after that of step 6
    with pytest.raises(SystemExit) as stopped:
      trainings.run(config(), parts)
  assert stopped.value.code == 75
  assert [step for step, *_ in evaluations(parts)] == [2, 4, 6]
  resumed, again, log = trainings.run(config(), parts)
  assert 'at step 8 of 10' in log
  chex.assert_trees_all_equal(resumed, state)
  assert trainings.losses(parts) == trainings.losses(whole)
  assert evaluations(parts) == evaluations(whole)
  assert (again.top1, again.loss) == (result.top1, result.loss)
  best, expected = (
    checkpoints.restore_model(workdir / 'best') for workdir in (parts, whole)
  )
  assert best.step == max((top1, s) for s, top1, _ in evaluations(whole))[1]
  assert best.step == expected.step
  chex.assert_trees_all_equal(best.variables, expected.variables)

  # Once finished it only evaluates, and says so.
  final, result, log = trainings.run(config(), parts)
  assert 'This run finished at step 10' in log
  chex.assert_trees_all_equal(final, state)
  assert result.loss == again.loss
  assert evaluations(parts) == evaluations(whole)


@pytest.fixture(scope='module')
def learnt(folder, data_dir, tmp_path_factory):
  """A finished run: its workdir, config, result, log and signs of life."""
  workdir, beats = tmp_path_factory.mktemp('learnt'), []
  config = tiny(
    folder,
    data_dir,
    eval__split='train',
    eval__clips=2,
    model__direction='past',
    model__consensus='frames',
    model__consensus_from=2,
  )
  with pytest.MonkeyPatch.context() as patch:
    trainings.on_devices(patch, 1)
    patch.setattr(stopping.Watchdog, 'beat', lambda self: beats.append(self))
    _, result, log = trainings.run(config, workdir, report=True)
  return types.SimpleNamespace(
    workdir=workdir, config=config, result=result, log=log, beats=beats
  )


def test_real_clips_are_learnt_by_heart_and_reported(learnt):
  workdir, result = learnt.workdir, learnt.result
  assert result.top1 == 1
  assert result.num_clips == 20
  np.testing.assert_array_equal(result.confusion, [[10, 0], [0, 10]])
  assert '2 classes' in learnt.log
  page = (workdir / 'report.md').read_text()
  # The clips of training are those that are evaluated here.
  assert '| 95% interval | clips | training clips |' in page
  assert page.count('| 10 | 10 |') == 2
  assert 'top-1 100.00%' in page and '| jump | 100.00% |' in page
  for image in ('curves.png', 'confusion.png'):
    assert (workdir / image).stat().st_size > 5000
  assert '| last, which is the best, in `best/` | 20 | 100.00% |' in page
  assert not (workdir / 'mistakes.png').exists()  # there are none
  assert list((workdir / 'tensorboard').glob('events*'))
  frozen = json.loads((workdir / 'config.json').read_text())
  assert frozen['model']['num_classes'] == 2
  assert learnt.config.model.num_classes == 0  # what was given stays

  # The checkpoint alone gives the same result.
  result = evaluate.evaluate_checkpoint(learnt.config, workdir, len)
  assert result.top1 == 1
  written = json.loads((workdir / 'eval_train.json').read_text())
  assert written['per_class'] == {'jump': 1.0, 'run': 1.0}


def test_every_clip_has_a_row(learnt, folder):
  workdir = learnt.workdir
  evaluate.evaluate_checkpoint(learnt.config, workdir, len)
  names = sorted(
    path.relative_to(folder).as_posix() for path in folder.glob('train/*/*.mp4')
  )
  tables = {
    name: list(csv.DictReader((workdir / name).read_text().splitlines()))
    for name in (
      *('predictions.csv', 'predictions_best.csv', 'predictions_train.csv'),
    )
  }
  for rows in tables.values():
    assert sorted(row['clip'] for row in rows) == names
    assert [row['label'] for row in rows] == [row['top1'] for row in rows]
    assert all(row['clip'].split('/')[1] == row['label'] for row in rows)
    assert {row['step'] for row in rows} == {str(STEPS)}
    logits = np.array([row['logits'].split() for row in rows], np.float32)
    np.testing.assert_array_equal(logits, learnt.result.logits)


def test_its_stream_is_its_clips_and_the_report_says_so(learnt):
  line = 'stream top-1 100.00% = clip top-1 100.00%: 20 of 20 validation clips'
  assert line in learnt.log and 'WARNING' not in learnt.log
  path = learnt.workdir / agreement.FILE
  found = json.loads(path.read_text())
  assert found['num_clips'] == found['equal'] == 20
  assert (found['consensus'], found['consensus_from']) == ('frames', 2)
  assert [e['share'] for e in found['early']] == [0.25, 0.5, 0.75, 1.0]
  assert found['early'][-1]['top1'] == found['clip_top1'] == 1
  page = (learnt.workdir / 'report.md').read_text()
  assert 'Of 20 clips, 20 have the same top-1 frame by frame' in page
  assert (learnt.workdir / 'early_recognition.png').stat().st_size > 5000


def test_a_checkpoint_says_how_far_apart_its_frames_are(learnt):
  # Videos of 12 frames, 24 each second, in 4 segments: 3 frames apart.
  found = intervals.from_meta(checkpoints.restore_model(learnt.workdir).meta)
  assert found == pytest.approx((0.125,) * 3)
  line = 'The frames of a clip are 0.125 s apart.'
  assert line in learnt.log
  config = learnt.config.copy_and_resolve_references()
  *_, said = describe.describe(config, learnt.workdir)
  assert said == f'{line} (step {STEPS} of {learnt.workdir})'


def test_every_step_is_a_sign_of_life(learnt):
  batches = -(-learnt.result.num_clips // learnt.config.eval.batch_size)
  assert len(learnt.beats) == 1 + STEPS + batches  # the first, at the start


def test_another_config_or_dataset_in_the_workdir_is_refused(
  learnt, folder, data_dir, tmp_path
):
  other = tiny(folder, data_dir, seed=1, model__fold_div=2, log_every_steps=1)
  with pytest.raises(errors.InputError) as refused:
    trainings.run(other, learnt.workdir)
  message = str(refused.value)
  assert 'model.fold_div (there 4, now 2)' in message
  assert 'seed (there 0, now 1)' in message
  assert 'log_every_steps' not in message  # it does not change the result

  wider = helpers.write_folder(tmp_path / 'wider', ('hop', 'jump', 'run'))
  with pytest.raises(errors.InputError, match=r'num_classes.*there 2, now 3'):
    trainings.run(tiny(wider, data_dir), learnt.workdir)
  with pytest.raises(errors.InputError, match='2 classes and the dataset 3'):
    evaluate.evaluate_checkpoint(tiny(wider, data_dir), learnt.workdir)
  renamed = helpers.write_folder(tmp_path / 'renamed', ('jump', 'walk'))
  with pytest.raises(errors.InputError, match=r"Class 1 is 'run'.*'walk'"):
    evaluate.evaluate_checkpoint(tiny(renamed, data_dir), learnt.workdir)


def test_wrong_counts_are_never_reported(learnt, folder, data_dir, monkeypatch):
  def losing(*args, real=pipeline.eval_batches):
    *batches, last = real(*args)
    last['mask'][0] = 0
    yield from [*batches, last]

  monkeypatch.setattr(pipeline, 'eval_batches', losing)
  with pytest.raises(AssertionError, match='3 clips were counted of 4'):
    evaluate.evaluate_checkpoint(tiny(folder, data_dir), learnt.workdir, len)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'batch_size': 12}, 'batch_size is 12.*8 devices.*for example 8'),
    ({'batch_size': 0}, 'batch_size is 0'),
    ({'model__num_frames': 0}, 'model.num_frames is 0'),
    ({'model__num_frames': -8}, 'model.num_frames is -8'),
    ({'model__num_classes': 5}, 'num_classes is 5, but the dataset has 2'),
    ({'model__modality': 'flow'}, r'data\.mean has 3 values.*:modality=flow'),
    ({'model__shift': 'blockrse'}, "'blockrse'.*'blockres', 'block', 'none'"),
    ({'epochs': 0.0}, 'epochs is 0.0'),
    ({'eval__split': 'test'}, "no clip in the split 'test'.*train"),
    ({'data__source': '/no/such'}, "data.source is '/no/such'"),
    ({'data__num_threads': 0}, 'data.num_threads is 0; it must be at least 1'),
    ({'data__scales': ()}, r'data.scales is \(\); it must hold shares'),
    ({'data__image_size': 0}, 'data.image_size is 0'),
    ({'data__sampling': 'dnese'}, "data.sampling is 'dnese'.*'dense'"),
    (
      {'data__sampling': 'dense', 'model__num_frames': 65},
      'num_frames is 65, but a dense clip spans 64',
    ),
    ({'data__flip': 'yes'}, "data.flip is 'yes'; choose from 'off', 'on'"),
    ({'mixup_alpha': -1.0}, 'mixup_alpha is -1.0; it must be at least 0'),
    ({'cutmix_alpha': -1.0}, 'cutmix_alpha is -1.0'),
    ({'erase_probability': 1.5}, '1.5; it must be from 0 to 1'),
    ({'data__randaugment_ops': -1}, 'data.randaugment_ops is -1'),
    ({'data__randaugment_magnitude': 31.0}, '31.0; it must be from 0 to 30'),
    ({'eval__clips': 0}, 'eval.clips is 0'),
    ({'eval__crops': 4}, 'eval.crops is 4; choose from 1, 3, 5, 10'),
  ],
)
def test_bad_values_are_one_sentence(
  changes, message, folder, data_dir, tmp_path, monkeypatch
):
  monkeypatch.undo()  # on all eight devices
  config = helpers.tiny_config(folder, data_dir, **changes)
  with pytest.raises(errors.InputError, match=message) as refused:
    trainings.run(config, tmp_path)
  assert len(str(refused.value).splitlines()) == 1
  assert not (tmp_path / 'checkpoints').exists() or not any(
    (tmp_path / 'checkpoints').iterdir()
  )


def test_videos_shorter_than_the_clip_are_counted(folder, data_dir):
  config = tiny(folder, data_dir, model__num_frames=16)
  data = dataset.prepare(config.data, log=len)
  *_, line = describe.describe_plan(config, data, 20, sharding.create_mesh())
  assert '24 videos are shorter than 16 frames' in line


def test_directional_labels_are_swapped_or_refused(data_dir, tmp_path):
  class Read(Exception):
    pass

  def log(line):
    if "Mirrored clips swap 'go left' <-> 'go right'." in line:
      raise Read  # it says so before it trains

  videos = helpers.write_folder(tmp_path / 'videos', ('go left', 'go right'))
  with pytest.raises(errors.InputError, match=r"'on', but a mirror.*'go left'"):
    train.train(tiny(videos, data_dir, data__flip='on'), tmp_path / 'run', log)
  with pytest.raises(Read):
    config = tiny(videos, data_dir, data__flip='swap')
    train.train(config, tmp_path / 'run', log)


def test_sampling_travels_with_the_checkpoint(
  folder, data_dir, tmp_path, monkeypatch
):
  config = tiny(
    folder,
    data_dir,
    data__sampling='dense',
    data__official_quirks=True,
    eval__crops=3,
    eval__full_resolution=True,
  )
  seen = []

  def views(*args, real=records.eval_indices):
    seen.append(args[2].validation)
    return real(*args)

  monkeypatch.setattr(records, 'eval_indices', views)
  _, _, log = trainings.run(config, tmp_path)
  assert '3 view(s) each' in log
  assert seen == [True] * 4  # the official code's kind of evaluation
  trained = checkpoints.restore_model(tmp_path)
  assert trained.preprocessing.sampling == 'dense'
  assert trained.preprocessing.official_quirks
  seen.clear()
  evaluate.evaluate_checkpoint(config, tmp_path, len)
  assert seen == [False] * 4
