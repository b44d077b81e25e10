import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsm_jax import configuration, models
from tsm_jax.insight import describe
from tsm_jax.models import cost
from tsm_jax.models.layers import convolution


def measured(**fields):
  """Parameters, and G multiply-adds of one clip of 224x224 pixels."""
  config = {**models.DEFAULTS, **fields}
  shape = (1, config['num_frames'], 224, 224, 3)
  count, *macs = cost.network(models.create_model(config), shape)
  return count, *(n / 1e9 for n in macs)


# Parameters and GMACs of the official models.
@pytest.mark.parametrize(
  ('fields', 'num_classes', 'parameters', 'gmacs'),
  [
    ({'depth': 18}, 174, 11_265_774, 14.51),
    ({'depth': 34}, 174, 21_373_934, 29.31),
    ({'depth': 50, 'non_local': True}, 400, 31_686_096, 49.15),
    ({'depth': 101}, 174, 42_856_686, 62.40),
  ],
)
def test_official_sizes_and_costs(fields, num_classes, parameters, gmacs):
  found = measured(num_classes=num_classes, **fields)
  assert found[0] == parameters
  assert found[1] == pytest.approx(gmacs, abs=0.005)


@pytest.mark.parametrize(
  ('name', 'told'),
  [
    ('kinetics', '24,327,632 parameters, 32.70 G multiply-adds'),
    ('jester:model=mobilenet_v2', '2,258,459 parameters, 2.40 G multiply-adds'),
  ],
)
def test_a_recipe_describes_the_official_model(name, told, tmp_path):
  *_, line = describe.describe(configuration.load(name), tmp_path)
  assert line.startswith(told)


def test_the_shift_costs_nothing():
  small = {'stage_sizes': (1, 1), 'num_classes': 10}
  with_shift = measured(**small)
  assert with_shift == measured(**small, shift='none')
  # Twice the frames cost twice as much.
  _, gmacs, _ = measured(**small, num_frames=16)
  assert gmacs == 2 * with_shift[1]


def test_attention_by_hand():
  _, _, attention = measured(
    num_classes=400, non_local=True, stage_sizes=(1, 3, 5)
  )
  # Scores and their product with g: queries x keys x channels, twice; the keys
  # are pooled to half of both sides.
  expected = 2 * (
    2 * (8 * 28 * 28) * (8 * 14 * 14) * 256
    + 3 * (8 * 14 * 14) * (8 * 7 * 7) * 512
  )
  assert attention == pytest.approx(expected / 1e9)


def test_a_convolution_and_a_product_by_hand():
  def function(x, kernel, weights):
    y = jax.lax.conv_general_dilated(
      x, kernel, (2, 2), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    return jnp.einsum('nhwc,cd->nhwd', y, weights)

  x, kernel, weights = (
    np.ones((2, 7, 7, 3)),
    np.ones((3, 3, 3, 4)),
    np.ones((4, 5)),
  )
  conv = 2 * 3 * 3 * 4 * (3 * 3 * 3)
  product = 2 * 3 * 3 * 5 * 4
  found = cost.multiply_adds(jax.jit(function), x, kernel, weights)
  assert found == (conv + product, 0)


def test_a_convolution_in_two_forms_counts_once():
  conv = convolution.convolution(5, 3)
  x = jax.ShapeDtypeStruct((1, 2, 2, 4), np.float32)
  kernel = jax.ShapeDtypeStruct((3, 3, 4, 5), np.float32)

  def function(x, kernel):
    return conv.apply({'params': {'kernel': kernel}}, x)

  assert cost.multiply_adds(function, x, kernel) == (2 * 2 * 3 * 3 * 4 * 5, 0)
