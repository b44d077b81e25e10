"""Streams as the rows of one batch, which is compiled once.

A CPU spends its time on the network alone. There BatchNorm is folded into the
convolutions when a batch is made, XLA multiplies by Eigen, and each row is a
run of its own of the program, as many at a time as there are cores.
"""

from concurrent import futures
import os

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors
from tsm_jax.data.clips import pixels
from tsm_jax.data.input import cropping
from tsm_jax.models import folding
from tsm_jax.runs import request
from tsm_jax.stream import cache

# YNNPACK, XLA's own choice, arranges all weights anew in every step. The last
# stages of a network multiply each weight by no more than 49 pixels of a single
# frame, which does not make up for it. Where nothing is chosen, Eigen is left.
_EIGEN = {'xla_cpu_experimental_ynn_fusion_type': ''}


class Batch:
  """A model's program for some streams, with what it remembers of each.

  Attributes:
    size: number of rows. A step computes all of them; on CPU, those it shows.
  """

  def __init__(self, trained, size):
    """Compiles nothing yet, see `compile`.

    Args:
      trained: a `checkpoints.TrainedModel`.
      size: number of rows.

    Raises:
      InputError: if the model needs future frames, whole clips or something
        other than RGB frames.
    """
    request.require_one_label(trained, 'streams')
    self._preprocessing = trained.preprocessing
    if (modality := self._preprocessing.modality) != 'rgb':
      raise errors.InputError(
        f'model.modality is {modality!r}, which is made of several frames at '
        "once; a Session shows one at a time: train a model of 'rgb' for it."
      )
    self._model = trained.module()
    image_size = self._preprocessing.image_size
    # On CPU the features of several frames would leave the caches; rows of
    # their own also need no waiting for each other, layer by layer.
    self._width = 1 if _on_cpu() else size  # rows of one program
    self._shape = (self._width, image_size, image_size, 3)
    self._caches = [
      cache.init_cache(self._model, self._width, image_size)
      for _ in range(size // self._width)
    ]
    shape = self._preprocessing.clip_shape()
    variables, self._applied = folding.prepare(
      self._model, trained.variables, shape, in_parts=True
    )
    self._variables = jax.device_put(variables)
    self._fresh = np.ones(size, bool)  # rows that begin with their next frame
    self._compiled = None
    self.size = size

  def begin(self, row):
    """Lets a row forget what it saw; it begins with its next frame."""
    self._fresh[row] = True

  def compile(self):
    """Compiles the step, unless it is."""
    if self._compiled is None:
      frames = jax.ShapeDtypeStruct(self._shape, np.uint8)
      flags = jax.ShapeDtypeStruct((self._width,), np.bool_)
      step = jax.jit(self._step, donate_argnums=1)
      with self._applied():
        args = self._variables, self._caches[0], frames, flags, flags
        lowered = step.lower(*args)
      self._compiled = _compile(lowered)

  def step(self, frames):
    """Shows some rows their next frame; the others stay as they are.

    Args:
      frames: a dict from rows to uint8 `[S, S, 3]`, from `prepare`.

    Returns:
      Logits, float32 `[B, K]`; those of other rows mean nothing.
    """
    self.compile()
    parts = {}
    for row, frame in frames.items():
      parts.setdefault(row // self._width, {})[row] = frame
    logits = np.zeros((self.size, self._model.num_classes), np.float32)
    shaped = logits.reshape((-1, self._width, logits.shape[1]))
    if len(parts) < 2:
      for part, seen in parts.items():
        shaped[part] = self._show(part, seen)
      return logits
    # Threads take a tenth of a millisecond, and a step ends with its last one.
    with futures.ThreadPoolExecutor(min(_cores(), len(parts))) as pool:
      runs = {p: pool.submit(self._show, p, f) for p, f in parts.items()}
    for part, run in runs.items():
      shaped[part] = run.result()
    return logits

  def _step(self, variables, old, frames, active, reset):
    frames = self._preprocessing.normalize(frames)
    logits, new = cache.step(self._model, variables, old, frames, reset)
    if len(frames) == 1:
      return logits, new

    def kept(new, old):
      return jnp.where(active.reshape((-1, *(1,) * (new.ndim - 1))), new, old)

    return logits, jax.tree.map(kept, new, old)

  def _show(self, part, frames):
    """Lets a part of the rows see their frames, a dict; the logits of all."""
    rows = slice(part * self._width, (part + 1) * self._width)
    batch = np.zeros(self._shape, np.uint8)
    active = np.zeros(self._width, bool)
    for row, frame in frames.items():
      batch[row - rows.start], active[row - rows.start] = frame, True
    logits, self._caches[part] = self._compiled(
      self._variables,
      self._caches[part],
      batch,
      active,
      self._fresh[rows] & active,
    )
    self._fresh[rows] &= ~active
    return np.asarray(logits)

  def prepare(self, frame, bgr=False):
    """A frame as evaluation sees one of a stored clip.

    It is shrunk to the short side of stored clips and scaled as they are, and
    its centre is cropped; it is not compressed.

    Args:
      frame: uint8 `[H, W, 3]`, RGB.
      bgr: whether blue and red are exchanged.

    Returns:
      uint8 `[S, S, 3]`.

    Raises:
      InputError: if it is no such frame.
    """
    frame = rgb(frame, bgr)
    frame = pixels.shrink(frame, self._preprocessing.short_side)
    return cropping.eval_crops([frame], self._preprocessing.image_size)[0, 0]


def rgb(frame, bgr=False):
  """A frame whose form is checked and whose colours are in order.

  Args:
    frame: uint8 `[H, W, 3]`, RGB.
    bgr: whether blue and red are exchanged.

  Returns:
    uint8 `[H, W, 3]`, RGB.

  Raises:
    InputError: if it is no such frame.
  """
  frame = np.asarray(frame)
  shape = frame.shape
  if frame.dtype != np.uint8 or shape[2:] != (3,) or 0 in shape:
    raise errors.InputError(
      f'The frame is {frame.dtype} {list(shape)}; it must be uint8 [height, '
      'width, 3], RGB.'
    )
  if bgr:
    frame = frame[..., ::-1]
  return frame


def _cores():
  """How many cores this process may use."""
  if hasattr(os, 'sched_getaffinity'):  # not on macOS
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _on_cpu():
  return jax.default_backend() == 'cpu'


def _compile(lowered):
  """Compiles for this machine; an XLA without the option does without it."""
  if _on_cpu():
    try:
      return lowered.compile(compiler_options=_EIGEN)
    except jax.errors.JaxRuntimeError as error:
      if 'No such compile option' not in str(error):
        raise
  return lowered.compile()
