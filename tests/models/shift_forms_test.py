"""All ways to write the shift are one function, with one gradient."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import shift_test
from support import nets, planning
from tsm_jax import models
from tsm_jax.models import convolution, mobilenet_v2, shift, shift_forms
from tsm_jax.plan import columns

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
  'dtype, features', [(jnp.bfloat16, 5), (jnp.float32, 5), (jnp.float32, 17)]
)
@pytest.mark.parametrize('direction', shift.DIRECTIONS)
def test_the_fused_product_is_that_of_shifted_features(
  direction, dtype, features
):
  x = jnp.asarray(shift_test.clips(6, 2, 2, 16), dtype)
  kernel = jnp.asarray(shift_test.clips(1, 1, 16, features, seed=1), dtype)
  g = jnp.asarray(shift_test.clips(6, 2, 2, features, seed=2), dtype)

  def apart(x, kernel):
    clips = x.reshape((2, 3, 2, 2, 16))
    y = shift.concatenated_shift(clips, 8, direction)
    return jnp.einsum('nhwc,cd->nhwd', y.reshape(x.shape), kernel[0, 0])

  def fused(x, kernel):
    return shift_forms.product(x, kernel, 3, 2, shift.STEPS[direction])

  tolerance = {'atol': 1e-5 if dtype == jnp.float32 else 2e-2, 'rtol': 2e-2}
  chex.assert_trees_all_close(
    with_gradient(fused, g, x, kernel),
    with_gradient(apart, g, x, kernel),
    **tolerance,
  )


def test_the_fused_product_keeps_the_unshifted_input_only():
  x, kernel = jnp.ones((4, 2, 2, 16)), jnp.ones((1, 1, 16, 4))
  _, vjp = jax.vjp(
    lambda *args: shift_forms.product(*args, 4, 2, (1, -1)), x, kernel
  )
  kept = [leaf for leaf in jax.tree.leaves(vjp) if leaf.size == x.size]
  assert len(kept) == 1
  chex.assert_trees_all_equal(kept[0], x)


def gradients(form):
  """Variables, logits, loss and gradients of a small ResNet."""
  model = models.create_model(
    {
      'num_classes': 3,
      'num_frames': 4,
      'stage_sizes': (1,),
      'width': 8,
      'width_per_group': 64,
      'dropout': 0.0,
      'shift_form': form,
    }
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


def test_networks_have_the_same_weights_and_numbers():
  for ours, usual in zip(gradients('fused'), gradients('auto')):
    chex.assert_trees_all_close(ours, usual, rtol=1e-4, atol=1e-5)


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


def test_the_table_decides_by_devices_and_only_for_training():
  fields = {'num_classes': 2}
  forms = [
    models.create_model(fields, platform).shift_form
    for platform in ('tpu', 'gpu', 'cpu', None)
  ]
  assert forms == ['fused', 'select', 'select', 'select']
  model = models.create_model(fields, 'tpu')
  assert model.temporal_shift(8, True).args[-1] == 'fused'
  assert model.temporal_shift(8, False).args[-1] == 'select'
  asked = models.create_model({**fields, 'shift_form': 'roll'}, 'tpu')
  assert asked.shift_form == 'roll'


@pytest.mark.slow
@planning.needs_libtpu
def test_the_table_is_what_moves_least_on_a_tpu(tmp_path):
  fields = {'model.depth': 50, 'model.dtype': 'bfloat16', 'batch_size': 8}
  other = [f'model.shift_form={form}' for form in ('select', 'pad')]
  numbers = planning.numbers(
    tmp_path,
    '--topology=v5e:1x1',
    *(f'--compare={change}' for change in other),
    **fields,
  )
  chosen = numbers[columns.FIRST]['chip_bytes']
  assert all(chosen < numbers[change]['chip_bytes'] for change in other)
