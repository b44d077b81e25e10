import contextlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import helpers
from tsm_jax import program, sharding
from tsm_jax.models import compiler_options, folding

SIZE = compiler_options.SMALL_FRAME + 8


def test_only_the_training_of_large_frames_on_a_cpu_has_options():
  for platform in ('gpu', 'tpu'):
    assert compiler_options.for_training(platform, SIZE) is None
  small = compiler_options.SMALL_FRAME
  assert compiler_options.for_training('cpu', small) is None
  found = compiler_options.for_training('cpu', small + 1)
  # Another jax may have an XLA that does not know them.
  known = jax.__version__.startswith(('0.10.', '0.11.'))
  assert found == compiler_options.SUMS or (found is None and not known)


def test_only_the_inference_of_large_folded_frames_has_options():
  unchanged, folded = contextlib.nullcontext, folding.folded
  assert compiler_options.for_inference(unchanged, SIZE) is None
  small = compiler_options.SMALL_FRAME
  assert compiler_options.for_inference(folded, small) is None
  found = compiler_options.for_inference(folded, small + 1)
  known = jax.__version__.startswith(('0.10.', '0.11.'))
  assert found == compiler_options.NO_LIBRARY or (found is None and not known)


@pytest.mark.parametrize(
  'options',
  [
    {'xla_cpu_of_no_version': 'x'},
    {'xla_cpu_experimental_ynn_fusion_type': 'OF_NO_VERSION'},
  ],
)
def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch, options):
  monkeypatch.setattr(compiler_options, 'SUMS', options)
  assert compiler_options.for_training('cpu', SIZE) is None


def test_a_step_gives_the_same_numbers_with_and_without_options(monkeypatch):
  changes = {'batch_size': 2, 'model__num_frames': 2, 'data__image_size': SIZE}
  config = helpers.tiny_config('', '', model__stage_sizes=(1,), **changes)
  mesh = sharding.create_mesh(jax.devices()[:1])
  rng = np.random.default_rng(0)
  batch = {
    'frames': rng.integers(256, size=(2, 2, SIZE, SIZE, 3)).astype(np.uint8),
    'label': np.arange(2, dtype=np.int32),
  }
  found = []
  for small_frame in (compiler_options.SMALL_FRAME, SIZE):
    monkeypatch.setattr(compiler_options, 'SMALL_FRAME', small_frame)
    built = program.build(config, mesh, 4, 160)
    key = jax.random.key(0)
    state, values = built.train_step(built.init(key), batch, key)
    assert jnp.isfinite(values['loss'])
    found.append((state.params, state.batch_stats, values))
  chex.assert_trees_all_close(*found, rtol=1e-4, atol=1e-5)
