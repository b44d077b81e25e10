"""Networks, clips and variables for tests of models."""

import jax
import numpy as np

from tsm_jax import models

CONFIG = {**models.DEFAULTS, 'num_classes': 10}


def clips(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def tiny_variables(model, frames):
  """Random variables, none at its initial value; nothing is compiled."""
  shapes = models.shapes(model, frames.shape)
  rng = np.random.default_rng(1)

  def draw(path, x):
    noise = rng.normal(size=x.shape).astype(np.float32)
    if path[-1].key == 'kernel':
      return np.sqrt(2 / x.size * x.shape[-1], dtype=np.float32) * noise
    if path[-1].key == 'var':
      return 1 + 0.1 * abs(noise)
    return (path[-1].key == 'scale') + 0.1 * noise

  return jax.tree_util.tree_map_with_path(draw, shapes)


def num_parameters(config, channels=3):
  model = models.create_model(config)
  variables = models.shapes(model, (1, 8, 64, 64, channels))
  return sum(x.size for x in jax.tree.leaves(variables['params']))
