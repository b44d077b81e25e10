"""What a container claims about its video, compared with what decodes."""

import math
import re
from typing import NamedTuple

import av

MIN_DURATION = 0.97  # of its stated length, for a video to count as whole
ALL_STREAMS = ('asf', 'asf_o')  # that state one length, of the longest stream
LATE = 1.0  # seconds; a start before it is a delay of the sound or the like
MISSING = 'the rest is missing'  # what damage ends with that has no other sign
UNEVEN = 'some are lost, or its frame rate varies'


class Claims(NamedTuple):
  """What a container states about its video; 0 where it states nothing.

  Attributes:
    num_frames: without those that an edit list cuts away.
    duration: seconds.
    rotation: degrees counter-clockwise, as FFmpeg reports it.
    from_zero: whether the duration counts from time 0, not from its first
      frame.
  """

  num_frames: int = 0
  duration: float = 0.0
  rotation: float = 0.0
  from_zero: bool = False


class Span(NamedTuple):
  """What is kept of the times of any number of frames.

  Attributes:
    count: of the frames.
    first: seconds, of the first frame; NaN if not stated.
    last: seconds, the latest that is stated, or NaN.
  """

  count: int = 0
  first: float = math.nan
  last: float = math.nan

  def add(self, time):
    """With one more frame at `time`, seconds or NaN."""
    first = self.first if self.count else time
    known = (x for x in (self.last, time) if not math.isnan(x))
    return Span(self.count + 1, first, max(known, default=math.nan))

  @classmethod
  def of(cls, times):
    """The `Span` of a sequence of seconds; a `Span` stays what it is."""
    if isinstance(times, cls):
      return times
    known = (time for time in times if not math.isnan(time))
    first = times[0] if len(times) else math.nan
    return cls(len(times), first, max(known, default=math.nan))


def read(container, stream, num_discarded, rotation):
  """The `Claims` of an open container.

  Args:
    container: open.
    stream: of the video.
    num_discarded: packets that an edit list cuts away.
    rotation: of its frames.
  """
  count = max(_count(container, stream) - num_discarded, 0)
  from_zero = container.format.name.startswith('matroska')
  return Claims(count, _duration(container, stream), rotation, from_zero)


def _count(container, stream):
  """The stated number of frames, or 0.

  That of an AVI file counts times, also those at which the picture before just
  stays. Its index has the pictures only.
  """
  index = stream.index_entries if container.format.name == 'avi' else ()
  last = index[len(index) - 1].timestamp if len(index) else -1
  whole = last + 1 >= stream.frames
  return min(len(index), stream.frames) if whole else stream.frames


def stated_for_all(container):
  """Whether the stated length is that of the file, not of the video."""
  return container.format.name in ALL_STREAMS and len(container.streams) > 1


def last_time(container):
  """Seconds at which the last packet of any stream ends, 0 without times."""
  ends = (
    float((packet.pts + (packet.duration or 0)) * packet.time_base)
    for packet in container.demux()
    if packet.pts is not None
  )
  return max(ends, default=0.0)


def damage(claimed, rate, times, failures):
  """What is broken in a video, and the share of its frames that decode.

  Args:
    claimed: `Claims`.
    rate: frames per second that the container states, or 0.
    times: seconds, of the frames that decode, at least one; NaN if not stated;
      or the `Span` of them.
    failures: of packets, reasons.

  Returns:
    `(damage, share)` as in `videos.Video`.
  """
  span, duration = Span.of(times), claimed.duration
  count = span.count
  reason = failures[0] if failures else MISSING
  # Without a count, each broken packet is taken to be a frame.
  broken = min(len(failures), 1) if claimed.num_frames else len(failures)
  expected = max(claimed.num_frames, count + broken)
  share = count / expected
  if share < 1:
    found = f'{count} of {expected} frames decode: {reason}', share
  else:
    found = '', 1.0
  if claimed.num_frames or not duration:
    return found
  # Matroska and WebM count no frames, but state how long they are.
  end = end_time(span, rate)
  start = span.first if claimed.from_zero else 0.0
  if LATE <= start < duration:  # as a part that was cut out with its times
    end, duration = end - start, duration - start
  short = _shortened(count, rate, end, duration)
  return min(found, short, key=lambda damage: damage[1]) if failures else short


def _shortened(count, rate, end, duration):
  """`damage` judged only by the stated length in seconds."""
  if end < MIN_DURATION * duration:
    return f'ends after {end:.2f} of {duration:.2f} s', end / duration
  expected = round(duration * rate)
  if count < MIN_DURATION * expected:
    # Not counted as damage: a variable frame rate looks the same.
    return (
      f'{count} frames decode where its rate and duration make {expected}: '
      f'{UNEVEN}'
    ), 1.0
  return '', 1.0


def end_time(times, rate):
  """Seconds at which the last of the frames ends, 0 where none has a time.

  Args:
    times: of the frames in seconds, NaN if not stated, or the `Span` of them.
    rate: frames per second, or 0.
  """
  last = Span.of(times).last
  return (0.0 if math.isnan(last) else last) + (1 / rate if rate else 0)


def _duration(container, stream):
  """The stated length in seconds, or 0."""
  if stream.duration:
    return float(stream.duration * stream.time_base)
  stated = re.fullmatch(
    r'(\d+):(\d+):(\d+\.?\d*)', stream.metadata.get('DURATION', '')
  )
  if stated:
    hours, minutes, seconds = map(float, stated.groups())
    return 3600 * hours + 60 * minutes + seconds
  if container.duration and len(container.streams) == 1:
    return container.duration / av.time_base
  return 0.0
