"""The function that leaves answers as evaluation and as a stream."""

import types

import jax
import numpy as np
import pytest

from support import leaving
from tsm_jax import errors
from tsm_jax.data.input import cropping
from tsm_jax.export import graph
from tsm_jax.models import cost
from tsm_jax.stream import batch as stream_batch

short = leaving.short


def close(found, expected):
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def kernels(weights):
  layers = jax.tree.leaves(weights, is_leaf=lambda x: 'kernel' in x)
  return [layer['kernel'] for layer in layers]


@pytest.mark.parametrize('image_size', [28, 30, 32, 40, 48, 224])
def test_the_square_has_the_centre_that_evaluation_crops(image_size):
  side = cropping.full_size(image_size)
  for more in range(7):
    frame = leaving.images(side, side + more)
    for one in (frame, frame.swapaxes(0, 1), frame[: side - 5]):
      square = cropping.eval_square(one, image_size)
      assert square.shape == (side, side, 3)
      expected = cropping.eval_crops([one], image_size)[0, 0]
      found = cropping.centre(square, image_size)
      np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
  'fields',
  [
    {'consensus': 'frames', 'consensus_from': 3, 'direction': 'past'},
    {'temporal_pool': True, 'non_local': True, 'dtype': 'bfloat16'},
  ],
)
def test_a_clip_is_answered_as_by_evaluation(fields):
  trained = leaving.trained(**fields)
  frames = leaving.images(2, 4, 43, 61)
  crops = [cropping.eval_crops(clip, 32)[0] for clip in frames]
  normal = trained.preprocessing.normalize(np.stack(crops))
  model = trained.module().clone(dtype='float32')
  logits = jax.jit(model.apply)(trained.variables, normal)
  squares = [[cropping.eval_square(x, 32) for x in clip] for clip in frames]
  made = graph.create(trained, 'clip', 2)
  (found,) = jax.jit(made.function)(np.array(squares))
  close(found, jax.nn.softmax(logits))
  assert made.inputs == (('frames', 'uint8', (2, 4, 36, 36, 3)),)
  assert made.outputs == (('probabilities', 'float32', (2, 3)),)


@pytest.mark.parametrize('fields', [{}, leaving.MOBILE])
def test_no_operation_depends_on_a_platform(fields, short):
  """Which converters do not know; in large maps JAX has several forms."""
  trained = leaving.trained(image_size=80, **fields)
  made = graph.create(trained, 'clip', 1)
  assert 'platform_index' in str(
    jax.make_jaxpr(made.native)(made.weights, *made.shapes())
  )
  assert 'platform_index' not in str(
    jax.make_jaxpr(made.function)(*made.shapes())
  )


@pytest.mark.parametrize('fields', [{'fold_div': 16}, leaving.MOBILE])
def test_steps_are_those_of_a_stream(fields, short):
  trained = leaving.trained(direction='past', **fields)
  made = graph.create(trained, 'step', 2)
  in_tuples = [isinstance(x, tuple) for x in kernels(made.weights)]
  assert any(in_tuples) == (fields is not leaving.MOBILE)  # in parts
  step = jax.jit(made.function)
  expected = stream_batch.Batch(trained, 2)
  names = [x.name for x in made.inputs]
  state = {
    x.name: np.ones(x.shape, x.dtype) for x in made.inputs[2:]
  }  # what the reset wipes
  for number, frames in enumerate(leaving.images(4, 2, 37, 40)):
    reset = np.array([number == 0, number in (0, 2)])
    for row in np.flatnonzero(reset):
      expected.begin(row)
    shown = {i: expected.prepare(frame) for i, frame in enumerate(frames)}
    squares = [cropping.eval_square(frame, 32) for frame in frames]
    given = {'frames': np.array(squares), 'reset': reset, **state}
    results = step(*(given[name] for name in names))
    found = dict(zip((x.name for x in made.outputs), results))
    close(found['probabilities'], jax.nn.softmax(expected.step(shown)))
    state = {old: found[new] for old, new in made.caches}
  for tensor, value in zip(made.outputs, results):
    assert (value.shape, value.dtype) == (tensor.shape, tensor.dtype)


def test_a_shift_by_products_is_that_by_slices(short):
  trained = leaving.trained(direction='past', **leaving.MOBILE)
  slices, products = (
    graph.create(trained, 'step', 2, 1, by_products)
    for by_products in (False, True)
  )
  rng = np.random.default_rng(0)
  given = [
    leaving.images(*slices.inputs[0].shape[:-1]),
    np.array([0, 1], np.uint8),
    *(rng.normal(size=x.shape).astype(x.dtype) for x in slices.inputs[2:]),
  ]
  expected, found = (jax.jit(x.function)(*given) for x in (slices, products))
  assert expected[1].size and np.ptp(expected[1]) > 0
  for a, b in zip(found, expected, strict=True):
    close(a, b)
  counts = [
    str(jax.make_jaxpr(x.function)(*x.shapes(2))).count(' slice[')
    for x in (slices, products)
  ]
  assert counts[0] - counts[1] == 2  # what is kept, and what stays


@pytest.mark.parametrize('shift', ['block', 'blockres'])
def test_other_networks_keep_slices(shift):
  trained = leaving.trained(direction='past', shift=shift)
  programs = [
    str(jax.make_jaxpr(x.function)(*x.shapes()))
    for x in (
      graph.create(trained, 'step', 1, 1, by_products)
      for by_products in (False, True)
    )
  ]
  assert programs[0] == programs[1]


def test_where_a_model_leaves_does_not_decide_how_it_computes(monkeypatch):
  trained = leaving.trained(**leaving.MOBILE)

  def program():
    made = graph.create(trained, 'clip', 1)
    inputs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in made.inputs]
    return str(jax.make_jaxpr(made.native)(made.weights, *inputs))

  expected = program()
  assert 'feature_group_count=' in expected
  tpu = types.SimpleNamespace(platform='tpu')
  monkeypatch.setattr(jax, 'local_devices', lambda: [tpu])
  assert trained.module().platform == 'tpu'
  assert program() == expected


def test_a_shift_of_too_few_channels_has_no_cache():
  made = graph.create(
    leaving.trained(direction='past', fold_div=16), 'step', None
  )
  shapes = {x.name: x.shape for x in made.inputs}
  assert shapes == {
    'frames': (None, 36, 36, 3),
    'reset': (None,),
    'cache_layer2_0_shift_past': (None, 8, 8, 2),
  }


def test_names_of_caches():
  made = graph.create(leaving.trained(direction='past'), 'step', None)
  assert [x.name for x in made.inputs] == [
    *('frames', 'reset', 'cache_layer1_0_shift_past'),
    'cache_layer2_0_shift_past',
  ]
  assert made.caches[1] == (
    'cache_layer2_0_shift_past',
    'next_layer2_0_shift_past',
  )
  assert made.inputs[2].shape == (None, 8, 8, 1)
  assert made.outputs[1].shape == (None, 8, 8, 1)


@pytest.mark.parametrize('what', graph.KINDS)
def test_no_sum_makes_frames_of_pixels(what):
  """Quantisers would give it 8 bits, which are not those of the pixels."""
  made = graph.create(leaving.trained(direction='past'), what, 1)
  called = [
    equation.primitive.name
    for equation in jax.make_jaxpr(made.function)(*made.shapes()).eqns
  ]
  before = called[: called.index('conv_general_dilated')]
  assert {'sub', 'mul'} < set(before) and 'add' not in before


def test_an_export_costs_what_the_network_costs(short):
  trained = leaving.trained(direction='past', **leaving.MOBILE)
  _, *expected = cost.network(trained.module(), (1, 1, 32, 32, 3))
  made = graph.create(trained, 'step', 1)
  assert cost.multiply_adds(made.function, *made.shapes()) == tuple(expected)


@pytest.mark.parametrize(
  ('fields', 'what', 'message'),
  [
    ({'modality': 'flow'}, 'clip', "model.modality is 'flow'"),
    ({}, 'step', "model.direction is 'both'"),
    ({'direction': 'past', 'non_local': True}, 'step', 'model.non_local'),
  ],
)
def test_what_cannot_leave_is_refused(fields, what, message):
  with pytest.raises(errors.InputError, match=message):
    graph.create(leaving.trained(**fields), what, 1)


def test_a_model_that_never_looks_ahead_leaves_as_a_step():
  assert graph.default_kind(leaving.trained(direction='past')) == 'step'
  assert graph.default_kind(leaving.trained()) == 'clip'
  pooled = leaving.trained(direction='past', temporal_pool=True)
  assert graph.default_kind(pooled) == 'clip'
