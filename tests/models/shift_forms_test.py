"""All ways to write the shift are one function, with one gradient."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import shift_test
from support import nets
from tsm_jax import models, sharding
from tsm_jax.models import mobilenet_v2, shift, shift_convolution, shift_forms
from tsm_jax.models.layers import convolution
from tsm_jax.plan import hlo

FORMS = shift_forms.FORMS[1:]


def with_gradient(f, cotangent, *args):
  """A function's value and its gradients, as one program."""

  @jax.jit
  def both(cotangent, *args):
    y, vjp = jax.vjp(f, *args)
    return y, vjp(cotangent)

  return both(cotangent, *args)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16, jnp.float32])
@pytest.mark.parametrize('direction', shift.DIRECTIONS)
@pytest.mark.parametrize('form', FORMS)
def test_every_form_is_the_rule_and_its_gradient(form, direction, dtype):
  for num_frames, channels in ((4, 17), (1, 8), (3, 7)):
    x = shift_test.clips(2, num_frames, 1, 2, channels).astype(dtype)
    g = shift_test.clips(2, num_frames, 1, 2, channels, seed=1).astype(dtype)
    y, gradient = with_gradient(
      lambda x: shift.temporal_shift(x, 8, direction, form), g, x
    )
    chex.assert_type(y, dtype)
    chex.assert_trees_all_equal(y, shift_test.by_hand(x, 8, direction))
    # The adjoint is the shift of reversed time.
    back = shift_test.by_hand(g[:, ::-1], 8, direction)[:, ::-1]
    chex.assert_trees_all_equal(gradient[0], back)


def test_unknown_forms_are_named():
  x = shift_test.clips(1, 2, 1, 1, 8)
  with pytest.raises(ValueError, match=r"form is 'auto'; choose from .*'roll'"):
    shift.temporal_shift(x, form='auto')
  with pytest.raises(ValueError, match=r"model.shift_form is 'rol'; choose"):
    models.create_model({'num_classes': 2, 'shift_form': 'rol'})


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
    with_gradient(fused, g, x, kernel),
    with_gradient(apart, g, x, kernel),
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
def test_the_fused_convolution_by_one_moves_as_the_rule_says(
  direction, num_frames, channels
):
  clips = shift_test.clips(2, num_frames, 3, 2, channels).astype(jnp.bfloat16)
  x = jnp.asarray(clips.reshape((-1, 3, 2, channels)))
  g = jnp.asarray(shift_test.clips(*x.shape, seed=1), x.dtype)
  move = shift_convolution.Move(
    num_frames, channels // 8, shift.STEPS[direction]
  )
  one = jnp.eye(channels, dtype=x.dtype)[None, None]

  def fused(x):
    return shift_convolution.convolved(x, one, move)

  by_hand = shift_test.by_hand(clips, 8, direction).reshape(x.shape)
  y, (gradient,) = with_gradient(fused, g, x)
  chex.assert_trees_all_equal(y, by_hand)
  chex.assert_trees_all_equal(jax.jit(fused)(x), by_hand)
  back = np.asarray(g).reshape(clips.shape)[:, ::-1]
  back = shift_test.by_hand(back, 8, direction)[:, ::-1]
  chex.assert_trees_all_equal(gradient, back.reshape(x.shape))


@pytest.mark.parametrize('num_frames, channels', [(3, 16), (8, 64)])
def test_the_fused_convolution_sends_no_frames_between_devices(
  num_frames, channels
):
  mesh = sharding.create_mesh(jax.devices()[:2])
  x = jnp.asarray(shift_test.clips(4 * num_frames, 2, 2, channels))
  kernel = jnp.asarray(shift_test.clips(1, 1, channels, 5, seed=1))
  move = shift_convolution.Move(num_frames, channels // 8, (1, -1))

  def fused(x, kernel):
    return jnp.square(shift_convolution.convolved(x, kernel, move)).sum(0)

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


def gradients(form, platform=None, **fields):
  """Variables, logits, loss and gradients of a small ResNet."""
  model = models.create_model(
    {
      **fields,
      'num_classes': 3,
      'num_frames': 4,
      'stage_sizes': (1,),
      'width': 8,
      'width_per_group': 64,
      'dropout': 0.0,
      'shift_form': form,
    },
    platform,
  )
  frames = shift_test.clips(2, 4, 32, 32, 3)
  variables = nets.tiny_variables(model, frames)

  def loss(params):
    logits, _ = model.apply(
      {**variables, 'params': params}, frames, True, mutable=['batch_stats']
    )
    return jnp.square(logits - 1).sum()

  value = jax.jit(jax.value_and_grad(loss))(variables['params'])
  return variables, value, jax.jit(model.apply)(variables, frames)


@pytest.mark.parametrize(
  'form, platform, fields',
  [
    ('fused', None, {}),
    ('auto', 'tpu', {}),
    ('auto', 'tpu', {'depth': 18}),
    ('auto', 'tpu', {'shift': 'block'}),
  ],
)
def test_networks_have_the_same_weights_and_numbers(form, platform, fields):
  usual = gradients('auto', **fields)
  for found, expected in zip(gradients(form, platform, **fields), usual):
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_block_of_mobilenet_is_the_same():
  x = shift_test.clips(4, 2, 2, 16)
  results = []
  for form in ('select', 'fused'):
    block = mobilenet_v2.InvertedResidual(
      conv=convolution.convolution,
      norm=lambda name: lambda x: x,
      shift=functools.partial(shift.TemporalShift, 4, form=form),
      expansion=2,
      out_channels=16,
      stride=1,
    )
    y, variables = jax.jit(block.init_with_output)(jax.random.key(0), x)
    results.append((variables, y))
  chex.assert_trees_all_close(*results, atol=1e-6)
  assert not np.allclose(results[0][1], x)


@pytest.mark.parametrize(
  'asked, platform, training, inference',
  [
    ('auto', 'tpu', 'fused', 'fused'),
    ('auto', 'gpu', 'select', 'select'),
    ('auto', 'cpu', 'concatenate', 'concatenate'),
    ('auto', None, 'select', 'select'),
    ('roll', 'tpu', 'roll', 'roll'),
    ('fused', 'tpu', 'fused', 'fused'),
    ('fused', 'cpu', 'fused', 'concatenate'),
  ],
)
def test_the_table_decides_by_devices_and_use(
  asked, platform, training, inference
):
  fields = {'num_classes': 2, 'shift_form': asked}
  model = models.create_model(fields, platform)
  assert model.temporal_shift(8, True).args[-1] == training
  assert model.temporal_shift(8, False).args[-1] == inference
