"""A model that nobody trained, for what depends on its shapes alone."""

import jax
import numpy as np

from tsm_jax import checkpoints, models
from tsm_jax.data.input import preprocess


def trained(config):
  """A `checkpoints.TrainedModel` of a configuration, with random weights.

  The same configuration gives the same weights. Nothing is compiled.

  Args:
    config: a whole configuration.

  Raises:
    InputError: if a field has an impossible value.
  """
  how = preprocess.Preprocessing.from_config(config)
  shapes = models.shapes(models.create_model(config.model), how.clip_shape())
  labels = list(map(str, range(config.model.num_classes)))
  return checkpoints.TrainedModel(
    config.model, _random(shapes), labels, how, {}, 0
  )


def _random(shapes):
  """Variables that keep the size of activations."""
  rng = np.random.default_rng(0)

  def draw(path, x):
    if path[-1].key == 'kernel':
      scale = np.float32(np.sqrt(2 * x.shape[-1] / x.size))
      return scale * rng.standard_normal(x.shape, np.float32)
    return np.full(x.shape, path[-1].key in ('var', 'scale'), np.float32)

  return jax.tree_util.tree_map_with_path(draw, shapes)
