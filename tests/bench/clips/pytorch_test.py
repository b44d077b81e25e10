import importlib

import jax
import numpy as np
import pytest
import torch

from tsm_jax import configuration, errors, sharding
from tsm_jax.bench.clips import contenders, programs, pytorch
from tsm_jax.models import shift

RESNET = {'name': 'resnet', 'stage_sizes': (1, 2), 'width': 8, 'depth': 50}
MOBILE = {'name': 'mobilenet_v2', 'width_multiplier': 0.25}


def configured(model, **fields):
  config = configuration.load('jester', batch_size=2, **fields)
  config = config.copy_and_resolve_references()
  config.data.image_size = 32
  config.model.update({'num_classes': 5, 'num_frames': 3, 'dropout': 0.0})
  config.model.update(model)
  return config


@pytest.mark.parametrize(
  'model',
  [
    pytest.param(RESNET, id='resnet'),
    pytest.param({**RESNET, 'shift': 'none'}, id='none'),
    pytest.param({**RESNET, 'shift_every': 2}, id='every second'),
    pytest.param({**RESNET, 'direction': 'past'}, id='past'),
    pytest.param(MOBILE, id='mobile', marks=pytest.mark.slow),
  ],
)
@pytest.mark.parametrize('mode', ['inference', 'training'])
def test_pytorch_does_the_same_work(model, mode):
  """Logits, or the losses of steps: they follow from the step before."""
  config = configured(model, label_smoothing=0.1, learning_rate=0.1)
  if model == MOBILE:  # whose gradients hang on rounding: maps of more values
    config.data.image_size, config.learning_rate = 64, 3e-4
  mesh = sharding.create_mesh(jax.devices()[:1])
  ours, _ = programs.runner(config, mode, mesh)
  theirs = pytorch.runner(config, mode, 'cpu', channels_last=True)
  steps = 1 if mode == 'inference' else 3
  expected = np.array([ours() for _ in range(steps)])
  found = np.array([theirs().numpy() for _ in range(steps)])
  np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-4)
  assert np.ptp(expected) > 0.01, 'a step must change the loss'


@pytest.mark.parametrize('direction', shift.DIRECTIONS)
@pytest.mark.parametrize('channels', [17, 4])
def test_the_official_shift_moves_what_ours_moves(direction, channels):
  x = np.random.default_rng(0).standard_normal((6, channels, 2, 3), np.float32)
  config = configured({'direction': direction})
  moved = pytorch.Clips(None, config).shift(torch.from_numpy(x))
  clips = x.reshape((2, 3, *x.shape[1:])).transpose((0, 1, 3, 4, 2))
  expected = shift.temporal_shift(clips, 8, direction)
  expected = np.asarray(expected).transpose((0, 1, 4, 2, 3)).reshape(x.shape)
  np.testing.assert_array_equal(moved.numpy(), expected)


@pytest.mark.parametrize(
  'fields, mode, platform, message',
  [
    ({}, 'inference', 'tpu', "JAX runs on 'tpu' here"),
    ({'model': {'dtype': 'bfloat16'}}, 'inference', 'cpu', 'on a GPU only'),
    ({'mixup_alpha': 0.2}, 'training', 'cpu', 'mixup_alpha is 0.2'),
    ({'optimizer': {'kind': 'adamw'}}, 'training', 'cpu', 'optimizer.kind is'),
    ({'model': {'non_local': True}}, 'inference', 'cpu', 'model.non_local is'),
    ({'model': {'shift': 'block'}}, 'inference', 'cpu', "model.shift is 'bl"),
    ({'model': {'name': 'bn_inception'}}, 'training', 'cpu', 'model.name is'),
  ],
)
def test_what_pytorch_does_not_do_is_refused(fields, mode, platform, message):
  fields = {**fields}
  config = configured(fields.pop('model', {}), **fields)
  with pytest.raises(errors.InputError, match=message):
    pytorch.check(config, mode, platform)
    pytorch.torch_networks.check(config.model)


def test_a_gpu_is_taken_where_pytorch_finds_one_too():
  config = configured({})
  if torch.cuda.is_available():
    pytorch.check(config, 'inference', 'gpu')
  else:
    with pytest.raises(errors.InputError, match=r'PyTorch .* finds none'):
      pytorch.check(config, 'inference', 'gpu')


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # those of PyTorch's compiler
def test_a_failure_of_pytorch_is_a_sentence(monkeypatch, tmp_path):
  """Without a C++ compiler, nothing can be compiled on a CPU."""
  monkeypatch.setenv('TORCHINDUCTOR_CACHE_DIR', str(tmp_path))
  cpp = importlib.import_module('torch._inductor.config').cpp
  monkeypatch.setattr(cpp, 'cxx', (None, 'no-such-compiler'))
  config = configured({**RESNET, 'stage_sizes': (1,), 'shift': 'none'})
  title = 'PyTorch, compiled'
  contender = contenders.Contender(title, config, 'inference', 'cpu')
  with pytest.raises(errors.InputError, match='PyTorch says: '):
    contenders.prepare(contender)
