"""The answers of the network that a stream is decided by: one per frame."""

import numpy as np

from tsm_jax import errors


def check(time, logits, last, num_classes):
  """Raises InputError unless an answer may follow the one of time `last`.

  Args:
    time: of the answer, in seconds.
    logits: must be finite numbers, `[num_classes]`.
    last: time of the answer before it, or None.
    num_classes: of the model.
  """
  if not np.isfinite(time) or (last is not None and time <= last):
    before = 'the first one' if last is None else f'one of {last} s'
    raise errors.InputError(
      f'An answer of {time} s comes after {before}; the times of a stream must '
      'grow.'
    )
  if np.shape(logits) != (num_classes,) or not np.isfinite(logits).all():
    raise errors.InputError(
      f'The answer of {time} s must be {num_classes} finite numbers, one for '
      f'each class; its shape is {np.shape(logits)}.'
    )


def softmax(logits):
  """Probabilities of logits float `[..., K]`, in float64.

  >>> softmax([0, 0]).tolist()
  [0.5, 0.5]
  """
  shifted = np.asarray(logits, np.float64)
  shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
  return shifted / shifted.sum(axis=-1, keepdims=True)
