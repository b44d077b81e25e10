"""Streams from their first frame to their last: `predict --stream`."""

import contextlib
import math
import os
import signal
import time

from tsm_jax import errors
from tsm_jax.runs import stopping
from tsm_jax.stream import flags, progress, session
from tsm_jax.stream.events import rule_file
from tsm_jax.stream.frames import cameras, choice, due, pace
from tsm_jax.stream.output import kinds, tables


def run(trained, args):
  """Watches what the arguments name, one after the other.

  What is found is printed and written as it comes, and is whole when a signal
  ends it.

  Args:
    trained: a `checkpoints.TrainedModel`.
    args: of the command, with its videos and the flags of `flags.add`.

  Returns:
    The status: 0, 1 if a video is damaged or cannot be watched, 2 if none can,
    or 128 and the number of the signal that ended it.

  Raises:
    InputError: if the model is not one for streams, or no interval is known.
  """
  rule, origin = rule_file.choose(
    args.checkpoint, trained, args.rule, args.background
  )
  if args.bgr:
    rule = rule._replace(bgr=True)
  streams = session.Session(trained, rule=rule)
  interval = flags.interval(args, streams.interval)
  progress.log(f'A frame is shown every {interval:.3g} s; events by {origin}.')
  with stopping.Stop() as stop:
    sources, num_bad = _sources(args, stop)
    names = [name for name, *_ in sources]
    parts, num_good = _parts(names), 0
    kinds.check_paths(args, names, parts)
    if sources:
      streams.compile()
    for (name, live, opened), part in zip(sources, parts):
      if stop.signal:
        break
      try:
        stream = _Stream(name, streams, stop, interval, args.seconds)
        frames = _frames(
          opened(), live, pace.Pace(interval), stop, args.seconds
        )
        whole = stream.watch(frames, args, part)
        num_good, num_bad = num_good + 1, num_bad + (not whole)
      except BrokenPipeError:  # who reads has seen enough, as head does
        return 128 + signal.SIGPIPE
      except (errors.InputError, OSError) as error:
        progress.log(f'error: {error}')
        num_bad += 1
  if stop.signal:
    return 128 + stop.signal
  return 0 if not num_bad else 1 if num_good else 2


def _sources(args, stop):
  """The sources that arguments name, and how many of these name none."""
  found, num_bad = [], 0
  for name in args.videos:
    try:
      found += choice.sources(name, lambda: bool(stop.signal), progress.log)
    except (errors.InputError, OSError) as error:
      progress.log(f'error: {error}')
      num_bad += 1
  endless = [name for name, live, _ in found if live and not args.seconds]
  if endless and len(found) > 1:
    raise errors.InputError(
      f'{endless[0]!r} has no end, and what is named after it would never be '
      'watched; give it alone, or --seconds.'
    )
  return found, num_bad


def _frames(source, live, steps, stop, seconds=None):
  """The frames of a source, see `due`."""
  if not live:
    return due.Paced(source, steps, lambda: bool(stop.signal))
  # Of a camera that stays away, no frame says that its time is over.
  end = time.monotonic() + (seconds or math.inf) + cameras.LONGEST_PAUSE
  return due.Newest(
    source, steps, lambda: bool(stop.signal) or time.monotonic() > end
  )


def _parts(names):
  """What tells the files of several videos apart: the videos' own names.

  >>> _parts(['a/film.mp4', 'b/film.mp4', 'b/other.mkv'])
  ['-film', '-film-2', '-other']
  >>> _parts(['film.mp4'])
  ['']
  """
  if len(names) == 1:
    return ['']
  found = []
  for name in names:
    stem = os.path.splitext(os.path.basename(name))[0]
    part, count = f'-{stem}', 1
    while part in found:
      count += 1
      part = f'-{stem}-{count}'
    found.append(part)
  return found


class _Stream:
  """One stream of a session, and all that is told of it."""

  def __init__(self, name, streams, stop, interval, seconds=None):
    """Adds it to the session.

    Args:
      name: of the video or camera.
      streams: a `session.Session`.
      stop: a `stopping.Stop`.
      interval: seconds between two steps.
      seconds: after which it ends, or None.
    """
    self._name, self._streams, self._stop = name, streams, stop
    self._interval, self._seconds = interval, seconds
    self._outputs = []
    self._last = None  # time of a frame that was shown
    self._now = '', 0.0  # what goes on: label and score
    self._num_steps = self._num_events = 0

  def watch(self, frames, args, part=''):
    """Shows frames to the model until they end; whether they were whole.

    Args:
      frames: `due.Paced` or `due.Newest`; they are closed at the end.
      args: of the command.
      part: of the names of output files, see `kinds.create`.

    Raises:
      InputError: if an output cannot be written, or the source fails.
    """
    source, streams = frames.source, self._streams
    with contextlib.ExitStack() as stack:
      stack.enter_context(contextlib.closing(frames))
      for output in self._made_outputs(args, source.rate, part):
        self._outputs.append(stack.enter_context(contextlib.closing(output)))
      bar = progress.Progress(self._name, source.length)
      stack.enter_context(bar)
      streams.add(self._name)
      try:
        for frame, count in frames:
          if self._seconds and frame.time >= self._seconds:
            break
          self._show(frame, count)
          bar.reach(frame.time, frames.dropped)
          self._note(source)
          if self._stop.signal:
            break
      finally:
        self._tell(streams.remove(self._name))
    return self._sum_up(frames, bar)

  def _made_outputs(self, args, rate, part):
    kind = tables.JsonLines if args.json else tables.Table
    yield kind(progress.show, self._name)
    yield from kinds.create(args, self._name, self._streams.labels, rate, part)

  def _show(self, frame, count):
    if frame.anew:
      self._tell(self._streams.reset(self._name))
      self._last = None
    times = due.spread(self._last, frame.time, count, self._interval)
    for second in times:
      answer = self._streams.step(
        {self._name: frame.image}, {self._name: second}
      )[self._name]
      self._now, self._last = (answer.label, answer.score), second
      self._num_steps += 1
      for output in self._outputs:
        output.answer(second, answer)
      self._tell(answer.events)
    for output in self._outputs:
      output.frame(frame, *self._now)

  def _tell(self, events):
    self._num_events += len(events)
    for event in events:
      for output in self._outputs:
        output.event(event)

  def _note(self, source):
    while source.notes:
      progress.log(f'{self._name}: {source.notes.pop(0)}.')

  def _sum_up(self, frames, bar):
    """Logs a summary; whether the stream was whole, as far as it was asked."""
    words = [
      f'{bar.seconds:.1f} s at {bar.speed():.1f}x realtime',
      f'{self._num_steps} steps',
      f'{self._num_events} events',
    ]
    if memory := bar.memory():
      words.append(memory)
    if frames.dropped:
      words.append(f'{frames.dropped} steps were dropped, as they came faster')
    if skipped := frames.pace.skipped:
      words.append(f'{skipped} steps had no frame, as none came for long')
    damage = '' if self._stop.signal else frames.source.damage
    if damage:
      words.append(f'damaged, {damage}')
    progress.log(f'{self._name}: {", ".join(words)}')
    return not damage
