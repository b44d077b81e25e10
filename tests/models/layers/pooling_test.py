import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsm_jax.models.layers import pooling


def library(x):
  return nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))


def with_gradient(function):
  def values(x, gradient):
    y, pullback = jax.vjp(function, x)
    return y, *pullback(gradient)

  return jax.jit(values)


@pytest.mark.parametrize('size', [(37, 37), (38, 37), (37, 2), (1, 40)])
@pytest.mark.parametrize('levels', [2, 1000])
def test_the_gradient_is_that_of_the_library_also_of_equal_pixels(size, levels):
  rng = np.random.default_rng(0)
  x = rng.integers(-levels, levels, (2, *size, 3)).astype(np.float32)
  shape = jax.eval_shape(library, x).shape
  # Of several windows, which share a pixel, the order of the sum is the same.
  gradient = rng.normal(size=shape).astype(np.float32)
  found = with_gradient(pooling.max_pool)(x, gradient)
  expected = with_gradient(library)(x, gradient)
  chex.assert_trees_all_equal(found, expected)


def test_the_first_of_equal_pixels_has_the_gradient():
  x = jnp.zeros((1, 40, 40, 1))
  gradient = jax.grad(lambda x: pooling.max_pool(x).sum())(x)[0, ..., 0]
  # A window begins in an odd row and column; the first ones in the padding.
  expected = np.zeros((40, 40))
  lines = [0, *range(1, 38, 2)]
  expected[np.ix_(lines, lines)] = 1
  np.testing.assert_array_equal(gradient, expected)


def test_it_keeps_the_dtype():
  x = jnp.arange(40 * 40, dtype=jnp.bfloat16).reshape((1, 40, 40, 1))
  y, gradient = jax.value_and_grad(lambda x: pooling.max_pool(x).sum())(x)
  assert y.dtype == gradient.dtype == jnp.bfloat16


@pytest.mark.parametrize(
  ('size', 'platform', 'scatters'),
  [(36, 'cpu', 1), (37, 'cpu', 0), (37, 'tpu', 1)],
)
def test_small_maps_and_other_devices_keep_the_gradient_of_the_library(
  size, platform, scatters
):
  x = jax.ShapeDtypeStruct((1, size, size, 2), np.float32)
  gradient = jax.jit(jax.grad(lambda x: pooling.max_pool(x).sum()))
  lowered = gradient.trace(x).lower(lowering_platforms=(platform,))
  assert lowered.as_text().count('stablehlo.select_and_scatter') == scatters
