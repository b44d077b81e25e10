"""The shift as a part of a convolution is the shift and the convolution."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import shift_forms_test, shift_test
from tsm_jax import sharding
from tsm_jax.models import shift, shift_convolution
from tsm_jax.plan import hlo


@pytest.mark.parametrize(
  'dtype, size, features, stride',
  [
    (jnp.bfloat16, 1, 5, 1),
    (jnp.float32, 1, 5, 1),
    (jnp.float32, 1, 17, 1),
    (jnp.float32, 1, 5, 2),
    (jnp.float32, 3, 5, 1),
    (jnp.float32, 3, 17, 2),
    (jnp.bfloat16, 3, 5, 2),
  ],
)
@pytest.mark.parametrize('direction', shift.DIRECTIONS)
def test_the_fused_convolution_is_that_of_shifted_features(
  direction, dtype, size, features, stride
):
  x = jnp.asarray(shift_test.clips(6, 4, 3, 16), dtype)
  kernel = shift_test.clips(size, size, 16, features, seed=1)
  kernel = jnp.asarray(kernel / size, dtype)
  window = (stride, stride), ((size // 2, size // 2),) * 2

  def apart(x, kernel):
    clips = x.reshape((2, 3, *x.shape[1:]))
    y = shift.concatenated_shift(clips, 8, direction)
    return jax.lax.conv_general_dilated(
      y.reshape(x.shape),
      kernel,
      *window,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  def fused(x, kernel):
    move = shift_convolution.Move(3, 2, shift.STEPS[direction])
    return shift_convolution.convolved(x, kernel, move, *window)

  shape = jax.eval_shape(apart, x, kernel).shape
  g = jnp.asarray(shift_test.clips(*shape, seed=2), dtype)
  tolerance = {'atol': 1e-5 if dtype == jnp.float32 else 5e-2, 'rtol': 2e-2}
  chex.assert_trees_all_close(
    shift_forms_test.with_gradient(fused, g, x, kernel),
    shift_forms_test.with_gradient(apart, g, x, kernel),
    **tolerance,
  )
  # Without a gradient it is written in another way.
  chex.assert_trees_all_close(
    jax.jit(fused)(x, kernel), jax.jit(apart)(x, kernel), **tolerance
  )


@pytest.mark.parametrize(
  'num_frames, channels', [(1, 16), (3, 16), (8, 16), (8, 64), (16, 64)]
)
@pytest.mark.parametrize('direction', shift.DIRECTIONS)
def test_the_shift_and_a_fused_convolution_by_one_move_as_the_rule_says(
  direction, num_frames, channels
):
  clips = shift_test.clips(2, num_frames, 3, 2, channels).astype(jnp.bfloat16)
  x = jnp.asarray(clips.reshape((-1, 3, 2, channels)))
  g = jnp.asarray(shift_test.clips(*x.shape, seed=1), x.dtype)
  move = shift_convolution.Move(
    num_frames, channels // 8, shift.STEPS[direction]
  )
  one = jnp.eye(channels, dtype=x.dtype)[None, None]

  def alone(x):
    return shift_convolution.shifted(x, move)

  def fused(x):
    return shift_convolution.convolved(x, one, move)

  by_hand = shift_test.by_hand(clips, 8, direction).reshape(x.shape)
  back = np.asarray(g).reshape(clips.shape)[:, ::-1]
  back = shift_test.by_hand(back, 8, direction)[:, ::-1]
  for f in (alone, fused):
    y, (gradient,) = shift_forms_test.with_gradient(f, g, x)
    chex.assert_trees_all_equal(y, by_hand)
    chex.assert_trees_all_equal(jax.jit(f)(x), by_hand)
    chex.assert_trees_all_equal(gradient, back.reshape(x.shape))


@pytest.mark.parametrize('num_frames, channels', [(3, 16), (8, 64)])
def test_neither_form_sends_frames_between_devices(num_frames, channels):
  mesh = sharding.create_mesh(jax.devices()[:2])
  x = jnp.asarray(shift_test.clips(4 * num_frames, 2, 2, channels))
  kernel = jnp.asarray(shift_test.clips(1, 1, channels, 5, seed=1))
  move = shift_convolution.Move(num_frames, channels // 8, (1, -1))

  def fused(x, kernel):
    y = shift_convolution.shifted(x, move)
    return jnp.square(shift_convolution.convolved(y, kernel, move)).sum(0)

  both = jax.jit(jax.value_and_grad(lambda *args: fused(*args).sum()))
  placed = jax.device_put(x, sharding.batched(mesh))
  alone = both(x, kernel)
  chex.assert_trees_all_close(both(placed, kernel), alone, rtol=1e-5, atol=1e-5)
  batched = jax.sharding.PartitionSpec('data')
  inside = jax.shard_map(
    lambda x: shift_convolution.convolved(x, kernel, move),
    mesh=mesh,
    in_specs=batched,
    out_specs=batched,
  )
  expected = shift_convolution.convolved(x, kernel, move)
  chex.assert_trees_all_close(jax.jit(inside)(placed), expected, atol=1e-5)
  kernel = jax.device_put(kernel, sharding.replicated(mesh))
  for f in (fused, both):
    text = jax.jit(f).lower(placed, kernel).compile().as_text()
    found = hlo.collectives(text, 2)
    assert {c.kind for c in found} == {'all-reduce'}  # the sum over frames


def test_the_fused_convolution_keeps_the_unshifted_input_only():
  x, kernel = jnp.ones((4, 2, 2, 16)), jnp.ones((1, 1, 16, 4))
  move = shift_convolution.Move(4, 2, (1, -1))
  _, vjp = jax.vjp(
    lambda *args: shift_convolution.convolved(*args, move),
    x,
    kernel,
  )
  kept = [leaf for leaf in jax.tree.leaves(vjp) if leaf.size == x.size]
  assert len(kept) == 1
  chex.assert_trees_all_equal(kept[0], x)
