"""Frames by their timestamps to a constant frame rate."""

import fractions
import math

MAX_GAP = 60  # seconds without a frame that are filled


class GapError(ValueError):
  """Frames too far apart; the message says it."""


def resample(frames, time_base, native, fps):
  """How often each frame is seen when a video is shown at `fps`.

  As FFmpeg's filter `fps` does it: a frame is seen from its own time on, in
  whole frames of the result and rounded to the nearest, until that of the next
  one, and the last until its end. So 24 to 30 frames per second repeats every
  fourth frame, 30 to 15 drops every second, and of a variable frame rate a
  frame is repeated as long as it stands still.

  Args:
    frames: an iterable of decoded `av.VideoFrame`s.
    time_base: of their timestamps, seconds.
    native: the stated rate, 0 if there is none; it times frames that are not.
    fps: of the result, frames per second.

  Yields:
    `(frame, count)` of all frames, the counts 0 or more. At least one frame
    is seen.

  Raises:
    GapError: if no frame comes for more than `MAX_GAP` seconds.
  """
  fps = fractions.Fraction(str(fps))
  usual = 1 / fractions.Fraction(native) if native else 1 / fps
  held, now, seen, end = None, None, 0, fractions.Fraction(0)
  for frame in frames:
    start = end if frame.pts is None else frame.pts * time_base
    slot = _nearest(start * fps)
    if held is not None:
      count = _count(now, slot, fps)
      yield held, count
      seen += count
    now = slot if held is None else max(now, slot)
    duration = frame.duration * time_base if frame.duration else usual
    held, end = frame, start + duration
  if held is not None:
    last = _count(now, _nearest(end * fps), fps)
    yield held, max(last, 0 if seen else 1)


def _count(now, slot, fps):
  count = max(slot - now, 0)
  if count > MAX_GAP * fps:
    raise GapError(
      f'has no frame for {float(count / fps):.0f} s, which is too long to be '
      'filled'
    )
  return count


def _nearest(value):
  """The nearest integer; a half is rounded away from zero."""
  nearest = math.floor(abs(value) + fractions.Fraction(1, 2))
  return nearest if value >= 0 else -nearest
