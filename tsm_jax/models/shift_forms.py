"""Ways to write the temporal shift. They differ in what a compiler makes of it.

All give the same values, and gradients that differ by the order of sums.
"""

import jax
import jax.numpy as jnp

FORMS = ('auto', 'select', 'pad', 'concatenate', 'roll', 'fused')
# The way of 'auto', by the platform and by what is compiled: on a TPU the one
# whose program moves least, on a CPU the fastest, see docs/performance.md.
TABLE = {
  ('cpu', 'inference'): 'concatenate',
  ('cpu', 'training'): 'concatenate',
  ('tpu', 'training'): 'fused',
  ('tpu', 'inference'): 'fused',
}
DEFAULT = 'select'


def choose(form, platform, use):
  """The way that is taken.

  Args:
    form: one of `FORMS`. 'auto' is what `TABLE` says, and so is 'fused' in
      inference: without a backward pass, a TPU alone gains by it.
    platform: 'cpu', 'gpu' or 'tpu', or None for any.
    use: 'inference' or 'training'.

  >>> choose('auto', 'tpu', 'training'), choose('auto', 'cpu', 'training')
  ('fused', 'concatenate')
  >>> choose('roll', 'tpu', 'training'), choose('fused', 'cpu', 'inference')
  ('roll', 'concatenate')
  """
  if form == 'auto' or (form == 'fused' and use == 'inference'):
    return TABLE.get((platform, use), DEFAULT)
  return form


def shifted(x, fold, steps, form):
  """Moves groups of channels between the frames of clips.

  Args:
    x: `[B, T, H, W, C]`.
    fold: channels of a group.
    steps: of each group, from the first channel on: 1 takes the next frame, -1
      the previous one. The channels behind the groups stay.
    form: one of `FORMS` but 'auto'; 'fused' without its product is 'pad'.

  Returns:
    `[B, T, H, W, C]`, same dtype.
  """
  if not fold:
    return x
  if form == 'concatenate':
    return _concatenated(x, fold, steps)
  view = {'select': _joined, 'roll': _rolled}.get(form, padded)
  return selected(x, {step: view(x, step) for step in steps}, fold, steps)


def _concatenated(x, fold, steps):
  parts = [
    _joined(x[..., i * fold : (i + 1) * fold], step)
    for i, step in enumerate(steps)
  ]
  rest = x[..., len(parts) * fold :]  # ONNX knows no empty parts
  return jnp.concatenate([*parts, rest] if rest.shape[-1] else parts, axis=-1)


def selected(x, views, fold, steps):
  """Of each group of channels its view, of the others `x`."""
  channel = jnp.arange(x.shape[-1])
  *others, last = steps
  moved = views[last]
  for i, step in reversed(list(enumerate(others))):
    moved = jnp.where(channel < (i + 1) * fold, views[step], moved)
  if len(steps) * fold == x.shape[-1]:
    return moved
  return jnp.where(channel < len(steps) * fold, moved, x)


def _joined(x, step):
  """The next frames (`step=1`) or the previous ones (-1); zeros at the end."""
  no_frame = jnp.zeros_like(x[:, :1])
  if x.shape[1] == 1:  # ONNX knows no empty parts
    return no_frame
  parts = [x[:, 1:], no_frame] if step == 1 else [no_frame, x[:, :-1]]
  return jnp.concatenate(parts, axis=1)


def padded(x, step, axis=1, more=None):
  """`_joined` as one operation: a padding that is negative at one end.

  Args:
    x: clips.
    step: see `_joined`; 0 is the same frame.
    axis: of the frames.
    more: zeros that other axes get, `{axis: (before, after)}`.
  """
  config = [(0, 0, 0)] * x.ndim
  for at, ends in {**(more or {}), axis: (-step, step)}.items():
    config[at] = (*ends, 0)
  return jax.lax.pad(x, jnp.zeros((), x.dtype), config)


def _rolled(x, step):
  """`_joined` as a rotation whose first or last frame is cleared."""
  frame = jnp.arange(x.shape[1]).reshape((-1, *(1,) * (x.ndim - 2)))
  empty = frame == (x.shape[1] - 1 if step == 1 else 0)
  return jnp.where(empty, 0, jnp.roll(x, -step, axis=1)).astype(x.dtype)
