import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsm_jax.models.layers import residual

LARGE, SMALL = (2, 37, 37, 3), (2, 36, 36, 64)


def random(shape, dtype, seed):
  """Values with zeros, equal and opposite ones among them."""
  return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype) / 4


@pytest.mark.parametrize('shape', [LARGE, SMALL])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_values_and_gradients_are_those_of_a_relu(shape, dtype):
  x, y, gradient = (random(shape, dtype, seed) for seed in range(3))

  @jax.jit
  def ours(x, y):
    value, pull = jax.vjp(residual.relu_of_sum, x, y)
    return value, *pull(gradient)

  positive = x + y > 0
  expected = (
    np.where(positive, x + y, 0),
    *[np.where(positive, gradient, 0)] * 2,
  )
  found = ours(x, y)
  chex.assert_trees_all_equal(found, expected)
  assert {value.dtype for value in found} == {np.dtype(dtype)}


def test_fractions_are_rounded_once():
  x, y = (np.random.default_rng(i).normal(size=LARGE) for i in range(2))
  x, y = np.float32(x), np.float32(y)
  found = jax.jit(residual.relu_of_sum)(x, y)
  np.testing.assert_array_equal(found, np.maximum(x + y, 0))


def test_it_has_a_tangent():
  x, y = (random(LARGE, np.float32, seed) for seed in range(2))
  _, tangent = jax.jvp(residual.relu_of_sum, (x, y), (x, 2 * y))
  np.testing.assert_array_equal(tangent, np.where(x + y > 0, x + 2 * y, 0))


@pytest.mark.parametrize('place', ['x', 'y'])
def test_what_is_no_number_stays_none(place):
  values = {'x': jnp.ones(LARGE), 'y': -2 * jnp.ones(LARGE)}
  values[place] = values[place].at[0, 0, 0, 0].set(jnp.nan)
  found = np.array(residual.relu_of_sum(**values))
  assert np.isnan(found[0, 0, 0, 0]) and np.isnan(found).sum() == 1


def test_an_infinite_sum_stays_infinite():
  x = jnp.full(LARGE, jnp.inf)
  assert (residual.relu_of_sum(x, -jnp.ones(LARGE)) == jnp.inf).all()
  assert (residual.relu_of_sum(jnp.ones(LARGE), -x) == 0).all()


def most_operands(count, shape):
  """Of the fusions in a chain of blocks, compiled for a CPU."""

  def chain(x, kernels):
    for kernel in kernels:
      x = residual.relu_of_sum(x, jnp.tanh(x) @ kernel)
    return x

  channels = shape[-1]
  kernels = jnp.zeros((count, channels, channels))
  text = jax.jit(chain).lower(jnp.zeros(shape), list(kernels)).compile()
  fusions = re.findall(r' fusion\(([^)]*)\)', text.as_text())
  return max(operands.count('%') for operands in fusions)


def test_a_cpu_adds_up_each_block_once():
  # Else the last of eight would read the products of all eight.
  assert most_operands(8, (1, 40, 40, 8)) == most_operands(2, (1, 40, 40, 8))


@pytest.mark.parametrize(
  ('shape', 'platform', 'negations'),
  [(LARGE, 'cpu', 1), (SMALL, 'cpu', 0), (LARGE, 'tpu', 0), (LARGE, 'cuda', 0)],
)
def test_small_features_and_other_devices_have_a_relu(
  shape, platform, negations
):
  x = jax.ShapeDtypeStruct(shape, np.float32)
  lowered = jax.jit(residual.relu_of_sum).trace(x, x)
  text = lowered.lower(lowering_platforms=(platform,)).as_text()
  assert text.count('stablehlo.negate') == negations
