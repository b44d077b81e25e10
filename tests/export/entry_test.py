"""How frames enter a network that leaves."""

import dataclasses

import jax
from jax import export
import numpy as np
import pytest

from support import leaving
from tsm_jax.data.input import cropping
from tsm_jax.export import entry, graph

short = leaving.short
NETWORKS = {
  'resnet': {'direction': 'past'},
  'mobilenet_v2': {'direction': 'past', **leaving.MOBILE},
  'bn_inception': {'name': 'bn_inception', 'shift': 'none'},
}
# Of pixels: (153, 102, 51), whole numbers, so that what surrounds a frame is
# zero exactly.
MEAN = (0.6, 0.4, 0.2)


def trained(network, size=32, mean=MEAN, **fields):
  found = leaving.trained(size, 2, **NETWORKS[network])
  how = dataclasses.replace(found.preprocessing, mean=mean, **fields)
  return dataclasses.replace(found, preprocessing=how)


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_frames_are_those_of_evaluation(order):
  how = trained('resnet', channel_order=order).preprocessing
  frames = leaving.images(2, 3, 36, 36)
  expected = how.normalize(cropping.centre(frames, 32))
  found = jax.jit(lambda x: entry.normalized(x, how))(frames)
  np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('together', [1, 2, 3])
@pytest.mark.parametrize(
  ('network', 'size', 'fields'),
  [
    ('resnet', 32, {}),
    ('mobilenet_v2', 32, {'channel_order': 'bgr'}),
    ('mobilenet_v2', 31, {}),
    ('bn_inception', 34, {'divisor': 1.0, 'mean': (9, 7, 5), 'std': (900,)}),
  ],
)
def test_the_first_layer_takes_pixels(network, size, fields, together, short):
  model = trained(network, size, **fields)
  made = graph.create(model, 'step', 2)
  whole = graph.create(model, 'step', 2, together)
  assert (whole.inputs, whole.outputs) == (made.inputs, made.outputs)
  frames = leaving.images(*made.inputs[0].shape[:-1])
  state = [np.zeros(x.shape, x.dtype) for x in made.inputs[1:]]
  found, expected = (jax.jit(x.function)(frames, *state) for x in (whole, made))
  for a, b in zip(found, expected, strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5 * max(1, np.abs(b).max()))
  assert max(np.ptp(x, axis=0).max() for x in expected) > 1e-3


def test_steps_take_pixels_in_a_batch_of_any_size():
  model = trained('resnet')
  made = graph.create(model, 'step', 2)
  whole = graph.create(model, 'step', None, 2)
  rng = np.random.default_rng(0)
  inputs = [
    rng.integers(0, 2, x.shape).astype(x.dtype) for x in made.inputs[1:]
  ]
  inputs.insert(0, leaving.images(*made.inputs[0].shape[:-1]))
  (batch,) = export.symbolic_shape('batch')
  program = export.export(jax.jit(whole.function))(*whole.shapes(batch))
  for a, b in zip(program.call(*inputs), made.function(*inputs), strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_what_surrounds_a_frame_is_the_nearest_pixel():
  """With (127.5, 102, 114.75), half a pixel of the frame's border at most."""
  model = leaving.trained(direction='past', stage_sizes=(1,))
  made, whole = (graph.create(model, 'step', 1, n) for n in (0, 1))
  inputs = [np.zeros(x.shape, x.dtype) for x in made.inputs]
  inputs[0] = leaving.images(*made.inputs[0].shape[:-1])
  expected, found = (jax.jit(x.function)(*inputs)[1] for x in (made, whole))
  difference = np.abs(found - expected)[0].max(axis=-1)
  assert 0 < difference.max() < 0.05 * np.abs(expected).max()
  assert difference[4:, 4:].max() < 1e-5  # far from the border
