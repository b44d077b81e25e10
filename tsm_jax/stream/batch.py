"""Streams as the rows of one batch, which is compiled once.

A CPU spends its time on the network alone. There BatchNorm is folded into the
convolutions when a batch is made, XLA multiplies by Eigen, and each row is a
run of its own of the program, as many at a time as there are cores. Rows of
small frames that come together are one run.
"""

from concurrent import futures
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors
from tsm_jax.data.clips import pixels
from tsm_jax.data.input import cropping
from tsm_jax.models import compiler_options, folding
from tsm_jax.runs import request
from tsm_jax.stream import cache

# YNNPACK, XLA's own choice, arranges all weights anew in every step. The last
# stages of a network multiply each weight by no more than 49 pixels of a single
# frame, which does not make up for it. Where nothing is chosen, Eigen is left.
# The loops that XLA writes itself, as those of depthwise convolutions, use
# registers of 512 bits where a CPU has them; others do the same in two halves.
_OPTIONS = compiler_options.NO_LIBRARY | {'xla_cpu_prefer_vector_width': 512}
# Of small frames the calls of operations take longer than what they compute:
# eight rows cost as much as three or four of their own.
_SMALL_FRAME = compiler_options.SMALL_FRAME
_TOGETHER = 8


class Batch:
  """A model's program for some streams, with what it remembers of each.

  Attributes:
    size: number of rows. A step computes all; on CPU, mostly those it shows.
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
    # On CPU the features of several large frames would leave the caches; rows
    # of their own also need no waiting for each other, layer by layer.
    self._width = 1 if _on_cpu() else size  # rows of a part
    self._parts = _parts(size // self._width, image_size)
    self._caches = [
      cache.init_cache(self._model, self._width, image_size)
      for _ in range(size // self._width)
    ]
    shape = self._preprocessing.clip_shape()
    self._frame_shape = shape[2:]
    variables, self._applied = folding.prepare(
      self._model, trained.variables, shape
    )
    self._variables = jax.device_put(variables)
    self._fresh = np.ones(size, bool)  # rows that begin with their next frame
    self._compiled = {}  # by the number of parts
    self.size = size

  def begin(self, row):
    """Lets a row forget what it saw; it begins with its next frame."""
    self._fresh[row] = True

  def compile(self):
    """Compiles the step, unless it is."""
    for count in {1, *map(len, self._parts)} - self._compiled.keys():
      shape = count * self._width, *self._frame_shape
      frames = jax.ShapeDtypeStruct(shape, np.uint8)
      flags = jax.ShapeDtypeStruct(shape[:1], np.bool_)
      step = jax.jit(self._step, donate_argnums=1)
      with self._applied():
        args = self._variables, self._caches[:count], frames, flags, flags
        lowered = step.lower(*args)
      self._compiled[count] = _compile(lowered)

  def step(self, frames):
    """Shows some rows their next frame; the others stay as they are.

    Args:
      frames: a dict from rows to uint8 `[S, S, 3]`, from `prepare`.

    Returns:
      Logits, float32 `[B, K]`; those of other rows mean nothing.
    """
    self.compile()
    runs = []  # the parts that each of them computes
    for parts in self._parts:
      seen = [p for p in parts if any(r in frames for r in self._rows([p]))]
      together = 2 * len(seen) > len(parts)
      runs += [parts] if together else [[part] for part in seen]
    logits = np.zeros((self.size, self._model.num_classes), np.float32)

    def run(parts):
      logits[self._rows(parts)] = self._show(parts, frames)

    if len(runs) < 2:
      list(map(run, runs))
      return logits
    # Threads take a tenth of a millisecond, and a step ends with its last one.
    with futures.ThreadPoolExecutor(min(_cores(), len(runs))) as pool:
      list(pool.map(run, runs))
    return logits

  def _rows(self, parts):
    """The rows of parts that follow each other."""
    return range(parts[0] * self._width, (parts[-1] + 1) * self._width)

  def _step(self, variables, caches, frames, active, reset):
    """The logits of all rows of some parts, and their new caches, a list."""
    frames = self._preprocessing.normalize(frames)
    old = jax.tree.map(lambda *x: jnp.concatenate(x), *caches)
    logits, new = cache.step(self._model, variables, old, frames, reset)
    if len(frames) > 1:
      new = jax.tree.map(functools.partial(_kept, active), new, old)

    def part(start):
      return jax.tree.map(lambda x: x[start : start + self._width], new)

    return logits, list(map(part, range(0, len(frames), self._width)))

  def _show(self, parts, frames):
    """Lets the rows of parts see those of the frames that are theirs."""
    rows = self._rows(parts)
    batch = np.zeros((len(rows), *self._frame_shape), np.uint8)
    active = np.zeros(len(rows), bool)
    for i, row in enumerate(rows):
      if row in frames:
        batch[i], active[i] = frames[row], True
    span = slice(rows.start, rows.stop)
    logits, caches = self._compiled[len(parts)](
      self._variables,
      self._caches[parts[0] : parts[-1] + 1],
      batch,
      active,
      self._fresh[span] & active,
    )
    self._caches[parts[0] : parts[-1] + 1] = caches
    self._fresh[span] &= ~active
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


def _parts(count, image_size):
  """Which parts of a batch are one run where most of them see a frame.

  Returns:
    A list of lists of those that follow each other.
  """
  together = _TOGETHER if image_size <= _SMALL_FRAME else 1
  runs = np.array_split(np.arange(count), -(-count // together))
  return [run.tolist() for run in runs]


def _kept(active, new, old):
  """`[B, ...]` of the rows that are active, and what was of the others."""
  return jnp.where(active.reshape((-1, *(1,) * (new.ndim - 1))), new, old)


def _compile(lowered):
  """Compiles for this machine, with the options that this XLA knows."""
  options = {
    name: value
    for name, value in _OPTIONS.items()
    if _on_cpu() and compiler_options.are_known(((name, value),))
  }
  return lowered.compile(compiler_options=options)
