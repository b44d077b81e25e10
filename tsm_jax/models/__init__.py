"""Networks for video recognition: `create_model` makes one from its fields."""

import dataclasses
import functools

import jax
import numpy as np

from tsm_jax.models import bn_inception, mobilenet_v2, resnet
from tsm_jax.models import config as model_config

DEFAULTS = model_config.DEFAULTS


def create_model(config, platform=None):
  """Makes the Flax module that a configuration describes.

  Args:
    config: a mapping, for example a dict or a `ConfigDict`, with fields of
      `DEFAULTS`; a missing field has its default. `num_classes` is required.
      Without a mesh, `bn_stats='local'` is the whole batch: one device.
    platform: of the devices that run it, 'cpu', 'gpu' or 'tpu', if that is
      known. It decides how convolutions and shifts are written, which changes
      no number but by rounding.

  Returns:
    A module: `model.apply(variables, frames, train=False)` maps frames
    `[B, T, H, W, C]` (float, normalised) to logits `[B, num_classes]`.

  Raises:
    InputError: if a field is unknown or has an impossible value; it names the
      field, the value and the choices.

  >>> import jax
  >>> import jax.numpy as jnp
  >>> from tsm_jax import models
  >>> model = models.create_model({'depth': 18, 'num_classes': 10})
  >>> frames = jnp.zeros((2, 8, 64, 64, 3))
  >>> variables = jax.eval_shape(model.init, jax.random.key(0), frames)
  >>> jax.eval_shape(model.apply, variables, frames)
  ShapeDtypeStruct(shape=(2, 10), dtype=float32)
  """
  config = model_config.complete(config)
  model_config.check(config)
  network = _NETWORKS[config['name']]
  attributes = {field.name for field in dataclasses.fields(network)} - {'name'}
  fields = {k: v for k, v in config.items() if k in attributes}
  fields['platform'] = platform
  fields['frozen_bn'] = config['bn_stats'] == 'frozen'
  if config['bn_stats'] != 'ghost':
    fields['ghost_clips'] = 0
  if config['name'] == 'resnet':
    bottleneck, stage_sizes = resnet.DEPTHS[config['depth']]
    fields['bottleneck'] = bottleneck
    fields['stage_sizes'] = tuple(config['stage_sizes']) or stage_sizes
  return network(**fields)


@functools.lru_cache(maxsize=16)  # a command asks for them several times
def shapes(model, clip_shape):
  """The shapes of a model's variables, which nobody changes.

  Args:
    model: from `create_model`.
    clip_shape: `(1, T, H, W, C)`.

  Returns:
    A dict of params and batch_stats, trees of `jax.ShapeDtypeStruct`.
  """
  if model.platform:  # they are the same on all
    return shapes(model.clone(platform=None), clip_shape)
  frames = jax.ShapeDtypeStruct(clip_shape, np.float32)
  return jax.eval_shape(model.init, jax.random.key(0), frames)


_NETWORKS = {
  'resnet': resnet.ResNet,
  'mobilenet_v2': mobilenet_v2.MobileNetV2,
  'bn_inception': bn_inception.BNInception,
}
