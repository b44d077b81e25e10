"""`python -m tsm_jax.convert`, on files of real PyTorch."""

import hashlib
import json

import jax
import numpy as np
import pytest

from support import commands, helpers, torch_weights
from tsm_jax import errors, evaluate, predict, train
from tsm_jax.convert import __main__ as main
from tsm_jax.data.clips import codec
from tsm_jax.data.input import records
from tsm_jax.predict import __main__ as predict_command
from tsm_jax.runs import checkpoints

torch = pytest.importorskip('torch')
from support import torch_bn_inception, torch_resnet  # noqa: E402  (import torch)

NAMES = ('hop', 'jump', 'run')


@pytest.fixture
def source(tmp_path):
  path = tmp_path / 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment4_e1.pth'
  weights = {
    k: torch.tensor(v) for k, v in torch_weights.small(len(NAMES)).items()
  }
  torch.save({'epoch': 1, 'state_dict': weights}, path)
  return path


@pytest.fixture
def labels(tmp_path):
  path = tmp_path / 'labels.txt'
  path.write_text(''.join(f'{name}\n' for name in NAMES))
  return path


def run(capsys, command, *args):
  """Runs a command in this process; its status, output and errors."""
  capsys.readouterr()
  status = 0
  try:
    command.main([str(arg) for arg in args])
  except SystemExit as end:
    status = end.code or 0
  return status, *capsys.readouterr()


def predict_one(capsys, *args):
  """The probabilities of one video, by label."""
  status, out, err = run(capsys, predict_command, *args, '--json')
  assert status == 0, err
  (result,) = json.loads(out)
  return {p['label']: p['probability'] for p in result['predictions']}


SMALL = '--stage_sizes=(1,)'  # of the network of torch_weights.small


def test_a_converted_file_predicts_and_is_evaluated(
  source, labels, tmp_path, capsys
):
  out = tmp_path / 'converted'
  done = commands.call(
    'convert', source, out, f'--labels={labels}', '--image_size=32', SMALL
  )
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
  found = predict_one(capsys, out, video)
  preprocessing = trained.preprocessing
  record, _ = codec.to_record(video, preprocessing.stored())
  frames = records.eval_views(record, preprocessing, records.Views())
  frames = frames.astype(np.float32) / 255
  frames = (frames - np.float32(preprocessing.mean)) / np.float32(
    preprocessing.std
  )
  logits = torch_resnet.logits(
    torch_weights.without_module(torch_weights.small(len(NAMES))), frames, 4
  )
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


@pytest.mark.slow
def test_a_converted_bn_inception_sees_bgr_in_whole_levels(
  labels, tmp_path, capsys
):
  weights = torch_bn_inception.weights_of(len(NAMES))
  source = tmp_path / 'TSM_x_RGB_BNInception_shift8_block_avg_segment4_e1.pth'
  tensors = {k: torch.tensor(v) for k, v in weights.items()}
  torch.save({'state_dict': tensors}, source)
  out = tmp_path / 'out'
  status, told, err = run(
    capsys, main, source, out, f'--labels={labels}', '--image_size=64'
  )
  assert status == 0, err
  assert "shift='block'" in told
  how = checkpoints.restore_model(out).preprocessing
  assert how.mean == (104.0, 117.0, 128.0) and how.std == (1.0,)
  assert (how.divisor, how.channel_order) == (1.0, 'bgr')

  folder = helpers.write_folder(tmp_path / 'videos', NAMES, clips=2)
  video = folder / 'jump' / '0.mp4'
  found = predict_one(capsys, out, video)
  record, _ = codec.to_record(video)
  frames = records.eval_views(record, how, records.Views())
  pixels = frames[..., ::-1].astype(np.float32)
  logits = torch_bn_inception.by_pytorch(
    weights, pixels - np.float32([104, 117, 128]), '1' * 12
  )
  expected = torch.tensor(logits).softmax(-1)[0].numpy()
  np.testing.assert_allclose(
    [found[name] for name in NAMES], expected, atol=1e-3
  )
  config = helpers.tiny_config(folder, tmp_path / 'data')
  result = evaluate.evaluate_checkpoint(config, out, lambda line: None)
  assert result.num_clips == 3


def test_a_converted_flow_model_reads_folders_of_flow(labels, tmp_path, capsys):
  weights = torch_weights.small(len(NAMES))
  stem = weights['module.base_model.conv1.weight']
  scales = 1 + np.arange(10, dtype=np.float32)[:, None, None] / 10
  weights['module.base_model.conv1.weight'] = stem[:, :1] * scales
  source = tmp_path / 'TSM_x_Flow_resnet18_shift8_blockres_avg_segment4_e1.pth'
  tensors = {k: torch.tensor(v) for k, v in weights.items()}
  torch.save({'state_dict': tensors}, source)
  out = tmp_path / 'out'
  status, _, err = run(
    capsys, main, source, out, f'--labels={labels}', '--image_size=28', SMALL
  )
  assert status == 0, err
  how = checkpoints.restore_model(out).preprocessing
  assert (how.modality, how.mean, how.std) == ('flow', (0.5,), (0.226,))

  for name in NAMES:
    helpers.write_flow(tmp_path / 'flow' / 'val' / name / 'clip', 9)
    helpers.write_flow(tmp_path / 'flow' / 'train' / name / 'other', 9)
  clip = tmp_path / 'flow' / 'val' / 'jump' / 'clip'
  found = predict_one(capsys, out, clip)
  record, _ = codec.to_record(clip, modality='flow')
  frames = records.eval_views(record, how, records.Views())
  frames = (frames.astype(np.float32) / 255 - 0.5) / np.float32(0.226)
  logits = torch_resnet.logits(torch_weights.without_module(weights), frames)
  expected = torch.tensor(logits).softmax(-1)[0].numpy()
  np.testing.assert_allclose(
    [found[name] for name in NAMES], expected, atol=1e-4
  )
  config = helpers.tiny_config(tmp_path / 'flow', tmp_path / 'data')
  result = evaluate.evaluate_checkpoint(config, out, lambda line: None)
  assert result.num_clips == 3


def test_without_labels_a_class_is_its_index(source, tmp_path, capsys):
  source = source.rename(tmp_path / 'TSM_x_RGB_resnet18_segment4_e1_dense.pth')
  out = tmp_path / 'out'
  status, _, err = run(
    capsys, main, source, out, '--num_frames=8', '--dropout=0', SMALL
  )
  assert status == 0, err
  trained = checkpoints.restore_model(tmp_path / 'out')
  assert trained.labels == ['0', '1', '2']
  assert trained.preprocessing.sampling == 'dense'
  assert (trained.config.num_frames, trained.config.dropout) == (8, 0.0)
  predictor = predict.make_predict(trained)
  assert predictor(np.zeros((1, 8, 224, 224, 3), np.uint8)).shape == (3,)

  # The same place is not written twice.
  before = jax.device_get(trained.variables)
  status, _, err = run(capsys, main, source, out, SMALL)
  assert status == 2 and 'holds a checkpoint already' in err
  after = checkpoints.restore_model(tmp_path / 'out').variables
  jax.tree.map(np.testing.assert_array_equal, after, before)


def test_bad_input_is_one_sentence(source, labels, tmp_path, capsys):
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
    ([source], 'give stage_sizes=(1,) if that is intended'),
    ([source, 'surplus'], "Unknown argument 'surplus'"),
  ):
    path, *rest = arguments
    status, _, err = run(capsys, main, path, tmp_path / 'out', *rest)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert err.startswith('error: ')
  assert not (tmp_path / 'out').exists()


def test_the_folder_of_the_authors_trainer_gives_the_name(tmp_path, capsys):
  folder = tmp_path / 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment4_e1_dense'
  folder.mkdir()
  weights = {k: torch.tensor(v) for k, v in torch_weights.small(3).items()}
  torch.save({'state_dict': weights}, folder / 'ckpt.best.pth.tar')
  status, _, err = run(
    capsys, main, folder / 'ckpt.best.pth.tar', tmp_path / 'out', SMALL
  )
  assert status == 0, err
  trained = checkpoints.restore_model(tmp_path / 'out')
  assert (trained.config.fold_div, trained.config.num_frames) == (4, 4)
  assert trained.preprocessing.sampling == 'dense'
  assert trained.meta['config']['name'] == folder.name
  assert trained.meta['converted_from']['file'] == 'ckpt.best.pth.tar'
