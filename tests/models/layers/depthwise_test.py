import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsm_jax.models.layers import depthwise
from tsm_jax.plan import hlo


def library(x, kernel, strides, padding):
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    strides,
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=x.shape[-1],
  )


@pytest.mark.parametrize(
  ('shape', 'side', 'strides', 'padding'),
  [
    ((2, 6, 5), 3, (1, 1), ((1, 1), (1, 1))),
    ((16, 4, 4), 3, (1, 1), ((1, 1), (1, 1))),  # more frames than at once
    ((11, 3, 4), 3, (1, 1), ((1, 1), (1, 1))),  # which nothing divides
    ((1, 7, 8), 3, (2, 2), ((1, 1), (1, 1))),  # the last column has no window
    ((3, 8, 7), 5, (2, 1), ((2, 2), (2, 2))),
    ((2, 6, 6), 3, (2, 2), ((0, 1), (0, 1))),
    ((2, 1, 1), 3, (1, 1), ((1, 1), (1, 1))),  # one element sees a pixel
    ((2, 2, 1), 3, (2, 2), ((1, 1), (1, 1))),
    ((2, 7, 6), 3, (2, 3), ((0, 0), (0, 0))),
  ],
)
def test_values_and_gradients_are_those_of_the_library(
  shape, side, strides, padding
):
  rng = np.random.default_rng(0)
  x = rng.integers(-9, 9, (*shape, 3)).astype(np.float32)
  kernel = rng.integers(-9, 9, (side, side, 1, 3)).astype(np.float32)

  def values(function, x, kernel):
    y, pullback = jax.vjp(lambda *a: function(*a, strides, padding), x, kernel)
    # Whole numbers, of which the order of sums says nothing.
    return y, *pullback(y % 7 - 3)

  found, expected = (
    jax.jit(lambda *args, f=f: values(f, *args))(x, kernel)
    for f in (depthwise.convolve, library)
  )
  chex.assert_trees_all_equal(found, expected)


def test_bfloat16_is_added_up_in_float32():
  x = jnp.ones((8, 32, 32, 1), jnp.bfloat16)
  kernel = jnp.ones((3, 3, 1, 1), jnp.bfloat16)

  def total(x, kernel):
    how = (1, 1), ((1, 1), (1, 1))
    return depthwise.convolve(x, kernel, *how).astype(jnp.float32).sum()

  of_x, of_kernel = jax.jit(jax.grad(total, (0, 1)))(x, kernel)
  assert of_x.dtype == of_kernel.dtype == jnp.bfloat16
  # 8192 pixels meet the middle; in bfloat16, a sum of ones ends at 256.
  assert of_kernel[1, 1, 0, 0] == 8192
  assert of_kernel[0, 0, 0, 0] == jnp.bfloat16(8 * 31 * 31)
  assert of_x[0, 0, 0, 0] == 4 and of_x[0, 5, 5, 0] == 9


@pytest.mark.parametrize('frames', [16, 24, 44])
def test_devices_send_each_other_nothing_but_sums(frames):
  devices = jax.devices()[:4]
  assert len(devices) == 4
  mesh = jax.sharding.Mesh(np.array(devices), 'data')
  placed, everywhere = (
    jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
    for axes in (['data'], [])
  )

  def loss(x, kernel):
    y = depthwise.convolve(x, kernel, (1, 1), ((1, 1), (1, 1)))
    return jnp.square(y).sum()

  program = jax.jit(
    jax.grad(loss, (0, 1)),
    in_shardings=(placed, everywhere),
    out_shardings=(placed, everywhere),
  )
  shapes = (
    jax.ShapeDtypeStruct(shape, np.float32)
    for shape in ((frames, 5, 4, 3), (3, 3, 1, 3))
  )
  text = program.lower(*shapes).compile().as_text()
  assert {x.kind for x in hlo.collectives(text, 4)} == {'all-reduce'}
