import contextlib

import jax
import numpy as np
import pytest

from support import leaving, nets
from tsm_jax import models
from tsm_jax.models import folding
from tsm_jax.models.layers import convolution

short = leaving.short


@pytest.mark.parametrize(
  ('fields', 'layers', 'native'),
  [
    # stem, three bottlenecks, two of them with a downsampling, four of
    # attention, head
    ({'stage_sizes': (1, 2), 'non_local': True}, 1 + 3 * 3 + 2 + 4 + 1, True),
    (
      {'stage_sizes': (1, 2), 'depth': 18, 'shift': 'block'},
      1 + 6 + 1 + 1,
      False,
    ),
    ({'name': 'bn_inception', 'shift': 'none'}, 3 + 7 + 5 + 1, True),
  ],
)
def test_logits_are_those_with_norms(fields, layers, native, short):
  model = models.create_model({**nets.CONFIG, 'width': 8, **fields})
  frames = nets.clips(1, 2, 32, 32, 3)
  variables = nets.tiny_variables(model, frames)
  for path, x in jax.tree.leaves_with_path(variables['batch_stats']):
    if path[-1].key == 'var':
      x[:2] = 0, 1e30  # of channels that never change, or change wildly
  folded = folding.fold(model, variables, frames.shape)
  names = [p[-1].key for p, _ in jax.tree.leaves_with_path(folded)]
  assert sorted(names) == ['bias'] * layers + ['kernel'] * layers
  expected = jax.jit(model.apply)(variables, frames)
  largest = np.abs(expected).max()
  with folding.folded(native):
    found = jax.jit(lambda *args: model.apply(*args))(folded, frames)
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


def test_what_is_compiled_was_traced_in_the_context():
  seen = []

  @contextlib.contextmanager
  def applied():
    seen.append('begin')
    yield
    seen.append('end')

  def double(variables, x):
    seen.append('trace')
    return 2 * variables * x

  run = folding.jit(double, applied, 64)
  assert (run(3, 4), run(3, 5)) == (24, 30)  # compiled once
  assert seen == ['begin', 'trace', 'end']
  assert '@jit_double' in run.lower(3, 4).as_text()


@pytest.mark.parametrize('depth', [18, 50])
def test_other_compilers_get_no_choice_by_platform(depth):
  # What converts to ONNX does not know one.
  model = models.create_model(
    {**nets.CONFIG, 'width': 8, 'depth': depth, 'stage_sizes': (2, 1)}
  )
  frames = nets.clips(1, 2, 160, 160, 3)  # large, see `convolution.is_large`
  variables = nets.tiny_variables(model, frames)
  folded = folding.fold(model, variables, frames.shape)
  with folding.folded():
    program = jax.make_jaxpr(lambda *args: model.apply(*args))(folded, frames)
  assert 'platform_index' not in str(program)


def test_features_of_too_many_channels_are_no_shift():
  layer = convolution.convolution(3, 1, use_bias=True)
  x = np.ones((1, 2, 2, 8), np.float32)
  params = layer.init(jax.random.key(0), x)
  with folding.folded():
    assert layer.apply(params, x).shape == (1, 2, 2, 3)
    with pytest.raises(ValueError, match='rhs input feature'):
      layer.apply(params, np.ones((1, 2, 2, 10), np.float32))


def test_which_networks_shift_by_products_they_say_themselves():
  for name, expected in (
    ('resnet', False),
    ('bn_inception', False),
    ('mobilenet_v2', True),
  ):
    fields = {'shift': 'none'} if name == 'bn_inception' else {}
    model = models.create_model(
      {**models.DEFAULTS, 'name': name, 'num_classes': 3, **fields}
    )
    assert model.shift_by_products == expected
