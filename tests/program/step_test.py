"""The training step: in parts, on several devices, in less memory."""

import collections
import functools
import math
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import helpers, nets
from tsm_jax import errors, models, program, sharding
from tsm_jax.models import bn_inception, mobilenet_v2
from tsm_jax.program import step

COLLECTIVES = (
  'all-reduce',
  'all-gather',
  'reduce-scatter',
  'all-to-all',
  'collective-permute',
)


@functools.cache  # of tests that share a program, the first one compiles it
def build(devices=1, **changes):
  """The program of a tiny network of four classes, and its mesh."""
  usual = {'batch_size': 16, 'base_learning_rate': 1.0}
  usual['model__stage_sizes'] = (1,)
  config = helpers.tiny_config('', '', **{**usual, **changes})
  mesh = sharding.create_mesh(jax.devices()[:devices])
  return program.build(config, mesh, 4, 160), mesh


@functools.cache
def compiled(devices=1, **changes):
  """The compiled training step of `build`."""
  built, _ = build(devices, **changes)
  return built.train_step.lower(*built.arguments).compile()


def batch_of(number, size=16):
  """Random frames whose brightness tells the label."""
  rng = np.random.default_rng(number)
  label = rng.integers(4, size=size).astype(np.int32)
  frames = rng.integers(128, size=(size, 4, 32, 32, 3))
  frames += 32 * label.reshape((-1, 1, 1, 1, 1))
  return {'frames': frames.astype(np.uint8), 'label': label}


@functools.cache
def initial(stage_sizes):
  """The state at step 0, which only depends on the network."""
  changes = {'model__stage_sizes': stage_sizes} | (
    {'model__non_local': True} if len(stage_sizes) > 1 else {}
  )
  built, _ = build(**changes)
  return jax.device_get(built.init(jax.random.key(0)))


def train(devices=1, steps=4, order=slice(None), **changes):
  """The state after some steps, on the host, and the losses."""
  built, mesh = build(devices, **changes)
  step = compiled(devices, **changes)
  key = jax.device_put(jax.random.key(0), sharding.replicated(mesh))
  start = initial(changes.get('model__stage_sizes', (1,)))
  state, losses = jax.device_put(start, built.shardings), []
  for number in range(steps):
    batch = {k: v[order] for k, v in batch_of(number).items()}
    state, values = step(state, sharding.to_devices(batch, mesh), key)
    losses.append(float(values['loss']))
  return jax.device_get(state), losses


def collectives(text):
  """How many values a step's collectives give, by their kind."""
  found = collections.Counter()
  pattern = rf'= (.*?) ({"|".join(COLLECTIVES)})(?:-start)?\('
  for shapes, kind in re.findall(pattern, text):
    for sides in re.findall(r'\w+\[([\d,]*)\]', shapes):
      found[kind] += math.prod(map(int, filter(None, sides.split(','))))
  return found


def count(tree):
  return sum(math.prod(x.shape) for x in jax.tree.leaves(tree))


def test_fsdp_trains_as_data_parallel_and_one_device_do():
  whole, losses = train()
  assert losses[-1] < 0.9 * losses[0]  # it learns, so equality says something
  for fsdp in (False, True):
    state, same = train(8, fsdp=fsdp)
    np.testing.assert_allclose(same, losses, rtol=1e-5)
    chex.assert_trees_all_close(state, whole, rtol=1e-4, atol=1e-6)


def test_no_device_computes_or_holds_what_is_another_ones():
  one, _ = build()
  alone = compiled()
  flops = alone.cost_analysis()['flops']
  state = one.arguments[0]
  params, stats = count(state.params), count(state.batch_stats)
  kernels = sum(x.size for x in jax.tree.leaves(state.params) if x.ndim > 1)
  assert kernels > 0.9 * params
  assert not collectives(alone.as_text())

  held = {}
  for fsdp in (False, True):
    done = compiled(8, fsdp=fsdp)
    # The optimiser's is the only work that data parallel devices repeat.
    assert 8 * done.cost_analysis()['flops'] == pytest.approx(flops, rel=0.03)
    held[fsdp] = done.memory_analysis().argument_size_in_bytes
    found = collectives(done.as_text())
    # Gradients, moments forwards and their gradients backwards, two metrics
    # and the gradient's norm; were activations sent, it would be 10 times that.
    assert params <= found.pop('all-reduce') <= params + 3 * stats + 10
    assert found.pop('all-gather', 0) == (kernels if fsdp else 0)
    assert not found
  # Parameters and momentum, four bytes each: seven eighths of the kernels'.
  assert held[False] - held[True] == 2 * 4 * kernels * 7 // 8


def test_kernels_are_split_along_their_largest_even_axis():
  mesh = sharding.create_mesh()
  spec = jax.sharding.PartitionSpec
  shapes = [(3, 3, 16, 24), (3, 3, 16, 20), (7, 7, 3, 12), (64,), ()]
  specs = [spec(*(None,) * 3, 'data'), spec(None, None, 'data', None)]
  specs += [spec()] * 3
  found = sharding.fully_sharded([np.zeros(shape) for shape in shapes], mesh)
  assert [s.spec for s in found] == specs


def residual_bytes(**fields):
  """Bytes that the forward pass of a network keeps for the backward pass."""
  model = models.create_model(
    {**models.DEFAULTS, 'num_classes': 3, 'dropout': 0.0, **fields}
  )
  frames = jax.ShapeDtypeStruct((2, 8, 64, 64, 3), np.float32)
  variables = jax.eval_shape(model.init, jax.random.key(0), frames)

  def pull_back(variables, frames):
    def apply(params):
      return model.apply(
        {**variables, 'params': params}, frames, True, mutable=['batch_stats']
      )

    return jax.vjp(apply, variables['params'])[1]

  kept = jax.eval_shape(pull_back, variables, frames)
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(kept))


@pytest.fixture
def short(monkeypatch):
  """MobileNetV2 of three stages, BNInception of its first four units."""
  stages = (*mobilenet_v2.STAGES[:2], (6, 32, 2, 2))
  monkeypatch.setattr(mobilenet_v2, 'STAGES', stages)
  units = {name: bn_inception.UNITS[name] for name in ('3a', '3b', '3c', '4a')}
  monkeypatch.setattr(bn_inception, 'UNITS', units)


@pytest.mark.parametrize(
  'fields',
  [
    {'depth': 50, 'stage_sizes': (2, 2), 'temporal_pool': True},
    pytest.param({'name': 'mobilenet_v2'}, marks=pytest.mark.slow),
    pytest.param(
      {'name': 'bn_inception', 'shift': 'block'}, marks=pytest.mark.slow
    ),
  ],
  ids=lambda fields: fields.get('name', 'resnet'),
)
def test_remat_keeps_less(fields, short):
  none, block, stage = (
    residual_bytes(remat=remat, **fields)
    for remat in ('none', 'block', 'stage')
  )
  # A network keeps its parameters, too.
  assert none > 1.5 * block and block > stage


LARGER = {
  'model__stage_sizes': (1, 1),
  'model__non_local': True,
  'model__dropout': 0.5,
}


@pytest.mark.parametrize('remat', ['block', 'stage'])
def test_remat_changes_no_number(remat):
  chex.assert_trees_all_close(
    train(steps=2, model__remat=remat, **LARGER),
    train(steps=2, **LARGER),
    rtol=1e-4,
    atol=1e-6,
  )
  plain, again = (
    compiled(**changes, **LARGER).cost_analysis()['flops']
    for changes in ({}, {'model__remat': remat})
  )
  assert 1.05 < again / plain < 4 / 3  # at most the forward pass again


@pytest.mark.slow
@pytest.mark.parametrize('name', ['mobilenet_v2', 'bn_inception'])
def test_remat_changes_no_gradient_of_other_networks(name, short):
  shift = 'block' if name == 'bn_inception' else 'blockres'
  frames = np.random.default_rng(0).normal(size=(2, 4, 32, 32, 3))
  found = []
  for remat in ('none', 'stage'):
    config = {**models.DEFAULTS, 'name': name, 'shift': shift, 'remat': remat}
    config.update(num_classes=3, num_frames=4, dropout=0.0)
    model = models.create_model(config)
    variables = nets.tiny_variables(model, frames)
    assert variables.keys() == {'params', 'batch_stats'}
    params, stats = variables['params'], variables['batch_stats']
    gradient = jax.jit(step.make_gradient(model, 0.0))
    batch = frames.astype(np.float32), np.array([0, 2])
    found.append(gradient(params, stats, batch, jax.random.key(1)))
  chex.assert_trees_all_close(*found, rtol=1e-3, atol=1e-4)
  moved = jax.tree.map(lambda a, b: (a != b).any(), stats, found[1][0][0])
  assert all(jax.tree.leaves(moved))


def test_bfloat16_computes_in_half_and_keeps_everything_in_float32():
  half = {'model__dtype': 'bfloat16', **LARGER}
  state, losses = train(**half)
  _, expected = train(**LARGER)
  np.testing.assert_allclose(losses, expected, rtol=0.03)
  kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(state)}
  assert kinds == {'float32', 'int32'}  # steps are counted
  built, _ = build(**half)
  text = built.train_step.lower(*built.arguments).as_text()
  products = re.findall(r'stablehlo\.(?:convolution|dot_general).*', text)
  assert len(products) > 20
  # All but the loss: the head's gradient is float32 in no product either.
  assert all('xbf16>' in p and 'xf32>' not in p for p in products)


INTERLEAVED = np.arange(16).reshape(-1, 2).T.ravel()  # 0, 2, .., 1, 3, ..


def test_accumulation_is_the_step_of_ghost_batches():
  expected = train(
    order=INTERLEAVED, model__bn_stats='ghost', model__ghost_clips=8
  )
  found = train(8, fsdp=True, accumulation=2)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)
  _, losses = train()
  assert abs(np.subtract(losses, expected[1])).max() > 0.005  # another thing


def test_accumulation_is_the_large_batch_where_bn_is_frozen():
  fields = {'model__bn_stats': 'frozen', 'label_smoothing': 0.1}
  state, losses = expected = train(**fields)
  assert losses[-1] < losses[0]
  for stats in state.batch_stats.values():
    assert not stats.get('mean', np.zeros(1)).any()
  found = train(accumulation=4, **fields)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


def test_accumulation_of_local_statistics_is_per_device_and_part():
  # Two clips of each of two parts on each of four devices; every frame's loss.
  each = {'model__consensus': 'frames', 'model__consensus_from': 2}
  parts = {'accumulation': 2, 'fsdp': True, 'label_smoothing': 0.1, **each}
  found = train(4, 2, model__bn_stats='local', **parts)
  parts = {'model__ghost_clips': 2, 'label_smoothing': 0.1, **each}
  expected = train(1, 2, INTERLEAVED, model__bn_stats='ghost', **parts)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-5)


def test_accumulation_keeps_less_and_communicates_no_clips():
  sizes = [
    compiled(8, **changes).memory_analysis().temp_size_in_bytes
    for changes in ({'fsdp': True}, {'fsdp': True, 'accumulation': 2})
  ]
  assert sizes[1] < 0.75 * sizes[0]
  found = collectives(compiled(8, fsdp=True, accumulation=2).as_text())
  assert found.keys() == {'all-reduce', 'all-gather'}
  built, _ = build(8, fsdp=True)
  assert found['all-gather'] <= count(built.arguments[0].params)
  parts = sharding.split_batch(jnp.arange(16), 2, sharding.create_mesh())
  np.testing.assert_array_equal(np.ravel(parts), INTERLEAVED)


def test_bad_values_are_one_sentence():
  mesh = sharding.create_mesh()
  for size, parts, message in (
    (24, 2, 'batch_size is 24.*accumulation=2.*multiple of 16, .* 16'),
    (16, 0, 'accumulation is 0; it must be at least 1'),
  ):
    with pytest.raises(errors.InputError, match=message):
      sharding.check_batch_size('batch_size', size, mesh, parts)
  with pytest.raises(errors.InputError, match=r"'all'.*'none', 'block'"):
    build(model__remat='all')
  with pytest.raises(errors.InputError, match='no kernel has an axis that 5'):
    build(5, fsdp=True, batch_size=15)
