import json
import signal

import chex
import numpy as np
import pytest

from support import helpers, trainings
from tsm_jax import errors, evaluate
from tsm_jax.data.input import pipeline, records
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints, stopping


def test_eight_devices_give_the_loss_curve_of_one(
  folder, data_dir, tmp_path, monkeypatch
):
  for count in (8, 1):
    config = helpers.tiny_config(
      folder,
      data_dir,
      epochs=8.0,
      log_every_steps=1,
      base_learning_rate=0.3,
    )
    with monkeypatch.context() as patch:
      trainings.on_devices(patch, count)
      _, _, log = trainings.run(config, tmp_path / str(count))
    assert f'on {count} cpu device(s)' in log
  eight, one = (
    trainings.losses(tmp_path / '8'),
    trainings.losses(tmp_path / '1'),
  )
  assert list(eight) == list(one) == list(range(1, 21))
  assert one[1] > 1.2 * one[20]  # it learns, so that equality says something
  np.testing.assert_allclose(
    list(eight.values()), list(one.values()), rtol=1e-5
  )


AUGMENTATION = {
  'data__randaugment_ops': 2,
  'mixup_alpha': 0.4,
  'cutmix_alpha': 1.0,
  'erase_probability': 0.5,
}


@pytest.mark.parametrize(
  'changes', [{}, pytest.param(AUGMENTATION, marks=pytest.mark.slow)]
)
def test_a_resumed_run_equals_the_uninterrupted_one(
  changes, folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)

  def config():
    return helpers.tiny_config(
      folder,
      data_dir,
      model__dropout=0.5,
      data__flip='on',
      log_every_steps=4,
      **changes,
    )

  # Not Python's own where the tests run in the background.
  handler = signal.getsignal(signal.SIGINT)
  whole, result, _ = trainings.run(config(), tmp_path / 'whole')
  assert whole.step == 12  # 5 epochs of 20 clips in batches of 8
  for signum, code in ((signal.SIGTERM, 75), (signal.SIGINT, 130)):
    with monkeypatch.context() as patch:
      trainings.terminate_at(patch, 3, signum)  # between two lines of the log
      with pytest.raises(SystemExit) as stopped:
        trainings.run(config(), tmp_path / 'parts')
    assert stopped.value.code == code
  assert signal.getsignal(signal.SIGINT) is handler
  resumed, again, log = trainings.run(config(), tmp_path / 'parts')
  assert 'at step 6 of 12' in log
  chex.assert_trees_all_equal(resumed, whole)
  assert trainings.losses(tmp_path / 'parts') == trainings.losses(
    tmp_path / 'whole'
  )
  assert (again.top1, again.loss) == (result.top1, result.loss)

  # Once finished it only evaluates, and says so.
  final, result, log = trainings.run(config(), tmp_path / 'parts')
  assert 'This run finished at step 12' in log
  chex.assert_trees_all_equal(final, whole)
  assert result.loss == again.loss
  evaluations = [
    r for r in metrics.read(tmp_path / 'parts') if 'eval/top1' in r
  ]
  assert len(evaluations) == 1


def test_real_clips_are_learnt_by_heart_and_reported(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  config = helpers.tiny_config(
    folder, data_dir, epochs=40.0, eval__split='train', eval__clips=2
  )
  _, result, log = trainings.run(config, tmp_path)
  assert result.top1 == 1
  assert result.num_clips == 20
  np.testing.assert_array_equal(result.confusion, [[10, 0], [0, 10]])
  assert '2 classes' in log
  page = (tmp_path / 'report.md').read_text()
  assert 'top-1 100.00%' in page and '| jump | 100.00% |' in page
  for image in ('curves.png', 'confusion.png'):
    assert (tmp_path / image).stat().st_size > 5000
  assert list((tmp_path / 'tensorboard').glob('events*'))
  frozen = json.loads((tmp_path / 'config.json').read_text())
  assert frozen['model']['num_classes'] == 2

  # The checkpoint alone gives the same result.
  result = evaluate.evaluate_checkpoint(config, tmp_path, lambda line: None)
  assert result.top1 == 1
  written = json.loads((tmp_path / 'eval_train.json').read_text())
  assert written['per_class'] == {'jump': 1.0, 'run': 1.0}


def test_another_config_or_dataset_in_the_workdir_is_refused(
  folder, data_dir, tmp_path
):
  trainings.run(helpers.tiny_config(folder, data_dir, epochs=1.0), tmp_path)
  other = helpers.tiny_config(
    folder, data_dir, epochs=1.0, seed=1, model__fold_div=2, log_every_steps=1
  )
  with pytest.raises(errors.InputError) as refused:
    trainings.run(other, tmp_path)
  message = str(refused.value)
  assert 'model.fold_div (there 4, now 2)' in message
  assert 'seed (there 0, now 1)' in message
  assert 'log_every_steps' not in message  # it does not change the result

  wider = helpers.write_folder(tmp_path / 'wider', ('hop', 'jump', 'run'))
  with pytest.raises(errors.InputError, match=r'num_classes.*there 2, now 3'):
    trainings.run(helpers.tiny_config(wider, data_dir, epochs=1.0), tmp_path)
  with pytest.raises(errors.InputError, match='2 classes and the dataset 3'):
    config = helpers.tiny_config(wider, data_dir)
    evaluate.evaluate_checkpoint(config, tmp_path)
  renamed = helpers.write_folder(tmp_path / 'renamed', ('jump', 'walk'))
  with pytest.raises(errors.InputError, match=r"Class 1 is 'run'.*'walk'"):
    config = helpers.tiny_config(renamed, data_dir)
    evaluate.evaluate_checkpoint(config, tmp_path)


def test_every_step_is_a_sign_of_life(folder, data_dir, tmp_path, monkeypatch):
  beats = []
  monkeypatch.setattr(
    stopping.Watchdog, 'beat', lambda self: beats.append(self)
  )
  config = helpers.tiny_config(
    folder, data_dir, log_every_steps=1, eval__every_epochs=100.0
  )
  state, result, _ = trainings.run(config, tmp_path)
  batches = -(-result.num_clips // config.eval.batch_size)
  assert len(beats) == 1 + int(state.step) + batches  # the first, at the start


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
  changes, message, folder, data_dir, tmp_path
):
  config = helpers.tiny_config(folder, data_dir, **changes)
  with pytest.raises(errors.InputError, match=message) as refused:
    trainings.run(config, tmp_path)
  assert len(str(refused.value).splitlines()) == 1
  assert not (tmp_path / 'checkpoints').exists() or not any(
    (tmp_path / 'checkpoints').iterdir()
  )


def test_diverged_training_stops_and_saves_nothing(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  config = helpers.tiny_config(
    folder, data_dir, base_learning_rate=1e30, checkpoint__every_steps=1
  )
  with pytest.raises(errors.InputError, match='diverged; lower'):
    trainings.run(config, tmp_path)


def test_videos_shorter_than_the_clip_are_counted(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  config = helpers.tiny_config(
    folder, data_dir, epochs=0.5, model__num_frames=16
  )
  _, _, log = trainings.run(config, tmp_path)
  assert '24 videos are shorter than 16 frames' in log


def test_wrong_counts_are_never_reported(folder, data_dir, tmp_path):
  trainings.run(helpers.tiny_config(folder, data_dir, epochs=1.0), tmp_path)
  trained = checkpoints.restore_model(tmp_path)
  real = pipeline.eval_batches

  def losing(*args):
    *batches, last = real(*args)
    last['mask'][0] = 0
    yield from [*batches, last]

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(pipeline, 'eval_batches', losing)
    with pytest.raises(AssertionError, match=r'3 clips were counted.*holds 4'):
      evaluate.evaluate_checkpoint(
        helpers.tiny_config(folder, data_dir), tmp_path, lambda line: None
      )
  assert len(trained.labels) == 2


def test_directional_labels_are_swapped_or_refused(
  data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  videos = helpers.write_folder(tmp_path / 'videos', ('go left', 'go right'))

  def config(flip):
    return helpers.tiny_config(videos, data_dir, data__flip=flip, epochs=1.0)

  with pytest.raises(errors.InputError, match=r"'on', but a mirror.*'go left'"):
    trainings.run(config('on'), tmp_path / 'run')
  _, _, log = trainings.run(config('swap'), tmp_path / 'run')
  assert "Mirrored clips swap 'go left' <-> 'go right'." in log


def test_sampling_travels_with_the_checkpoint(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  config = helpers.tiny_config(
    folder,
    data_dir,
    epochs=1.0,
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
  evaluate.evaluate_checkpoint(config, tmp_path, lambda line: None)
  assert seen == [False] * 4
