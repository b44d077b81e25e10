"""A model of direction 'past', one frame at a time (paper, section 4.2).

The state between two frames is a pytree of arrays, so that a batch of streams
is a batch of rows: each may begin anew at any frame.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors
from tsm_jax.models import classifier


def init_cache(model, batch_size, image_size):
  """The cache before the first frame.

  Args:
    model: a module of `models.create_model` with direction 'past'.
    batch_size: number of streams.
    image_size: side of the square frames, or (height, width).

  Returns:
    A pytree of zeros, for every shift `[B, H', W', C // fold_div]` of its
    input's dtype; empty without shifts.

  Raises:
    InputError: if the model needs frames other than the present and the past.
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
  """Classifies the present frame of every stream.

  Args:
    model: as of `init_cache`.
    variables: of the model, 'params' and 'batch_stats'.
    cache: of `init_cache` or the previous step; it is not changed.
    frames: `[B, H, W, C]` float, normalised.
    reset: bool `[B]`; streams for which it is true begin anew with this frame.

  Returns:
    `(logits, cache)`: `[B, num_classes]` float32 of this frame, and the cache
    for the next one.

  Raises:
    ValueError: as of `init_cache`, or if `cache` is for frames of another
      shape.
  """
  if reset is not None:
    cache = jax.tree.map(lambda x: _zero_rows(x, reset), cache)
  logits, state = _streaming(model).apply(
    {**variables, 'cache': cache}, frames[:, None], mutable=['cache']
  )
  return logits, state.get('cache', {})


def _zero_rows(x, rows):
  rows = jnp.asarray(rows).reshape((-1, *(1,) * (x.ndim - 1)))
  return jnp.where(rows, jnp.zeros_like(x), x)


def _streaming(model):
  """The model in its form for one frame, which keeps the past in a cache."""
  if model.shift != 'none' and model.direction != 'past':
    raise errors.InputError(
      f'model.direction is {model.direction!r}, which needs the next frame; a '
      f"stream needs 'past'."
    )
  for field in ('non_local', 'temporal_pool'):
    if getattr(model, field, False):
      raise errors.InputError(
        f'model.{field} is True, which needs whole clips; a stream needs False.'
      )
  return model.clone(streaming=True, consensus='mean')
