import chex
import jax
from jax import test_util  # noqa: F401  (makes jax.test_util available)
import jax.numpy as jnp
import numpy as np
import pytest

from tsm_jax.models import shift


def clips(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_hand(x, fold_div, direction):
  """The rule of the reference, one channel and one frame at a time."""
  y = np.zeros_like(x)
  num_frames, num_channels = x.shape[1], x.shape[4]
  fold = num_channels // fold_div
  for c in range(num_channels):
    group = c // fold if fold else 2
    if direction == 'past':
      step = -1 if group == 0 else 0
    else:
      step = {0: 1, 1: -1}.get(group, 0)
    for t in range(num_frames):
      if 0 <= t + step < num_frames:
        y[:, t, :, :, c] = x[:, t + step, :, :, c]
  return y


def test_hand_table():
  # x[t, c] = 10 (t + 1) + c, four frames, eight channels, one per group.
  x = 10 * np.arange(1, 5)[:, None] + np.arange(8)[None]
  x = x.reshape((1, 4, 1, 1, 8)).astype(np.float32)
  expected = np.array(
    [
      [20, 0, 12, 13, 14, 15, 16, 17],
      [30, 11, 22, 23, 24, 25, 26, 27],
      [40, 21, 32, 33, 34, 35, 36, 37],
      [0, 31, 42, 43, 44, 45, 46, 47],
    ]
  )
  y = shift.temporal_shift(x)
  chex.assert_trees_all_equal(y[0, :, 0, 0], expected.astype(np.float32))
  past = shift.temporal_shift(x, direction='past')[0, :, 0, 0]
  chex.assert_trees_all_equal(past[:, 0], np.array([0, 10, 20, 30], np.float32))
  chex.assert_trees_all_equal(past[:, 1:], x[0, :, 0, 0, 1:])


@pytest.mark.parametrize('direction', ['both', 'past'])
@pytest.mark.parametrize('channels', [7, 8, 24, 30])
@pytest.mark.parametrize('fold_div', [1, 2, 3, 8])
def test_equals_the_rule_channel_by_channel(channels, fold_div, direction):
  x = clips(2, 5, 2, 3, channels)

  @jax.jit
  def shifted(x):
    fields = fold_div, direction
    one = shift.concatenated_shift(x[:, :1], *fields)
    whole = shift.concatenated_shift(x, *fields)
    return one, whole, shift.temporal_shift(x, *fields)

  expected = by_hand(x, fold_div, direction)
  one = by_hand(x[:, :1], fold_div, direction)
  chex.assert_trees_all_equal(shifted(x), (one, expected, expected))


def test_floor_and_identity():
  x = clips(1, 4, 1, 1, 24)
  y = shift.temporal_shift(x)
  chex.assert_trees_all_equal(y[..., 6:], x[..., 6:])  # 24 // 8 = 3 a group
  assert not np.any(np.all(y[..., :6] == x[..., :6], axis=(0, 1, 2, 3)))
  few = clips(1, 4, 1, 1, 7)
  chex.assert_trees_all_equal(shift.temporal_shift(few), few)


def test_one_frame_has_no_neighbours():
  y = shift.temporal_shift(np.ones((2, 1, 1, 1, 8), np.float32))
  chex.assert_trees_all_equal(
    y[0, 0, 0, 0], np.array([0, 0, 1, 1, 1, 1, 1, 1], np.float32)
  )


@pytest.mark.parametrize('direction', ['both', 'past'])
def test_gradient_is_the_adjoint(direction):
  x = clips(1, 4, 1, 2, 16)
  jax.test_util.check_grads(
    lambda x: shift.temporal_shift(x, 8, direction), (x,), 1, rtol=1e-2
  )
  # <shift(x), y> = <x, adjoint(y)>, and the adjoint moves the other way.
  y = clips(1, 4, 1, 2, 16, seed=1)
  _, vjp = jax.vjp(lambda x: shift.temporal_shift(x, 8, direction), x)
  (adjoint,) = vjp(jnp.asarray(y))
  expected = by_hand(y[:, ::-1], 8, direction)[:, ::-1]
  chex.assert_trees_all_equal(adjoint, expected)


def test_clips_do_not_mix():
  one, other = clips(1, 4, 2, 2, 16), clips(1, 4, 2, 2, 16, seed=1)
  both = shift.temporal_shift(np.concatenate([one, other]))
  chex.assert_trees_all_equal(both[:1], shift.temporal_shift(one))
  chex.assert_trees_all_equal(both[1:], shift.temporal_shift(other))
  chex.assert_trees_all_equal(
    jax.vmap(shift.temporal_shift)(np.stack([one, other]))[:, 0], both
  )


def test_reversed_time_swaps_the_groups():
  x = clips(2, 5, 2, 2, 24)
  swap = np.r_[3:6, 0:3, 6:24]
  reversed_first = shift.temporal_shift(x[:, ::-1, :, :, swap])
  chex.assert_trees_all_equal(
    reversed_first, shift.temporal_shift(x)[:, ::-1, :, :, swap]
  )


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16, jnp.float32])
def test_values_and_dtype_are_kept(dtype):
  x = jnp.asarray(clips(2, 4, 2, 2, 16), dtype)
  y = shift.temporal_shift(x)
  chex.assert_type(y, dtype)
  expected = by_hand(np.asarray(x, np.float32), 8, 'both')
  chex.assert_trees_all_equal(np.asarray(y, np.float32), expected)


@pytest.mark.parametrize('channels', [7, 24])
def test_steps_equal_the_past_shift(channels):
  x = clips(2, 6, 3, 2, channels)
  cache = np.zeros((2, 3, 2, channels // 8), np.float32)
  outputs = []
  for t in range(6):
    y, cache = shift.temporal_shift_step(x[:, t], cache)
    outputs.append(y)
  chex.assert_trees_all_equal(
    np.stack(outputs, 1), shift.temporal_shift(x, direction='past')
  )


def test_impossible_arguments_are_named():
  x = clips(1, 2, 1, 1, 8)
  with pytest.raises(ValueError, match=r'\[B, T, H, W, C\].*\(2, 1, 1, 8\)'):
    shift.temporal_shift(x[0])
  with pytest.raises(ValueError, match=r"'future'.*'both', 'past'"):
    shift.temporal_shift(x, direction='future')
  with pytest.raises(ValueError, match='fold_div is 0'):
    shift.temporal_shift(x, fold_div=0)
  with pytest.raises(ValueError, match=r'\(1, 1, 1, 1\), got \(1, 1, 1, 2\)'):
    shift.temporal_shift_step(x[:, 0], np.zeros((1, 1, 1, 2), np.float32))
