"""Files of weights as people have them: wrapped, averaged, of 16 bits."""

import numpy as np
import pytest

from support import torch_weights
from tsm_jax import errors

torch = pytest.importorskip('torch')
read = torch_weights.read
tensors = torch_weights.tensors
NAME = torch_weights.NAME


@pytest.mark.parametrize(
  'wrapper',
  [
    ('model',),
    ('model_state',),
    ('model_state_dict',),
    ('net',),
    ('weights',),
    ('state_dict_ema',),
    ('checkpoint',),
    ('model', 'state_dict'),
  ],
)
def test_weights_inside_of_another_dict(tmp_path, wrapper):
  content = tensors('module.')
  for key in reversed(wrapper):
    content = {'epoch': 3, key: content, 'optimizer': {'state': {}}}
  torch.save(content, tmp_path / NAME)
  found, lines = read(tmp_path / NAME)
  torch_weights.assert_same(found, torch_weights.expected())
  assert not lines


def test_further_weights_in_the_file_are_named(tmp_path):
  other = {k: v + 1 for k, v in tensors().items()}
  content = {'state_dict_ema': other, 'state_dict': tensors()}
  torch.save(content, tmp_path / NAME)
  found, lines = read(tmp_path / NAME)
  torch_weights.assert_same(found, torch_weights.expected())
  assert lines == [
    'The weights are those of state_dict; not read: state_dict_ema.'
  ]


@pytest.mark.parametrize(
  'prefix',
  [
    'module.module.',
    '_orig_mod.',
    'module._orig_mod.',
    'model.',
    'model._orig_mod.module.',
    'net.',
    'tsm.',
  ],
)
def test_prefixes_of_wrappers(prefix):
  found, lines = read(tensors(prefix))
  torch_weights.assert_same(found, torch_weights.expected())
  assert not lines


def test_a_compiled_part_and_counters_of_averages():
  weights = {
    k.replace('base_model.', 'base_model._orig_mod.'): v
    for k, v in tensors('module.').items()
  }
  weights['n_averaged'] = torch.tensor(7)
  found, lines = read(weights)
  torch_weights.assert_same(found, torch_weights.expected())
  assert not lines


def test_averages_beside_the_weights_are_left_out_and_named():
  weights = {
    **tensors('ema_model.'),
    **tensors('model.'),
  }
  weights['criterion.weight'] = torch.ones(5)
  weights['ema_model.base_model.conv1.weight'] = torch.zeros(8, 3, 7, 7)
  found, lines = read(weights)
  torch_weights.assert_same(found, torch_weights.expected())
  (line,) = lines
  assert line == (
    "The weights are those of 'model'; not read: criterion, ema_model."
  )


@pytest.mark.parametrize('name', ['float16', 'bfloat16', 'float64'])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_other_floating_point_is_converted_and_said(tmp_path, name, suffix):
  weights = tensors(dtype=getattr(torch, name))
  path = (tmp_path / NAME).with_suffix(suffix)
  if suffix == '.pth':
    torch.save({'state_dict': weights}, path)
  else:
    pytest.importorskip('safetensors.torch').save_file(weights, path)
  (_, variables), lines = read(path)
  kernel = variables['params']['head']['kernel']
  expected = weights['new_fc.weight'].float().numpy().T
  assert kernel.dtype == np.float32
  np.testing.assert_array_equal(kernel, expected)
  assert lines == [
    f'{len(weights)} weights of {name} are converted to float32.'
  ]


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_named(tmp_path, bad):
  weights = tensors('module.')
  weights['module.base_model.layer1.0.bn1.running_var'][3] = bad
  torch.save({'state_dict': weights}, tmp_path / NAME)
  with pytest.raises(errors.InputError) as refused:
    read(tmp_path / NAME)
  assert str(refused.value) == (
    f'{tmp_path / NAME} holds weights that are not finite (NaN or infinity), '
    'so that its model computes nothing: '
    'module.base_model.layer1.0.bn1.running_var.'
  )
  with pytest.raises(errors.InputError, match=r'base_model\.conv1\.weight'):
    read(
      {
        **tensors(),
        'base_model.conv1.weight': torch.full((8, 3, 7, 7), bad),
      }
    )
  large = {**tensors(dtype=torch.float64)}
  large['new_fc.bias'][0] = 1e300  # not in float32
  with pytest.raises(errors.InputError, match=r'not finite.*new_fc\.bias'):
    read(large)
