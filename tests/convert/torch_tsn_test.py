"""Variants of the networks: logits and strict loading against PyTorch."""

import functools
import re

import jax
import numpy as np
import pytest

from support import golden
from tsm_jax import convert, models

torch = pytest.importorskip('torch')
from support import torch_tsn  # noqa: E402  (imports torch)

SIZES, NL = (1, 3, 2, 1), ((2, 0), (2, 2), (3, 0))
R50, NL50 = (3, 4, 6, 3), ((2, 0), (2, 2), (3, 0), (3, 2), (3, 4))
# Fields of the model that are read from the weights, and how PyTorch has it.
RESNETS = {
  'pooled': (
    {'depth': 50, 'non_local': True, 'temporal_pool': True},
    {'attend': NL, 'pool': True},
  ),
  'pooled-block': (
    {'depth': 18, 'shift': 'block', 'temporal_pool': True},
    {'place': 'block', 'pool': True},
  ),
  'block-nl': (
    {'depth': 50, 'shift': 'block', 'non_local': True},
    {'place': 'block', 'attend': NL},
  ),
  'tsn-nl': (
    {'depth': 50, 'shift': 'none', 'non_local': True},
    {'place': 'none', 'attend': NL},
  ),
  'basic-nl': ({'depth': 18, 'non_local': True}, {'attend': NL}),
  'resnext': (
    {'depth': 50, 'width': 16, 'groups': 4, 'width_per_group': 32},
    {'width': 16, 'groups': 4, 'base': 32},
  ),
  'wide': ({'depth': 50, 'width_per_group': 128}, {'base': 128}),
  'every': ({'depth': 50, 'shift_every': 2}, {'every': 2}),
  # All 50 blocks of the deepest, whose shifted ones are chosen by their number.
  'r152': ({'depth': 152}, {'sizes': (3, 8, 36, 3), 'every': 2}),
}


def weights_of(network):
  """Weights for all names of a module, of a size as training leaves them.

  With those of `golden.weights` alone a deep network is chaotic in float32:
  every branch doubles the variance, and of scores in the thousands the softmax
  chooses one key, where two that are within an error of each other decide the
  logits. Here a branch adds a third, and attention mixes many keys.
  """
  shapes = {k: tuple(v.shape) for k, v in network.state_dict().items()}
  return calm(golden.weights(shapes))


def calm(weights):
  last = 'bn3' if any('.bn3.' in k for k in weights) else 'bn2'
  factors = {rf'\.{last}\.weight': 0.3, r'\.nl\.(theta|phi\.0)\.weight': 0.1}
  return {
    name: value
    * np.float32(next((f for p, f in factors.items() if re.search(p, name)), 1))
    for name, value in weights.items()
  }


def load(network, state):
  """All names of the one must be those of the other."""
  network.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
  return network


def by_pytorch(network, frames):
  with torch.no_grad():  # DataParallel lies on a GPU, where there is one
    return network.module.cpu()(torch.tensor(frames)).numpy()


def check(network, frames, expected, **overrides):
  """Loads weights both ways; returns config, variables and the logits."""
  weights = weights_of(network)
  config, variables = convert.from_torch(weights, **overrides)
  assert {k: config[k] for k in expected} == expected
  load(network, convert.to_torch(config, variables))
  theirs = by_pytorch(network, frames)
  assert_near(logits(config, variables, frames), theirs)
  # PyTorch's own error is below the tolerance: the comparison is sound.
  exact = by_pytorch(network.double(), frames.astype(np.float64))
  assert abs(exact - theirs).max() < 5e-6 * abs(theirs).max()
  return config, variables, theirs


@functools.partial(jax.jit, static_argnums=0)
def apply(model, variables, frames):
  return model.apply(variables, frames)


def logits(config, variables, frames):
  return apply(models.create_model(config), variables, frames)


def assert_near(ours, theirs):
  atol = 1e-5 * abs(theirs).max()
  np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=atol)


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=pytest.mark.slow) if name == 'r152' else name
    for name in RESNETS
  ],
)
def test_resnets_equal_pytorch(name):
  fields, network = RESNETS[name]
  network = {'bottleneck': fields['depth'] > 34, 'sizes': SIZES, **network}
  sizes = () if network['sizes'] != SIZES else SIZES
  expected = {'width': 8, 'stage_sizes': sizes, **fields}
  frames = golden.frames(2, 4, 64)
  config, variables, theirs = check(
    torch_tsn.of_resnet(num_frames=4, **network),
    frames,
    expected,
    num_frames=4,
    stage_sizes=sizes,
  )
  # What the variant is about matters a hundred times the tolerance.
  if config['non_local']:
    assert_differs(logits(config, evenly(variables), frames), theirs)
  if config['shift'] != 'none' and name not in ('basic-nl', 'resnext', 'wide'):
    other = {'shift_every': 1} if config['depth'] > 50 else {'fold_div': 3}
    assert_differs(logits({**config, **other}, variables, frames), theirs)


def evenly(variables):
  """Variables with which attention takes the mean of all keys."""
  params = dict(variables['params'])
  for name in [k for k in params if k.endswith('_nl')]:
    kernel = np.zeros_like(params[name]['theta']['kernel'])
    theta = {**params[name]['theta'], 'kernel': kernel}
    params[name] = {**params[name], 'theta': theta}
  return {**variables, 'params': params}


def assert_differs(one, other):
  assert abs(one - other).max() > 1e-3 * abs(other).max()


@pytest.mark.parametrize(
  ('fields', 'network'),
  [
    ({'shift': 'none'}, {'shift': False}),
    (
      {'modality': 'flow', 'fold_div': 4, 'width_multiplier': 1.4},
      {'inputs': 10, 'fold_div': 4, 'multiplier': 1.4},
    ),
  ],
  ids=['tsn', 'flow-fold_div-wide'],
)
def test_mobilenets_equal_pytorch(fields, network):
  frames = golden.frames(2, 4, 64, network.get('inputs', 3))
  given = {k: v for k, v in fields.items() if k == 'fold_div'}
  check(
    torch_tsn.of_mobilenet(4, **network),
    frames,
    {'name': 'mobilenet_v2', **fields},
    num_frames=4,
    **given,
  )


@pytest.mark.slow
def test_attention_of_released_width_equals_pytorch():
  network = torch_tsn.of_resnet(R50, True, num_frames=8, width=64, attend=NL50)
  names = golden.shapes('r50_shift_nl').keys()
  assert network.state_dict().keys() == names
  frames = golden.frames(2, 8, 64)
  config, variables, theirs = check(network, frames, {'non_local': True})
  assert_differs(logits(config, evenly(variables), frames), theirs)
