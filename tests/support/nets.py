"""Networks, clips and variables for tests of models."""

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import models

CONFIG = {**models.DEFAULTS, 'num_classes': 10}


def clips(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def tiny_variables(model, frames):
  """Variables that are all away from their initial values."""
  variables = jax.jit(model.init)(jax.random.key(0), frames)
  rng = np.random.default_rng(1)

  def moved(path, x):
    step = 0.1 * rng.normal(size=x.shape).astype(np.float32)
    return x + (abs(step) if path[-1].key == 'var' else step)

  return jax.tree_util.tree_map_with_path(moved, variables)


def num_parameters(config, channels=3):
  model = models.create_model(config)
  frames = jnp.zeros((1, 8, 64, 64, channels))
  variables = jax.eval_shape(model.init, jax.random.key(0), frames)
  return sum(x.size for x in jax.tree.leaves(variables['params']))
