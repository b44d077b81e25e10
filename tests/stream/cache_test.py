import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import golden, nets
from tsm_jax import convert, models, stream
from tsm_jax.models import bn_inception, mobilenet_v2

CONFIG = {**nets.CONFIG, 'direction': 'past'}


def test_recorded_online_logits_and_caches():
  case = golden.case('online_mbv2_224_4frames')
  weights = golden.weights(golden.shapes('online_mbv2_jester'))
  assert len(weights) == case['n_keys']
  config, variables = convert.from_torch(weights)
  model = models.create_model(config)
  frames = np.random.RandomState(7).randn(4, 3, 224, 224).astype(np.float32)
  frames = frames.transpose((0, 2, 3, 1))
  step = jax.jit(stream.step, static_argnums=0)
  cache = stream.init_cache(model, 1, 224)
  for frame, expected, sums in zip(frames, case['logits'], case['cache_sums']):
    logits, cache = step(model, variables, cache, frame[None])
    np.testing.assert_allclose(logits[0], expected, rtol=1e-4, atol=1e-5)
    in_order = [
      cache[f'block{i}']['shift']['past']
      for i in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)
    ]
    found = [float(x.sum()) for x in in_order]
    np.testing.assert_allclose(found, sums, rtol=1e-4, atol=1e-3)


def test_cache_of_mobilenet():
  config = {**CONFIG, 'name': 'mobilenet_v2'}
  cache = stream.init_cache(models.create_model(config), 1, 224)
  shapes = [
    cache[f'block{i}']['shift']['past'].shape[1:] for i in (3, 5, 8, 12)
  ]
  assert shapes == [(56, 56, 3), (28, 28, 4), (14, 14, 8), (14, 14, 12)]
  assert cache['block15']['shift']['past'].shape == (1, 7, 7, 20)
  assert len(jax.tree.leaves(cache)) == 10
  assert sum(x.size for x in jax.tree.leaves(cache)) == 27_048


def test_cache_of_resnet():
  cache = stream.init_cache(models.create_model(CONFIG), 2, (224, 224))
  assert sum(x.size for x in jax.tree.leaves(cache)) == 2 * 702_464
  assert not any(np.any(x) for x in jax.tree.leaves(cache))
  small = {**CONFIG, 'stage_sizes': (1,), 'width': 8}
  model = models.create_model({**small, 'dtype': 'bfloat16'})
  chex.assert_type(jax.tree.leaves(stream.init_cache(model, 1, 64)), 'bfloat16')
  tsn = models.create_model({**small, 'shift': 'none'})
  assert stream.init_cache(tsn, 1, 64) == {}


@pytest.mark.parametrize(
  'fields',
  [
    {'stage_sizes': (2, 1), 'width': 16, 'shift': 'blockres', 'fold_div': 3},
    {'stage_sizes': (2, 1), 'width': 16, 'shift': 'block'},
    {'stage_sizes': (1, 1), 'width': 16, 'shift': 'none'},
    {'name': 'mobilenet_v2', 'width_multiplier': 0.5},
    {'name': 'bn_inception', 'shift': 'block'},
  ],
)
def test_a_stream_is_the_clip_frame_by_frame(fields, monkeypatch):
  monkeypatch.setattr(mobilenet_v2, 'STAGES', mobilenet_v2.STAGES[:3])
  units = {name: bn_inception.UNITS[name] for name in ('3a', '3c', '5b')}
  monkeypatch.setattr(bn_inception, 'UNITS', units)
  model = models.create_model({**CONFIG, **fields})
  frames = nets.clips(2, 5, 32, 64, 3)
  variables = nets.tiny_variables(model, frames)
  offline = jax.jit(model.clone(consensus='none').apply)(variables, frames)
  cache = stream.init_cache(model, 2, (32, 64))
  step = jax.jit(stream.step, static_argnums=0)
  online = []
  for t in range(5):
    logits, cache = step(model, variables, cache, frames[:, t])
    online.append(logits)
  chex.assert_trees_all_close(
    np.stack(online, 1), offline, rtol=1e-4, atol=1e-5
  )
  if fields.get('shift') == 'blockres':
    mean = jax.jit(model.apply)(variables, frames)
    chex.assert_trees_all_close(mean, offline.mean(axis=1), rtol=1e-5)


@pytest.fixture(scope='module', params=['resnet', 'mobilenet_v2'])
def contract(request):
  """Fields of a tiny network, its variables, and two streams of six frames.

  With them come its logits, by whole clips.
  """
  fields = {
    'resnet': {'stage_sizes': (1, 1), 'width': 8},
    'mobilenet_v2': {'width_multiplier': 0.25},
  }[request.param]
  fields = {**CONFIG, **fields, 'name': request.param}
  frames = nets.clips(2, 6, 32, 32, 3)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(mobilenet_v2, 'STAGES', mobilenet_v2.STAGES[:2])
    model = models.create_model(fields)
    variables = nets.tiny_variables(model, frames)
    yield fields, variables, frames, in_clips(model, variables, frames)


def in_chunks(model, variables, frames, size):
  """Logits `[B, T, K]` of a stream; row 1 starts anew at the frame 3."""
  run, step = (jax.jit(f, static_argnums=0) for f in (stream.run, stream.step))
  cache, found = stream.init_cache(model, len(frames), 32), []
  for t in range(0, frames.shape[1], size):
    reset = np.array([False, t == 3])
    if size == 1:
      logits, cache = step(model, variables, cache, frames[:, t], reset)
      logits = logits[:, None]
    else:
      chunk = frames[:, t : t + size]
      logits, cache = run(model, variables, cache, chunk, reset)
    found.append(logits)
  return np.concatenate(found, axis=1)


def in_clips(model, variables, frames):
  """The same by whole clips, which know no cache."""
  clip = jax.jit(model.clone(consensus='none').apply)
  found = np.array(clip(variables, frames))
  found[1, 3:] = clip(variables, frames[:, 3:])[1]
  return found


def test_any_chunks_of_a_stream_are_its_clips(contract):
  fields, variables, frames, expected = contract
  model, largest = models.create_model(fields), np.abs(expected).max()
  for size in (1, 3):
    found = in_chunks(model, variables, frames, size)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)
  whole = in_chunks(model, variables, frames, 6)[0]  # row 1 is never reset
  np.testing.assert_allclose(whole, expected[0], rtol=0, atol=1e-5 * largest)


def test_in_bfloat16_a_stream_is_its_clips_to_two_hundredths(contract):
  fields, variables, frames, exact = contract
  model = models.create_model({**fields, 'dtype': 'bfloat16'})
  expected, largest = in_clips(model, variables, frames), np.abs(exact).max()
  found = in_chunks(model, variables, frames, 1)
  np.testing.assert_allclose(found, expected, rtol=0, atol=2e-2 * largest)
  np.testing.assert_allclose(found, exact, rtol=0, atol=2e-2 * largest)


def test_reset_makes_only_its_row_new():
  fields = {'stage_sizes': (2, 1), 'width': 16}
  model = models.create_model({**CONFIG, **fields})
  frames = nets.clips(2, 2, 32, 32, 3)
  variables = nets.tiny_variables(model, frames)
  step = jax.jit(stream.step, static_argnums=0)
  empty = stream.init_cache(model, 2, 32)
  first, cache = step(model, variables, empty, frames[:, 0])
  second, kept = step(model, variables, cache, frames[:, 1])
  new, _ = step(model, variables, empty, frames[:, 1])
  mixed, after = step(
    model, variables, cache, frames[:, 1], np.array([False, True])
  )
  assert np.abs(second - new).max() > 1e-3 * np.abs(second).max()
  chex.assert_trees_all_close(mixed[0], second[0], rtol=1e-5)
  chex.assert_trees_all_close(mixed[1], new[1], rtol=1e-5)
  chex.assert_trees_all_equal_shapes_and_dtypes(after, kept)
  # The cache is a value: nothing of the first call has changed.
  again, _ = step(model, variables, empty, frames[:, 0])
  chex.assert_trees_all_equal(again, first)


def test_what_cannot_stream_is_named():
  for fields, match in (
    ({'direction': 'both'}, "direction is 'both'.*'past'"),
    ({'non_local': True}, 'non_local is True'),
    ({'temporal_pool': True}, 'temporal_pool is True'),
  ):
    model = models.create_model({**CONFIG, **fields})
    with pytest.raises(ValueError, match=match):
      stream.init_cache(model, 1, 64)
  model = models.create_model(CONFIG)
  with pytest.raises(ValueError, match='one frame at a time, got 8'):
    model.clone(streaming=True).init(
      jax.random.key(0), jnp.zeros((1, 8, 32, 32, 3))
    )
