"""`python -m tsm_jax.convert` as a real process, on files of real PyTorch."""

import hashlib
import json
import shlex

import golden
import helpers
import jax
import numpy as np
import pytest

from tsm_jax import checkpoints, errors, evaluate, predict, train
from tsm_jax.data import frame_folders, records, storage

torch = pytest.importorskip('torch')
safetensors_torch = pytest.importorskip('safetensors.torch')
import bn_inception_test  # noqa: E402  (imports torch)
from convert_test import small, without_module  # noqa: E402  (imports torch)
import main_test  # noqa: E402
import torch_resnet  # noqa: E402

NAMES = ('hop', 'jump', 'run')


@pytest.fixture
def source(tmp_path):
  path = tmp_path / 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment4_e1.pth'
  weights = {k: torch.tensor(v) for k, v in small(len(NAMES)).items()}
  torch.save({'epoch': 1, 'state_dict': weights}, path)
  return path


@pytest.fixture
def labels(tmp_path):
  path = tmp_path / 'labels.txt'
  path.write_text(''.join(f'{name}\n' for name in NAMES))
  return path


def convert(*args):
  return main_test.run(main_test.command('convert', *args))


SMALL = '--stage_sizes=(1,)'  # of the network of convert_test


def test_a_converted_file_predicts_and_is_evaluated(source, labels, tmp_path):
  out = tmp_path / 'converted'
  done = convert(source, out, f'--labels={labels}', '--image_size=32', SMALL)
  assert done.returncode == 0, done.stderr
  assert 'resnet with depth=18, fold_div=4, num_classes=3' in done.stdout
  trained = checkpoints.restore_model(out)
  assert trained.labels == list(NAMES)
  assert trained.config.fold_div == 4
  assert trained.meta['converted_from'] == {
    'file': source.name,
    'sha256': hashlib.sha256(source.read_bytes()).hexdigest(),
  }
  assert trained.preprocessing.short_side == 256
  assert trained.preprocessing.sampling == 'uniform'
  assert json.loads((out / 'config.json').read_text())['name'] == source.name

  folder = helpers.write_folder(tmp_path / 'videos', NAMES)
  video = folder / 'jump' / '0.mp4'
  done = main_test.run(main_test.command('predict', out, video, '--json'))
  assert done.returncode == 0, done.stderr
  found = {
    p['label']: p['probability']
    for p in json.loads(done.stdout)[0]['predictions']
  }
  how = trained.preprocessing
  record, _ = storage.to_record(video, **how.stored())
  frames = records.eval_views(record, how, records.Views())
  frames = frames.astype(np.float32) / 255
  frames = (frames - np.float32(how.mean)) / np.float32(how.std)
  logits = torch_resnet.logits(without_module(small(len(NAMES))), frames, 4)
  expected = torch.tensor(logits).softmax(-1)[0].numpy()
  np.testing.assert_allclose(
    [found[name] for name in NAMES], expected, atol=1e-4
  )
  assert expected.std() > 0.01  # they differ

  config = helpers.tiny_config(folder, tmp_path / 'data')
  result = evaluate.evaluate_checkpoint(config, out, lambda line: None)
  assert result.num_clips == 3
  with pytest.raises(errors.InputError, match=r'converted model.*init_from'):
    train.train(config, out, lambda line: None)


def test_a_converted_bn_inception_sees_bgr_in_whole_levels(labels, tmp_path):
  weights = bn_inception_test.weights_of(len(NAMES))
  source = tmp_path / 'TSM_x_RGB_BNInception_shift8_block_avg_segment4_e1.pth'
  tensors = {k: torch.tensor(v) for k, v in weights.items()}
  torch.save({'state_dict': tensors}, source)
  out = tmp_path / 'out'
  done = convert(source, out, f'--labels={labels}', '--image_size=64')
  assert done.returncode == 0, done.stderr
  assert "shift='block'" in done.stdout
  how = checkpoints.restore_model(out).preprocessing
  assert how.mean == (104.0, 117.0, 128.0) and how.std == (1.0,)
  assert (how.divisor, how.channel_order) == (1.0, 'bgr')

  folder = helpers.write_folder(tmp_path / 'videos', NAMES, clips=2)
  video = folder / 'jump' / '0.mp4'
  done = main_test.run(main_test.command('predict', out, video, '--json'))
  assert done.returncode == 0, done.stderr
  found = {
    p['label']: p['probability']
    for p in json.loads(done.stdout)[0]['predictions']
  }
  record, _ = storage.to_record(video, 256, 90)
  frames = records.eval_views(record, how, records.Views())
  pixels = frames[..., ::-1].astype(np.float32)
  logits = bn_inception_test.by_pytorch(
    weights, pixels - np.float32([104, 117, 128]), '1' * 12
  )
  expected = torch.tensor(logits).softmax(-1)[0].numpy()
  np.testing.assert_allclose(
    [found[name] for name in NAMES], expected, atol=1e-3
  )
  config = helpers.tiny_config(folder, tmp_path / 'data')
  result = evaluate.evaluate_checkpoint(config, out, lambda line: None)
  assert result.num_clips == 3


def test_a_converted_flow_model_reads_folders_of_flow(labels, tmp_path):
  weights = small(len(NAMES))
  stem = weights['module.base_model.conv1.weight']
  scales = 1 + np.arange(10, dtype=np.float32)[:, None, None] / 10
  weights['module.base_model.conv1.weight'] = stem[:, :1] * scales
  source = tmp_path / 'TSM_x_Flow_resnet18_shift8_blockres_avg_segment4_e1.pth'
  tensors = {k: torch.tensor(v) for k, v in weights.items()}
  torch.save({'state_dict': tensors}, source)
  out = tmp_path / 'out'
  done = convert(source, out, f'--labels={labels}', '--image_size=28', SMALL)
  assert done.returncode == 0, done.stderr
  how = checkpoints.restore_model(out).preprocessing
  assert (how.modality, how.mean, how.std) == ('flow', (0.5,), (0.226,))

  for name in NAMES:
    helpers.write_flow(tmp_path / 'flow' / 'val' / name / 'clip', 9)
    helpers.write_flow(tmp_path / 'flow' / 'train' / name / 'other', 9)
  clip = tmp_path / 'flow' / 'val' / 'jump' / 'clip'
  done = main_test.run(main_test.command('predict', out, clip, '--json'))
  assert done.returncode == 0, done.stderr
  found = {
    p['label']: p['probability']
    for p in json.loads(done.stdout)[0]['predictions']
  }
  record, _ = frame_folders.to_record(clip, 256, 90, modality='flow')
  frames = records.eval_views(record, how, records.Views())
  frames = (frames.astype(np.float32) / 255 - 0.5) / np.float32(0.226)
  logits = torch_resnet.logits(without_module(weights), frames)
  expected = torch.tensor(logits).softmax(-1)[0].numpy()
  np.testing.assert_allclose(
    [found[name] for name in NAMES], expected, atol=1e-4
  )
  config = helpers.tiny_config(tmp_path / 'flow', tmp_path / 'data')
  result = evaluate.evaluate_checkpoint(config, out, lambda line: None)
  assert result.num_clips == 3


def test_without_labels_a_class_is_its_index(source, tmp_path):
  source = source.rename(tmp_path / 'TSM_x_RGB_resnet18_segment4_e1_dense.pth')
  done = convert(
    source, tmp_path / 'out', '--num_frames=8', '--dropout=0', SMALL
  )
  assert done.returncode == 0, done.stderr
  trained = checkpoints.restore_model(tmp_path / 'out')
  assert trained.labels == ['0', '1', '2']
  assert trained.preprocessing.sampling == 'dense'
  assert (trained.config.num_frames, trained.config.dropout) == (8, 0.0)
  predictor = predict.make_predict(trained)
  assert predictor(np.zeros((1, 8, 224, 224, 3), np.uint8)).shape == (3,)

  # The same place is not written twice.
  before = jax.device_get(trained.variables)
  done = convert(source, tmp_path / 'out', SMALL)
  assert (done.returncode, 'holds a checkpoint already' in done.stderr) == (
    1,
    True,
  )
  after = checkpoints.restore_model(tmp_path / 'out').variables
  jax.tree.map(np.testing.assert_array_equal, after, before)


def test_bad_input_is_one_sentence(source, labels, tmp_path):
  labels.write_text('hop\njump\n')
  for arguments, message in (
    ([source, '--num_frame=4'], "no field 'num_frame'; did you mean 'num_fr"),
    ([source, '--num_frames=x'], "--num_frames is 'x'; it must be of type int"),
    (
      [source, SMALL, f'--labels={labels}'],
      'with 2 classes, but the weights have 3',
    ),
    (
      [source, SMALL, '--name=mobilenet_v2'],
      'weights of a resnet, but model.name',
    ),
    ([tmp_path / 'none.pth'], 'There is no file'),
    ([tmp_path], 'is a folder, neither a file of weights nor a checkpoint'),
    ([source], 'give stage_sizes=(1,) if that is meant'),
    ([source, 'surplus'], "Unknown argument 'surplus'"),
  ):
    path, *rest = arguments
    done = convert(path, tmp_path / 'out', *rest)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith('error: ')
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('suffix', ['.pth', '.pth.tar', '.safetensors'])
def test_a_checkpoint_of_ours_becomes_an_official_file(
  source, tmp_path, suffix
):
  assert convert(source, tmp_path / 'ours', SMALL).returncode == 0
  out = tmp_path / 'back' / f'{source.stem}{suffix}'
  done = convert(tmp_path / 'ours', out)
  assert (done.returncode, done.stderr) == (0, '')
  assert "give '--stage_sizes=(1,)'." in done.stdout
  if suffix == '.safetensors':
    written = safetensors_torch.load_file(out)
  else:
    written = torch.load(out, weights_only=True)
    assert list(written) == ['state_dict']
    written = written['state_dict']
  official = torch.load(source, weights_only=True)['state_dict']
  assert {k for k in written if 'num_batches' not in k} == official.keys()
  for key, value in official.items():
    assert torch.equal(written[key], value), key
  # And back again.
  assert convert(out, tmp_path / 'again', SMALL).returncode == 0
  assert_same_model(tmp_path / 'ours', tmp_path / 'again')


def assert_same_model(one, other):
  one, other = map(checkpoints.restore_model, (one, other))
  assert one.config == other.config
  jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)


def test_who_trains_here_can_hand_the_weights_back(tmp_path):
  folder = helpers.write_splits(tmp_path / 'videos')
  run = tmp_path / 'run'
  train.train(
    helpers.tiny_config(
      folder, tmp_path / 'data', epochs=1.0, model__fold_div=2
    ),
    run,
    lambda line: None,
  )
  out = tmp_path / 'weights.pth'
  done = convert(run, out)
  assert (done.returncode, done.stderr) == (0, '')
  told = "--fold_div=2 --num_frames=4 '--stage_sizes=(1, 1)'"
  assert f'is read by tsm_jax.convert, give {told}.' in done.stdout
  before = out.read_bytes()
  done = convert(out, tmp_path / 'again', *shlex.split(told))
  assert done.returncode == 0, done.stderr
  one = checkpoints.restore_model(run)
  other = checkpoints.restore_model(tmp_path / 'again')
  jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)
  # A single step is a checkpoint, too.
  (step,) = (p for p in (run / 'checkpoints').iterdir() if p.name.isdigit())
  assert convert(step, tmp_path / 'step.pth').returncode == 0
  for arguments, message in (
    ([run, out], 'exists already; choose another place'),
    ([run, tmp_path / 'x.onnx'], 'one of .pth, .pth.tar, .pt, .safetensors'),
    ([run, tmp_path / 'x.pth', '--depth=18'], '--depth is only for a file of'),
    ([run, tmp_path / 'x.pth', '--labels=x'], '--labels is only for a file'),
  ):
    done = convert(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
  assert out.read_bytes() == before
  assert not list(tmp_path.glob('x.*')) + list(tmp_path.glob('*.unfinished'))


def test_the_online_demo_gets_its_bare_form(tmp_path):
  shapes = golden.shapes('online_mbv2_jester')
  weights = golden.weights(shapes)
  source = tmp_path / 'mobilenetv2_jester_online.pth.tar'
  torch.save({k: torch.tensor(v) for k, v in weights.items()}, source)
  assert convert(source, tmp_path / 'ours').returncode == 0
  out = tmp_path / 'out.pth.tar'
  done = convert(tmp_path / 'ours', out)
  assert done.returncode == 0, done.stderr
  written = torch.load(out, weights_only=True)
  assert written.keys() == shapes.keys()
  for key, value in weights.items():
    np.testing.assert_array_equal(written[key].numpy(), value)


def test_the_folder_of_the_authors_trainer_gives_the_name(tmp_path):
  folder = tmp_path / 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment4_e1_dense'
  folder.mkdir()
  weights = {k: torch.tensor(v) for k, v in small(3).items()}
  torch.save({'state_dict': weights}, folder / 'ckpt.best.pth.tar')
  done = convert(folder / 'ckpt.best.pth.tar', tmp_path / 'out', SMALL)
  assert done.returncode == 0, done.stderr
  trained = checkpoints.restore_model(tmp_path / 'out')
  assert (trained.config.fold_div, trained.config.num_frames) == (4, 4)
  assert trained.preprocessing.sampling == 'dense'
  assert trained.meta['config']['name'] == folder.name
  assert trained.meta['converted_from']['file'] == 'ckpt.best.pth.tar'
