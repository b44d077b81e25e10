"""When frames are shown, and which are seen at a constant frame rate.

FFmpeg's own filter `fps`, to which the tests compare this, is not used: it sees
the times after they went wrong, fills gaps of any length, and returns a frame
that it repeats as several.
"""

import fractions
import math

# Containers that state when frames are decoded, not when they are shown.
DECODING_ORDER = ('avi', 'asf')
TIME_BASE = 1_000_000  # units of a second in which FFmpeg counts
MAX_GAP = 60  # seconds without a frame that are filled


class GapError(ValueError):
  """Frames too far apart; the message says it."""


def show(frames, container, stream, fps):
  """Gives every frame the times from and to which it is shown.

  AVI and ASF state when frames are decoded. By those times, the B-frames of a
  video would come late and others never.

  Args:
    frames: an iterable of decoded `av.VideoFrame`s, in order.
    container: that they come from, open.
    stream: that they come from.
    fps: for frames that state no duration in a stream that states no rate, or
      0.

  Yields:
    `(frame, start, end)` in seconds, fractions. A frame whose time is not
    stated starts at the end of the one before it.
  """
  rate = stream.average_rate or fps
  usual = 1 / fractions.Fraction(str(rate)) if rate else 0
  by_decoding = container.format.name in DECODING_ORDER
  end = fractions.Fraction(0)
  for frame in frames:
    time = frame.dts if by_decoding else frame.pts
    start = end if time is None else time * stream.time_base
    duration = frame.duration * stream.time_base if frame.duration else usual
    end = start + duration
    yield frame, start, end


def beginning(container, stream):
  """Seconds from which FFmpeg's program counts the times of a stream.

  MPEG-TS, for example, begins after more than a second.
  """
  start = fractions.Fraction(container.start_time or 0, TIME_BASE)
  return _nearest(start / stream.time_base) * stream.time_base


def resample(shown, fps, beginning=0):
  """How often each frame is seen when a video is shown at `fps`.

  As FFmpeg's filter `fps` does it: a frame is seen from its own time on, in
  whole frames of the result and rounded to the nearest, until that of the next
  one, and the last until its end. So 24 to 30 frames per second repeats every
  fourth frame, 30 to 15 drops every second, and of a variable frame rate a
  frame is repeated as long as it stands still.

  Args:
    shown: an iterable of `(frame, start, end)`, seconds, from `show`.
    fps: of the result, frames per second.
    beginning: seconds at which the result begins, see `beginning`.

  Yields:
    `(frame, start, end, slot, count)` of all frames: as in `shown`, the number
    of the first frame of the result that shows it, counted from `beginning`,
    and how many do, 0 or more. At least one frame is seen.

  Raises:
    GapError: if no frame comes for more than `MAX_GAP` seconds.
  """
  fps = fractions.Fraction(str(fps))
  held = held_start = held_end = now = None
  seen = 0
  for frame, start, end in shown:
    slot = _nearest((start - beginning) * fps)
    if held is not None:
      count = _count(now, slot, fps)
      yield held, held_start, held_end, now, count
      seen += count
    now = slot if held is None else max(now, slot)
    held, held_start, held_end = frame, start, end
  if held is not None:
    count = _count(now, _nearest((held_end - beginning) * fps), fps)
    count = max(count, 0 if seen else 1)
    yield held, held_start, held_end, now, count


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
