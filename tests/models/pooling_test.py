"""The gradient of max-pooling equals XLA's, also of equal pixels."""

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsm_jax.models import pooling


def by_xla(x):
  return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize(
  'size', [(1, 1), (2, 3), (4, 4), (5, 8), (7, 7)], ids=str
)
def test_it_is_that_of_xla(size, dtype):
  rng = np.random.default_rng(0)
  # Small integers: many pixels are equal, and sums are exact.
  x = jnp.asarray(rng.integers(0, 4, (2, *size, 3)), dtype)
  value, gradient = jax.vjp(pooling.max_pool, x)
  wanted, wanted_gradient = jax.vjp(by_xla, x)
  assert value.dtype == x.dtype
  np.testing.assert_array_equal(value, wanted)
  weights = jnp.asarray(rng.integers(-8, 8, value.shape), dtype)
  np.testing.assert_array_equal(
    gradient(weights)[0], wanted_gradient(weights)[0]
  )


def test_by_hand():
  x = jnp.array([[1.0, 5, 2], [3, 5, 1], [0, 4, 9]])[None, :, :, None]
  found = jax.grad(lambda x: (pooling.max_pool(x) * 10).sum())(x)[0, ..., 0]
  # Windows around the corners: 5, 5, 5 and 9; of the two fives of the first
  # two, the upper one has the gradient.
  np.testing.assert_array_equal(found, [[0, 20, 0], [0, 10, 0], [0, 0, 10]])


def test_all_frames_are_differentiated_together_and_again_in_remat():
  x = jnp.linspace(0, 1, 2 * 6 * 6).reshape(2, 6, 6, 1)
  plain = jax.grad(lambda x: (pooling.max_pool(x) ** 2).sum())(x)
  again = jax.grad(lambda x: (jax.checkpoint(pooling.max_pool)(x) ** 2).sum())
  np.testing.assert_allclose(again(x), plain)
