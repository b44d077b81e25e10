"""Features in two arrays give what features in one give."""

import itertools

import jax
import numpy as np
import pytest

from support import nets
from tsm_jax import models, stream
from tsm_jax.models import folding
from tsm_jax.models.layers import parts

SMALL = {**nets.CONFIG, 'stage_sizes': (1, 2), 'width': 8}
# Layers whose weights are in parts, block by block: what reads parts is the
# first convolution, also that of the first block, which takes the stem's
# features beside those that move; what gives them is the last convolution and
# that of the identity.
PARTS = 3 + 3 + 2
ELSEWHERE = PARTS - 1  # in an export, the stem's features move in one array


def setup(fields, frames):
  model = models.create_model({**SMALL, **fields})
  return model, nets.tiny_variables(model, frames)


def num_parts(folded):
  """How many layers have their kernel in parts."""
  layers = jax.tree.leaves(folded, is_leaf=lambda x: 'kernel' in x)
  return sum(isinstance(x['kernel'], tuple) for x in layers)


@pytest.mark.parametrize('native', [False, True])
@pytest.mark.parametrize(
  ('fields', 'layers'),
  [
    ({}, PARTS),
    ({'shift': 'block'}, PARTS - 1),  # the identity of the first moves, too
    ({'shift_every': 2}, PARTS),
    ({'fold_div': 3}, PARTS),
    ({'stem': 'deep', 'downsample': 'avg'}, PARTS),
    ({'direction': 'past', 'num_frames': 3}, PARTS),
    ({'groups': 2, 'width_per_group': 32}, PARTS),
    ({'shift': 'none'}, 0),
    ({'fold_div': 128}, 0),  # too few channels to move any
    ({'fold_div': 2}, 0),  # all channels move
    ({'depth': 18}, 0),
    ({'non_local': True}, 0),
    ({'temporal_pool': True}, 0),
    ({'name': 'mobilenet_v2', 'width_multiplier': 0.25}, 0),
  ],
)
def test_clips(fields, layers, native):
  frames = nets.clips(2, 4, 32, 32, 3)
  model, variables = setup(fields, frames)
  folded = folding.fold(model, variables, frames.shape, True, native)
  assert num_parts(folded) == (layers if native else min(layers, ELSEWHERE))
  expected = jax.jit(model.apply)(variables, frames)
  with folding.folded(native, beside=native):
    found = jax.jit(lambda *args: model.apply(*args))(folded, frames)
  largest = np.abs(expected).max()
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize(
  'fields', [{}, {'shift_every': 2}, {'shift': 'block', 'fold_div': 3}]
)
def test_any_chunks_of_a_stream(fields):
  frames = nets.clips(2, 6, 32, 32, 3)
  model, variables = setup({**fields, 'direction': 'past'}, frames)
  clip = jax.jit(model.clone(consensus='none').apply)
  expected = np.array(clip(variables, frames))
  expected[1, 3:] = clip(variables, frames[:, 3:])[1]  # it starts anew
  folded, applied = folding.prepare(model, variables, frames.shape)
  assert num_parts(folded) == PARTS - (model.shift == 'block')
  empty = stream.init_cache(model, 2, 32)
  for size in (1, 3):
    cache, found = empty, []
    with applied():
      run = jax.jit(lambda *args: stream.run(model, *args))
      for t in range(0, 6, size):
        reset = np.array([False, t == 3])
        chunk = frames[:, t : t + size]
        logits, cache = run(folded, cache, chunk, reset)
        found.append(logits)
    shapes = [
      jax.tree.map(lambda x: (x.shape, x.dtype), c) for c in (empty, cache)
    ]
    assert shapes[0] == shapes[1]
    largest = np.abs(expected).max()
    np.testing.assert_allclose(
      np.concatenate(found, 1), expected, rtol=0, atol=1e-5 * largest
    )


@pytest.mark.parametrize(
  ('form', 'layers'), [('auto', PARTS), ('concatenate', PARTS), ('select', 0)]
)
def test_another_form_of_the_shift_is_obeyed(form, layers):
  frames = nets.clips(1, 4, 32, 32, 3)
  model, variables = setup({'shift_form': form}, frames)
  folded, _ = folding.prepare(model, variables, frames.shape)
  assert num_parts(folded) == layers


def test_a_step_neither_cuts_nor_joins_features():
  """But a strided identity, whose rows are picked anyway.

  The others are what moves of the stem's features, and the joined means behind
  the last block.
  """
  frames = nets.clips(1, 1, 32, 32, 3)
  model, variables = setup({'direction': 'past'}, frames)
  cache = stream.init_cache(model, 1, 32)
  found = []
  for in_parts in (False, True):
    folded = folding.fold(model, variables, frames.shape, in_parts, True)
    with folding.folded(native=True, beside=in_parts):
      jaxpr = jax.make_jaxpr(lambda *args: stream.step(model, *args))(
        folded, cache, frames[:, 0]
      )
    names = [str(x.primitive) for x in jaxpr.eqns]
    found.append((names.count('concatenate'), names.count('slice')))
  assert found == [(3, 6), (2, 3)]


@pytest.mark.parametrize('apart', list(itertools.product((0, 1), (0, 2))))
def test_convolve_by_hand(apart):
  kernel = np.arange(12.0).reshape((1, 1, 3, 4))
  bias = np.array([100.0, 200, 300, 400])
  x = np.array([1.0, 10, 100]).reshape((1, 1, 1, 3))
  taken, given = apart
  weights = parts.split(kernel, bias, apart)
  if taken:
    x = parts.Parts(x[..., :1], x[..., 1:])
  y = parts.convolve(x, *weights, lambda x, k: x @ k[0, 0])
  assert y.shape == (1, 1, 1, 4)
  check(y, given)


def check(y, given):
  found = [np.ravel(part) for part in jax.tree.leaves(y)]
  expected = np.array([940.0, 1151, 1362, 1573])
  assert [len(part) for part in found] == ([2, 2] if given else [4])
  np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize('given', [0, 2])
def test_convolve_beside_by_hand(given):
  """What moved comes from elsewhere, and its old values count for nothing."""
  kernel = np.arange(12.0).reshape((1, 1, 3, 4))
  bias = np.array([100.0, 200, 300, 400])
  old = np.array([7.0, 10, 100]).reshape((1, 1, 1, 3))
  weights = parts.split(kernel, bias, (1, given), beside=True)
  x = parts.Parts(np.ones((1, 1, 1, 1)), old)
  check(parts.convolve(x, *weights, lambda x, k: x @ k[0, 0]), given)


def test_parts_of_another_number_than_the_weights_are_an_error():
  weights = parts.split(np.ones((1, 1, 3, 4)), np.ones(4), (1, 0))
  with pytest.raises(ValueError, match='longer'):
    parts.convolve(np.ones((1, 1, 1, 3)), *weights, lambda x, k: 0.0)
