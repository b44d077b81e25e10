"""The temporal shift where nothing trains, see `folding`."""

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax.models import shift, shift_forms
from tsm_jax.models.layers import behind, parts


def shifted(module, x, native, by_products, beside):
  """What a shift makes of its input.

  Args:
    module: a `temporal_shift.TemporalShift`.
    x: `[B * T, H, W, C]`, an array or `parts.Parts`.
    native: see `folding.folded`.
    by_products: see there.
    beside: see there.

  Returns:
    What the convolutions behind it take: an array, `parts.Parts` or
    `behind.Behind`; or None if the layer itself is to shift.
  """
  if beside and module.beside:
    x = parts.Parts(x[..., : module.beside], x)
  if isinstance(x, parts.Parts):
    return _of_parts(module, x, native)
  one_frame = module.streaming and module.num_frames == 1
  if by_products and one_frame:
    return _by_products(module, x)
  if not native or one_frame:
    return _of_one_array(module, x)
  return None


def _of_one_array(module, x):
  """A shift of `[B * T, H, W, C]`, or of one frame behind its cache."""
  if module.streaming:
    cache = module.get_variable('cache', 'past')
    fold = cache.shape[-1]
    if not fold:  # too few channels to move any
      return x
    module.put_variable('cache', 'past', x[..., :fold])
    return jnp.concatenate([cache, x[..., fold:]], axis=-1)
  clips = x.reshape((-1, module.num_frames, *x.shape[1:]))
  y = shift.concatenated_shift(clips, module.fold_div, module.direction)
  return y.reshape(x.shape)


def _by_products(module, x):
  """All features `[B, H, W, C]` as `behind.Behind` their cache."""
  cache = module.get_variable('cache', 'past')
  fold = cache.shape[-1]
  if not fold:
    return x
  first = np.eye(x.shape[-1], fold, dtype=np.float32)[None, None]
  following = jax.lax.conv_general_dilated(
    x, first, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  module.put_variable('cache', 'past', following)
  return behind.Behind(jnp.concatenate([cache, x], axis=-1), fold)


def _of_parts(module, x, native):
  """Of `parts.Parts`.

  Here a selection is faster than a concatenation on CPUs: what it reads lies
  there, see `residual`, and nothing but what moves is selected.
  """
  y = x.moved
  clips = y.reshape((-1, module.num_frames, *y.shape[1:]))
  if module.streaming:
    cache = module.get_variable('cache', 'past')
    module.put_variable('cache', 'past', clips[:, -1])
    before = [cache[:, None]]
    if module.num_frames > 1:  # ONNX knows no empty parts
      before.append(clips[:, :-1])
    clips = jnp.concatenate(before, axis=1)
  else:
    steps = shift.STEPS[module.direction]
    form = 'select' if native else 'concatenate'
    fold = y.shape[-1] // len(steps)
    clips = shift_forms.shifted(clips, fold, steps, form)
  return parts.Parts(clips.reshape(y.shape), x.rest)
