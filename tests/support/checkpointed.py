"""Runs that have saved, without a training."""

import functools

import jax
import numpy as np

from support import helpers
from tsm_jax import program, sharding
from tsm_jax.program import checks
from tsm_jax.runs import checkpoints, identity

LABELS = ['jump', 'run']


@functools.cache
def shapes(**fields):
  """`(config, state)` of the tiny configuration: resolved, and shapes."""
  mesh = sharding.create_mesh(jax.devices()[:1])
  config = helpers.tiny_config('', '', checkpoint__keep_best=2, **fields)
  state = program.build(config, mesh, 2, 20).arguments[0]
  return checks.resolve(config, mesh, 2), state


def filled(state, value):
  """A state on the host, of numbers that tell it from another one's."""
  rng = np.random.default_rng(value)
  state = jax.tree.map(
    lambda x: rng.uniform(size=x.shape).astype(x.dtype), state
  )
  return state._replace(step=np.asarray(value, np.int32))


def variables(state):
  return {'params': state.params, 'batch_stats': state.batch_stats}


def meta(config):
  return {**identity.describe(config, LABELS, 'data'), 'window': []}


def save(workdir, steps=(10, 20), best=((10, 0.5), (20, 0.75)), **fields):
  """Saves states and best models in a workdir."""
  config, state = shapes(**fields)
  kept = checkpoints.Checkpoints(workdir, config.checkpoint)
  for step in steps:
    whole = filled(state, step)
    kept.save(whole, variables(whole), meta(config))
  for step, top1 in best:
    whole = filled(state, step)
    kept.save_best(step, variables(whole), meta(config), top1)
  kept.wait()
  return workdir
