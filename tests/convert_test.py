import golden
import numpy as np
import pytest

from tsm_jax import convert

EXPECTED = {
  'r18_shift': {'depth': 18, 'num_classes': 174},
  'r34_shift': {'depth': 34, 'num_classes': 174},
  'r50_shift': {'depth': 50},
  'r50_do0': {'depth': 50, 'dropout': 0.0},
  'r50_flow': {'depth': 50, 'modality': 'flow'},
  'r50_shift_block': {'depth': 50, 'shift': 'block'},
  'r50_shift_nl': {'depth': 50, 'non_local': True},
  'r50_tsn': {'depth': 50, 'shift': 'none'},
  'r101_shift': {'depth': 101, 'num_classes': 174, 'shift_every': 0},
  'mbv2_shift_dropout': {'name': 'mobilenet_v2', 'num_classes': 27},
  'mbv2_shift_dropout0': {
    'name': 'mobilenet_v2',
    'num_classes': 27,
    'dropout': 0.0,
  },
  'online_mbv2_jester': {
    'name': 'mobilenet_v2',
    'num_classes': 27,
    'dropout': 0.0,
    'direction': 'past',
  },
}
DEFAULTS = {
  'name': 'resnet',
  'stage_sizes': (),
  'width': 64,
  'groups': 1,
  'width_per_group': 64,
  'width_multiplier': 1.0,
  'num_classes': 400,
  'num_frames': 8,
  'shift': 'blockres',
  'direction': 'both',
  'fold_div': 8,
  'shift_every': 0,
  'non_local': False,
  'temporal_pool': False,
  'modality': 'rgb',
  'dropout': 0.5,
  'dtype': 'float32',
}


def checkpoint(name):
  """Weights for these keys, with PyTorch's counters."""
  all_shapes = golden.shapes(name)
  weights = golden.weights(all_shapes)
  for key in all_shapes.keys() - weights.keys():
    weights[key] = np.zeros((), np.int64)
  return weights


@pytest.mark.parametrize('name', EXPECTED)
def test_every_kind_of_checkpoint_is_recognised_and_written_back(name):
  weights = checkpoint(name)
  config, variables = convert.from_torch(weights)
  expected = {**DEFAULTS, 'depth': 50, **EXPECTED[name]}
  assert config == expected
  written = convert.to_torch(config, variables)
  assert written.keys() == weights.keys()
  for key in weights:
    assert written[key].dtype == weights[key].dtype
    np.testing.assert_array_equal(written[key], weights[key], err_msg=key)
