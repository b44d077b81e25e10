"""Many cameras through one model, frame by frame."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from tsm_jax import errors
from tsm_jax.data import intervals
from tsm_jax.stream import batch
from tsm_jax.stream.events import answers, decider


class Answer(NamedTuple):
  """What a model says of a stream after a frame.

  Attributes:
    probabilities: float32 `[K]`, of this frame.
    logits: float32 `[K]`, of this frame.
    label: with a rule what goes on by it, '' for nothing; otherwise the most
      probable label.
    score: the probability of that label, with a rule as it averages; 0 for ''.
    events: a tuple of `rules.Event`, those that ended with this frame.
  """

  probabilities: np.ndarray
  logits: np.ndarray
  label: str
  score: float
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
    rule: the `rules.Rule` by which it decides, or None.
  """

  def __init__(self, trained, slots=1, rule=None, make_batch=batch.Batch):
    """Compiles nothing yet, see `compile`.

    Args:
      trained: a `checkpoints.TrainedModel` of direction 'past' for RGB frames.
      slots: number of streams at most; a step computes all of them, but on CPU
        those that it shows, and of small frames more where most are shown.
      rule: a `rules.Rule` that makes events of the logits; None makes none.
      make_batch: what runs `trained`: `(trained, slots)` to a `batch.Batch`, or
        to what has its methods, as of an exported model.

    Raises:
      InputError: if the model needs future frames, whole clips or something
        other than RGB frames, or `slots` is not positive.
    """
    if slots < 1:
      raise errors.InputError(f'slots is {slots}; it must be at least 1.')
    self._batch = make_batch(trained, slots)
    self._streams = {}  # by name
    self.labels = list(trained.labels)
    found = intervals.from_meta(trained.meta)
    self.interval = None if found is None else found.seconds
    self.slots, self.rule = slots, rule
    self._decider()

  @property
  def streams(self):
    """The names of all streams, a tuple."""
    return tuple(self._streams)

  def add(self, name):
    """Adds a stream, which begins with its next frame.

    Raises:
      InputError: if there is such a stream, or no slot is left.
    """
    if name in self._streams:
      raise errors.InputError(f'There is a stream {name!r} already.')
    taken = {stream.slot for stream in self._streams.values()}
    free = [slot for slot in range(self.slots) if slot not in taken]
    if not free:
      raise errors.InputError(
        f'There is no slot for the stream {name!r}: all {self.slots} are '
        'taken; remove one, or make a Session of more slots.'
      )
    self._streams[name] = _Stream(free[0], self._decider())
    self._batch.begin(free[0])

  def remove(self, name):
    """Ends a stream and frees its slot.

    Returns:
      The events that were still open, a tuple.

    Raises:
      InputError: if there is no such stream.
    """
    events = self.end(name)
    del self._streams[name]
    return events

  def reset(self, name):
    """Ends a stream and begins it anew with its next frame.

    Returns:
      The events that were still open, a tuple.

    Raises:
      InputError: if there is no such stream.
    """
    events, slot = self.end(name), self._streams[name].slot
    self._streams[name] = _Stream(slot, self._decider())
    self._batch.begin(slot)
    return events

  def end(self, name):
    """Closes the open events of a stream.

    Returns:
      They, a tuple.

    Raises:
      InputError: if there is no such stream.
    """
    decide = self._stream(name).decide
    return () if decide is None else tuple(decide.end())

  def step(self, frames, times=None):
    """Shows some streams their next frame.

    A stream that is left out stays as it is. The frames of a stream may change
    their size: each is shrunk and its centre cropped by itself, as evaluation
    does with a stored clip.

    Args:
      frames: a mapping from the names of streams to uint8 `[H, W, 3]`, RGB.
      times: a mapping from the same names to seconds; they matter to a rule
        only. By default the frames are `interval` seconds apart, from 0 on.

    Returns:
      A dict of the same names to `Answer`s.

    Raises:
      InputError: if a name or frame is none, a rule needs times, or the model
        gives no finite number.
    """
    if not frames:
      return {}
    times = {name: self._time(name, times) for name in frames}
    logits = self._batch.step(
      {
        self._streams[name].slot: self._prepared(name, frame)
        for name, frame in frames.items()
      }
    )
    return {name: self._answer(name, logits, times[name]) for name in frames}

  def compile(self):
    """Compiles the step, unless it is: before a camera is opened, say."""
    self._batch.compile()

  def _prepared(self, name, frame):
    bgr = self.rule is not None and self.rule.bgr
    try:
      return self._batch.prepare(frame, bgr)
    except errors.InputError as error:
      raise errors.InputError(f'The stream {name!r}: {error}') from error

  def _answer(self, name, logits, time):
    stream = self._streams[name]
    logits = logits[stream.slot]
    if not np.isfinite(logits).all():
      raise errors.InputError(
        f'The stream {name!r}: the model gives no finite number; its weights '
        'are not finite, or its preprocessing is not that of its training.'
      )
    stream.steps += 1
    probabilities = answers.softmax(logits).astype(np.float32)
    if stream.decide is None:
      best = int(logits.argmax())
      label, score = self.labels[best], float(probabilities[best])
      return Answer(probabilities, logits, label, score)
    events = tuple(stream.decide.add(time, logits))
    label, score = stream.decide.label, float(stream.decide.score)
    return Answer(probabilities, logits, label, score, events)

  def _time(self, name, times):
    """The seconds at which a rule hears of the next frame; None without one."""
    stream = self._stream(name)
    if stream.decide is None:
      return None
    if times is not None:
      if name not in times:
        raise errors.InputError(f'The stream {name!r}: its frame has no time.')
      return times[name]
    if self.interval is None:
      raise errors.InputError(
        'The checkpoint does not know how many seconds are between its frames; '
        'give the times of the frames.'
      )
    return stream.steps * self.interval

  def _decider(self):
    if self.rule is not None:
      return decider.create(self.rule, self.labels)

  def _stream(self, name):
    if name not in self._streams:
      known = ', '.join(map(repr, self._streams)) or 'none yet'
      raise errors.InputError(
        f'There is no stream {name!r}; add it, or choose from: {known}.'
      )
    return self._streams[name]


@dataclasses.dataclass
class _Stream:
  """One stream: its row of the batch, what decides, and its steps so far."""

  slot: int
  decide: Any
  steps: int = 0
