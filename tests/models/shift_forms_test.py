"""All ways to write the shift are one function, with one gradient."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import shift_test
from support import nets
from tsm_jax import models
from tsm_jax.models import mobilenet_v2, shift, shift_forms
from tsm_jax.models.layers import convolution, temporal_shift

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
      shift=functools.partial(temporal_shift.TemporalShift, 4, form=form),
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
