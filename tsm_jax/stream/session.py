"""Many cameras through one model, frame by frame."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors
from tsm_jax.data import intervals
from tsm_jax.data.clips import pixels
from tsm_jax.data.input import cropping
from tsm_jax.stream import cache


class Answer(NamedTuple):
  """What a model says of a stream after a frame.

  Attributes:
    probabilities: float32 `[K]`, of this frame.
    logits: float32 `[K]`, of this frame.
    label: with a rule what goes on by it, '' for nothing; otherwise the most
      probable label.
    events: a tuple of `rules.Event`, those that ended with this frame.
  """

  probabilities: np.ndarray
  logits: np.ndarray
  label: str
  events: tuple = ()


class Session:
  """Streams that a model follows frame by frame, several in one batch.

  Streams have names and come and go, up to a number of slots. A program is
  compiled once for all slots; whatever is added, removed, reset or left out of
  a step later, it stays the same.

  Attributes:
    labels: class names by index.
    interval: seconds between the frames that it should be given, as its
      training saw them, or None where the checkpoint does not know.
    slots: number of streams at most.
  """

  def __init__(self, trained, slots=1, rule=None):
    """Compiles nothing yet, see `compile`.

    Args:
      trained: a `checkpoints.TrainedModel` of direction 'past' for RGB frames.
      slots: number of streams at most; a step computes all of them.
      rule: a `rules.Rule` that makes events of the logits; None makes none.

    Raises:
      InputError: if the model needs future frames, whole clips or something
        other than RGB frames, or `slots` is not positive.
    """
    if slots < 1:
      raise errors.InputError(f'slots is {slots}; it must be at least 1.')
    self._preprocessing = trained.preprocessing
    _check_modality(self._preprocessing.modality)
    self._model = trained.module()
    size = self._preprocessing.image_size
    self._cache = cache.init_cache(self._model, slots, size)
    self._variables = jax.device_put(trained.variables)
    self._slots = {}  # by name
    self._fresh = np.ones(slots, bool)  # rows whose cache is to be cleared
    self._compiled = None
    self.labels = list(trained.labels)
    found = intervals.from_meta(trained.meta)
    self.interval = None if found is None else found.seconds
    self.slots = slots

  @property
  def streams(self):
    """The names of all streams, a tuple."""
    return tuple(self._slots)

  def add(self, name):
    """Adds a stream, which begins with its next frame.

    Raises:
      InputError: if there is such a stream, or no slot is left.
    """
    if name in self._slots:
      raise errors.InputError(f'There is a stream {name!r} already.')
    free = sorted(set(range(self.slots)) - set(self._slots.values()))
    if not free:
      raise errors.InputError(
        f'There is no slot for the stream {name!r}: all {self.slots} are '
        'taken; remove one, or make a Session of more slots.'
      )
    self._slots[name] = free[0]
    self._begin(name)

  def remove(self, name):
    """Ends a stream and frees its slot.

    Returns:
      The events that were still open, a tuple.

    Raises:
      InputError: if there is no such stream.
    """
    events = self.end(name)
    del self._slots[name]
    return events

  def reset(self, name):
    """Ends a stream and begins it anew with its next frame.

    Returns:
      The events that were still open, a tuple.

    Raises:
      InputError: if there is no such stream.
    """
    events = self.end(name)
    self._begin(name)
    return events

  def end(self, name):
    """Closes the open events of a stream.

    Returns:
      They, a tuple.

    Raises:
      InputError: if there is no such stream.
    """
    self._slot(name)
    return ()

  def step(self, frames, times=None):
    """Shows some streams their next frame.

    A stream that is left out stays as it is. The frames of a stream may change
    their size: each is shrunk and its centre cropped by itself, as evaluation
    does with a stored clip.

    Args:
      frames: a mapping from the names of streams to uint8 `[H, W, 3]`, RGB.
      times: a mapping from the same names to seconds; they matter to a rule.
        By default the frames are `interval` seconds apart, from 0 on.

    Returns:
      A dict of the same names to `Answer`s.

    Raises:
      InputError: if a name or frame is none, or the model gives no finite
        number.
    """
    if not frames:
      return {}
    size = self._preprocessing.image_size
    batch = np.zeros((self.slots, size, size, 3), np.uint8)
    active = np.zeros(self.slots, bool)
    for name, frame in frames.items():
      slot = self._slot(name)
      batch[slot], active[slot] = self._prepared(name, frame), True
    self.compile()
    reset = self._fresh & active
    logits, self._cache = self._compiled(
      self._variables, self._cache, batch, active, reset
    )
    self._fresh &= ~active
    logits = np.asarray(logits)
    return {name: self._answer(name, logits) for name in frames}

  def compile(self):
    """Compiles the step, unless it is: before a camera is opened, say."""
    if self._compiled is None:
      size = self._preprocessing.image_size
      frames = np.zeros((self.slots, size, size, 3), np.uint8)
      flags = np.zeros(self.slots, bool)
      step = jax.jit(self._step, donate_argnums=1)
      self._compiled = step.lower(
        self._variables, self._cache, frames, flags, flags
      ).compile()

  def _step(self, variables, old, frames, active, reset):
    """Of rows that are not active, the cache stays."""
    logits, new = cache.step(
      self._model, variables, old, self._preprocessing.normalize(frames), reset
    )

    def kept(new, old):
      rows = active.reshape((-1, *(1,) * (new.ndim - 1)))
      return jnp.where(rows, new, old)

    return logits, jax.tree.map(kept, new, old) if self.slots > 1 else new

  def _prepared(self, name, frame):
    """A frame as evaluation sees it, `[S, S, 3]`."""
    frame = np.asarray(frame)
    shape = frame.shape
    if frame.dtype != np.uint8 or shape[2:] != (3,) or not all(shape):
      raise errors.InputError(
        f'A frame of the stream {name!r} is {frame.dtype} {list(shape)}; it '
        'must be uint8 [height, width, 3], RGB.'
      )
    frame = pixels.shrink(frame, self._preprocessing.short_side)
    return cropping.eval_crops([frame], self._preprocessing.image_size)[0, 0]

  def _answer(self, name, logits):
    logits = logits[self._slots[name]]
    if not np.isfinite(logits).all():
      raise errors.InputError(
        f'The stream {name!r}: the model gives no finite number; its weights '
        'are not finite, or its preprocessing is not that of its training.'
      )
    powers = np.exp(logits - logits.max())
    probabilities = powers / powers.sum()
    return Answer(probabilities, logits, self.labels[int(logits.argmax())])

  def _begin(self, name):
    self._fresh[self._slots[name]] = True

  def _slot(self, name):
    if name not in self._slots:
      known = ', '.join(map(repr, self._slots)) or 'none yet'
      raise errors.InputError(
        f'There is no stream {name!r}; add it, or choose from: {known}.'
      )
    return self._slots[name]


def _check_modality(modality):
  if modality != 'rgb':
    raise errors.InputError(
      f'model.modality is {modality!r}, which is made of several frames at '
      "once; a Session shows one frame at a time: train with 'rgb'."
    )
