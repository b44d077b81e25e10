"""Optical flow and RGB difference on their whole way, with real files."""

import dataclasses
import json

import jax
import numpy as np
from PIL import Image
import pytest

from support import commands, helpers, trainings
from tsm_jax import errors, evaluate, modalities, models, predict, train
from tsm_jax.configs import common
from tsm_jax.data import fingerprint
from tsm_jax.data.clips import codec
from tsm_jax.data.input import preprocess, records
from tsm_jax.data.store import dataset
from tsm_jax.models import classifier
from tsm_jax.runs import checkpoints


def write_classes(root, clips=6, num_frames=8):
  """Clips that move to the left or to the right, as flow; the folder."""
  for label, x in (('left', 90), ('right', 165)):
    for split, count in (('train', clips), ('val', 2)):
      for clip in range(count):
        folder = root / split / label / str(clip)
        helpers.write_flow(folder, num_frames + clip % 3, mean=(x, 128))
  return root


@pytest.fixture(scope='module')
def flow(tmp_path_factory):
  return write_classes(tmp_path_factory.mktemp('flow'))


def config_of(modality, source, data_dir, **changes):
  config = helpers.tiny_config(source, data_dir, **changes)
  config.model.update(depth=18, stage_sizes=(1,))
  common.look_at(config, modality)
  return config


def test_the_channels_are_those_of_the_images_read():
  for name, kind in modalities.MODALITIES.items():
    assert classifier.CHANNELS[name] == kind.channels
    per_image = {'rgb': 3, 'flow': 2}[kind.stored]
    assert kind.read_channels == kind.images * per_image
    lost = 3 if name == 'rgb_diff' else 0
    assert kind.channels == kind.read_channels - lost
    for model in ('resnet', 'mobilenet_v2', 'bn_inception'):
      usual = modalities.normalization(model, name)
      assert {len(usual.mean), len(usual.std)} <= {1, kind.channels}


def test_a_flow_model_is_trained_evaluated_and_predicts(
  flow, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  # Mirrored clips of 'left' move to the right only if x changes its sign.
  config = config_of('flow', flow, tmp_path, data__flip='swap', epochs=12.0)
  config.data.image_size = 32
  _, result, log = trainings.run(config, tmp_path / 'run')
  assert result.top1 == 1.0 and result.num_clips == 4
  assert "swap 'left' <-> 'right'" in log

  trained = checkpoints.restore_model(tmp_path / 'run')
  how = trained.preprocessing
  assert (how.modality, how.mean, how.std) == ('flow', (0.5,), (0.226,))
  assert how.clip_shape() == (1, 4, 32, 32, 10)
  predictor = predict.make_predict(trained)
  for label, name in enumerate(('left', 'right')):
    folder = flow / 'val' / name / '0'
    assert predict.predict_video(predictor, trained, folder).argmax() == label
  video = helpers.write_video(tmp_path / 'a.mp4')
  with pytest.raises(errors.InputError, match=r'a\.mp4.*not a folder of'):
    predict.predict_video(predictor, trained, video)

  # Ten crops hold the mirror images: flow of either class on average.
  fields = config_of('flow', flow, tmp_path, eval__crops=10)
  found = evaluate.evaluate_checkpoint(fields, tmp_path / 'run', print)
  assert found.num_clips == 4
  views = records.eval_views(
    dataset.prepare(fields.data, 'flow').split('val')[0],
    how,
    records.Views(crops=10),
  )
  one, mirrored = (predictor(views[i : i + 1]).argmax() for i in (0, 1))
  assert one != mirrored

  fingerprint.write(fields, tmp_path / 'print.json')
  clips = json.loads((tmp_path / 'print.json').read_text())
  assert clips['settings']['modality'] == 'flow'
  assert [clip['num_frames'] for clip in clips['clips']] == [8, 9, 8, 9]


def test_what_flow_sees_is_what_the_official_code_sees(flow, tmp_path):
  path, _ = helpers.build(flow, tmp_path, modality='flow')
  assert dataset.open(path).report['modality'] == 'flow'
  (record,) = [
    r
    for r in dataset.open(path).split('train')
    if r['video_id'].decode() == 'train/right/2'
  ]
  assert record['num_frames'] == 10 and len(record['frames']) == 20
  config = config_of('flow', flow, tmp_path)
  config.data.image_size = 28
  how = preprocess.Preprocessing.from_config(config)
  (clip,) = records.eval_views(record, how, records.Views())
  assert clip.shape == (4, 28, 28, 10)
  folder = flow / 'train' / 'right' / '2'
  # tick = (10 - 5 + 1) / 4, the middles of the segments; the last may repeat.
  for t, first in enumerate([0, 2, 3, 5]):
    for i in range(5):
      number = min(first + i, 9) + 1
      for channel, axis in enumerate('xy'):
        with Image.open(folder / f'flow_{axis}_{number:05d}.jpg') as image:
          expected = image.convert('L').crop((10, 2, 38, 30))  # 48x32 to 28
        np.testing.assert_array_equal(
          clip[t, :, :, 2 * i + channel], np.asarray(expected)
        )
  x = np.asarray(how.normalize(clip))
  np.testing.assert_allclose(x, (clip / 255 - 0.5) / 0.226, atol=1e-5)


def test_flow_in_one_image_is_the_same(tmp_path):
  root = tmp_path / 'packed'
  values = {}
  for name, x in (('a', 90), ('b', 165)):
    folder = root / name / 'clip'
    values[name] = helpers.write_flow(tmp_path / name, 5, mean=(x, 128))
    folder.mkdir(parents=True)
    for number, pair in enumerate(values[name], 1):
      blank = np.zeros((*pair.shape[:2], 1), np.uint8)
      image = Image.fromarray(np.concatenate([pair, blank], axis=-1))
      image.save(folder / f'{number:06d}.jpg', quality=95)
  path, _ = helpers.build(root, tmp_path / 'data', modality='flow', holdout=0.0)
  for record in dataset.open(path).split('train'):
    name = record['video_id'].decode()[0]
    decoded = codec.decode(record, np.arange(5), 'flow')
    jpegs = sorted((root / name / 'clip').iterdir())
    for jpeg, found, flow_values in zip(jpegs, decoded, values[name]):
      with Image.open(jpeg) as image:
        np.testing.assert_array_equal(found, np.asarray(image)[..., :2])
      assert abs(found.astype(int) - flow_values).mean() < 3


def test_rgb_difference_uses_the_rgb_dataset(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  config = config_of(
    'rgb_diff', folder, data_dir, epochs=1.0, data__randaugment_ops=1
  )
  _, result, _ = trainings.run(config, tmp_path / 'run')
  assert result.num_clips == 4
  trained = checkpoints.restore_model(tmp_path / 'run')
  how = trained.preprocessing
  path, _ = helpers.build(folder, data_dir)
  record = dataset.open(path).split('val')[0]
  views = records.eval_views(record, how, records.Views(clips=2))
  assert views.shape == (2, 4, 32, 32, 18)
  # 12 frames, of which six are read at each of (12 - 6 + 1) / 4 * (i + 1 / 2).
  rgb = preprocess.Preprocessing.from_config(config_of('rgb', folder, data_dir))
  rgb = dataclasses.replace(rgb, num_frames=12)
  (frames,) = records.eval_views(record, rgb, records.Views())  # all of them
  starts = [0, 2, 4, 6]
  expected = np.stack(
    [np.diff(frames[s : s + 6].astype(float), axis=0) / 255 for s in starts]
  )  # [T, 5, S, S, 3]
  expected = expected.transpose((0, 2, 3, 1, 4)).reshape((4, 32, 32, 15))
  np.testing.assert_allclose(how.normalize(views[0]), expected, atol=1e-6)
  model = models.create_model(trained.config)
  logits = jax.jit(model.apply)(
    trained.variables, expected[None].astype(np.float32)
  )
  found = predict.make_predict(trained)(views[:1])
  np.testing.assert_allclose(found, jax.nn.softmax(logits[0]), atol=1e-5)


def test_a_dataset_of_the_other_kind_is_refused(flow, folder, data_dir):
  rgb, _ = helpers.build(folder, data_dir)
  one, _ = helpers.build(flow, data_dir, modality='flow')
  for modality, path, held in (('flow', rgb, 'rgb'), ('rgb_diff', one, 'flow')):
    config = config_of(modality, path, data_dir)
    with pytest.raises(errors.InputError, match=f"'{modality}'.*holds {held}"):
      train.train(config, data_dir / 'none', lambda line: None)


def test_bad_fields_are_named(flow, tmp_path):
  with pytest.raises(errors.InputError, match="storage is 'video', but flow"):
    helpers.build(flow, tmp_path, modality='flow', storage='video')
  for changes, message in (
    ({'data__mean': (0.5,) * 3}, 'mean has 3 values, but .* 10 channels'),
    ({'data__std': ()}, r'std has 0 values.*usually \(0\.226,\)'),
    ({'data__divisor': 2.0}, r'data\.divisor is 2\.0; choose from'),
    ({'data__channel_order': 'gbr'}, "channel_order is 'gbr'; choose from"),
  ):
    config = config_of('flow', flow, tmp_path)
    for field, value in changes.items():
      config.data[field.removeprefix('data__')] = value
    with pytest.raises(errors.InputError, match=message):
      preprocess.Preprocessing.from_config(config)
  with pytest.raises(ValueError, match="modality is 'depth'; choose"):
    common.look_at(config_of('flow', flow, tmp_path), 'depth')
  with pytest.raises(errors.InputError, match='folders of the images of x and'):
    helpers.build(
      helpers.write_folder(tmp_path / 'rgb', clips=1),
      tmp_path,
      modality='flow',
    )


def test_the_commands(flow, tmp_path):
  folders = (f'--manual_dir={flow}', f'--data_dir={tmp_path}')
  build = ('data.build', *folders, '--modality=flow')
  done = commands.call(*build, 'folder')
  assert done.returncode == 0, done.stderr
  source = done.stdout.split('source=')[1].strip()
  done = commands.call(*build, 'ssv1')
  assert done.returncode == 2
  assert 'ssv1 is distributed as RGB' in done.stderr
  done = commands.call(
    'data.fingerprint',
    '--config=folder:modality=flow',
    '--config.data.image_size=32',
    f'--config.data.source={source}',
    f'--out={tmp_path / "print.json"}',
  )
  assert done.returncode == 0, done.stderr
  assert "4 clips of 'val'" in done.stdout
