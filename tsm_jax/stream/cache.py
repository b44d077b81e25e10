"""One frame at a time through a model that never looks ahead.

The state between two frames is a pytree of arrays, the cache. A batch holds
several streams, each of which can be reset at any frame.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors
from tsm_jax.models import classifier


def init_cache(model, batch_size, image_size):
  """The cache before the first frame.

  Args:
    model: from `models.create_model`, with `direction='past'`.
    batch_size: number of streams.
    image_size: side of square frames in pixels, or `(height, width)`.

  Returns:
    A pytree of zeros: `[B, H', W', C // fold_div]` for every shift, in the
    dtype of the computation; empty if there are no shifts.

  Raises:
    InputError: if the model needs future frames or whole clips.

  >>> import jax
  >>> from tsm_jax import models, stream
  >>> model = models.create_model(
  ...   {'stage_sizes': (1,), 'width': 8, 'num_classes': 3, 'direction': 'past'}
  ... )
  >>> cache = stream.init_cache(model, batch_size=2, image_size=32)
  >>> jax.tree.map(lambda x: x.shape, cache)
  {'layer1_0': {'shift': {'past': (2, 8, 8, 1)}}}
  """
  height, width = np.broadcast_to(image_size, 2).tolist()
  channels = classifier.CHANNELS[model.modality]
  shape = (batch_size, 1, height, width, channels)
  frames = jax.ShapeDtypeStruct(shape, jnp.float32)
  shapes = jax.eval_shape(_streaming(model).init, jax.random.key(0), frames)
  return jax.tree.map(
    lambda x: jnp.zeros(x.shape, x.dtype), shapes.get('cache', {})
  )


def step(model, variables, cache, frames, reset=None):
  """Classifies the current frame of every stream.

  Args:
    model: from `models.create_model`, with `direction='past'`.
    variables: 'params' and 'batch_stats' of the model.
    cache: from `init_cache` or the previous step; it is not changed.
    frames: `[B, H, W, C]` float, normalised.
    reset: bool `[B]`; where it is true, the stream starts anew at this frame.

  Returns:
    `(logits, cache)`: `[B, num_classes]` float32 for this frame, and the cache
    for the next one.

  Raises:
    InputError: if the model needs future frames or whole clips.
    ValueError: if `cache` is for frames of another shape.

  >>> import jax
  >>> import jax.numpy as jnp
  >>> from tsm_jax import models, stream
  >>> model = models.create_model(
  ...   {'stage_sizes': (1,), 'width': 8, 'num_classes': 3, 'direction': 'past'}
  ... )
  >>> video = jnp.zeros((4, 1, 32, 32, 3))  # four frames of one stream
  >>> variables = jax.jit(model.init)(jax.random.key(0), video[None, 0])
  >>> step = jax.jit(stream.step, static_argnums=0)
  >>> cache = stream.init_cache(model, batch_size=1, image_size=32)
  >>> for frames in video:
  ...   logits, cache = step(model, variables, cache, frames)
  >>> logits.shape
  (1, 3)
  """
  logits, cache = run(model, variables, cache, frames[:, None], reset)
  return logits[:, 0], cache


def run(model, variables, cache, frames, reset=None):
  """Classifies frames of every stream that follow each other.

  It is `step` for one after the other, in one pass over the network: what is
  known already, such as a file, takes fewer and larger operations so.

  Args:
    model: from `models.create_model`, with `direction='past'`.
    variables: 'params' and 'batch_stats' of the model.
    cache: from `init_cache` or what came before; it is not changed.
    frames: `[B, T, H, W, C]` float, normalised.
    reset: bool `[B]`; where it is true, the stream starts anew at the first of
      these frames.

  Returns:
    `(logits, cache)`: `[B, T, num_classes]` float32 for these frames, and the
    cache for the next ones.

  Raises:
    InputError: if the model needs future frames or whole clips.
    ValueError: if `cache` is for frames of another shape.

  >>> import jax
  >>> import jax.numpy as jnp
  >>> from tsm_jax import models, stream
  >>> model = models.create_model(
  ...   {'stage_sizes': (1,), 'width': 8, 'num_classes': 3, 'direction': 'past'}
  ... )
  >>> video = jnp.zeros((1, 4, 32, 32, 3))  # four frames of one stream
  >>> variables = jax.jit(model.init)(jax.random.key(0), video)
  >>> cache = stream.init_cache(model, batch_size=1, image_size=32)
  >>> run = jax.jit(stream.run, static_argnums=0)
  >>> logits, cache = run(model, variables, cache, video)
  >>> logits.shape
  (1, 4, 3)
  """
  if reset is not None:
    cache = jax.tree.map(lambda x: _zero_rows(x, reset), cache)
  logits, state = _streaming(model).apply(
    {**variables, 'cache': cache}, frames, mutable=['cache']
  )
  return logits, state.get('cache', {})


def _zero_rows(x, rows):
  rows = jnp.asarray(rows).reshape((-1, *(1,) * (x.ndim - 1)))
  return jnp.where(rows, jnp.zeros_like(x), x)


def _streaming(model):
  """The model that goes on with the past in a cache, frame by frame."""
  if model.shift != 'none' and model.direction != 'past':
    raise errors.InputError(
      f'model.direction is {model.direction!r}, which needs the next frame; a '
      "stream needs a model that was trained with 'past'."
    )
  for field in ('non_local', 'temporal_pool'):
    if getattr(model, field, False):
      raise errors.InputError(
        f'model.{field} is True, which needs whole clips; a stream needs a '
        'model that was trained with False.'
      )
  return model.clone(streaming=True, consensus='none')
