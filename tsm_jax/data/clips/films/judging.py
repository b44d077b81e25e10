"""What is true of a part of a film: where it is, and whether it is whole."""

from typing import NamedTuple

from tsm_jax.data.clips import containers, videos

STEADY = 0.05  # by which a part's own rate may differ from the stated one


class _Failure(NamedTuple):
  """A packet that does not decode: why, at what second, before what frame."""

  reason: str
  second: float
  frame: int


class Film:
  """A video file while it is decoded.

  Attributes:
    player: the `player.Player` of its frames.
    num_frames: that it has shown.
    now: seconds from the beginning at which the last one begins.
  """

  def __init__(self, player, fps):
    self.player = player
    self.num_frames = 0
    self.now = 0.0
    self._fps = fps
    self._beginning = float(player.beginning)
    self._frame = None  # the last one
    self._failures = []
    self._times = []  # seconds as the file counts them
    self._end = 0.0  # of the last frame, seconds from the beginning
    self._ending = None  # at its end, why it is not whole, and its true length

  def see(self, frame):
    """Takes note of the next `player.Shown`."""
    self._note_failures()
    self.num_frames += 1
    self._frame, self.now = frame, float(frame.start) - self._beginning
    self._end = max(self._end, float(frame.end) - self._beginning)
    self._times.append(float(frame.start))

  def _note_failures(self):
    for reason, time in self.player.failures[len(self._failures) :]:
      second = self._end if time is None else time - self._beginning
      self._failures.append(_Failure(reason, second, self.num_frames))

  def end(self, path, container):
    """Takes note of the end of the file."""
    self._note_failures()
    damage, length = '', self._end
    if self.num_frames:
      claimed = videos.claims(path, container, self.player, self._times)
      rate = self.player.rate
      reasons = [failure.reason for failure in self._failures]
      damage, _ = containers.damage(claimed, rate, self._times, reasons)
      length = claimed.num_frames / rate if rate else 0.0
      length = max(length, claimed.duration)
      length -= self._beginning if claimed.from_zero else 0.0
      if self._end >= containers.MIN_DURATION * length:
        damage, length = '', self._end
    self._ending = damage, length

  def last_place(self, unit):
    """Where the last frame is, in seconds or frames, seen for the last time."""
    if unit == 'frames':
      return self.num_frames - 1
    if not self._fps:
      return self.now
    return (self._frame.slot + max(self._frame.count, 1) - 1) / self._fps

  def count(self, segment):
    """How often the last frame is seen in a part; None if it is not in it."""
    slot, count = self._frame.slot, self._frame.count
    if segment.unit == 'frames' or not self._fps:
      places = [self.last_place(segment.unit)] * max(count, 1)
    else:
      places = [(slot + i) / self._fps for i in range(max(count, 1))]
    inside = sum(
      segment.has_begun(place) and not segment.has_ended(place)
      for place in places
    )
    return min(inside, count) if inside else None

  def first_reason(self):
    """Why a packet did not decode, after a colon; '' if all did."""
    reasons = [reason for reason, _ in self.player.failures]
    return f': {reasons[0]}' if reasons else ''

  def claimed(self):
    """The `containers.Claims` of a part: the file states nothing of it."""
    return containers.Claims(rotation=self.player.rotation)

  def rate(self, times):
    """Frames per second of a part: its own where it is not the stated one."""
    stated = float(self._fps or self.player.rate)
    if self._fps or len(times) < 2 or times[-1] <= times[0]:
      return stated
    own = (len(times) - 1) / (times[-1] - times[0])
    steady = abs(own - stated) <= STEADY * stated
    return stated if steady else own

  def damage(self, segment, times, num_concealed):
    """What is broken in a part that has ended, or whose film has.

    Args:
      segment: the part.
      times: of its frames that decode.
      num_concealed: of them, those of which a bit of the picture is made up.

    Returns:
      `(damage, share)` as in `videos.Video`.

    Raises:
      VideoError: if it is not known which frames are in it, or none is.
    """
    broken = self._broken(segment)
    short, share = self._shortened(segment)
    if not times:
      raise videos.NoFrameError(short or f'no frame is in it{_why(broken)}')
    count = len(times)
    if broken:
      expected = count + len(broken)
      damage = f'{count} of {expected} frames decode{_why(broken)}'
      return damage, min(share, count / expected)
    if short:
      return short, share
    if num_concealed:
      return f'{num_concealed} of {count} frames are damaged', 1.0
    return self._uneven(segment, count), 1.0

  def _broken(self, segment):
    """The failures in a part; VideoError if they confuse its numbers."""
    if segment.unit == 'seconds':
      return [
        failure
        for failure in self._failures
        if segment.has_begun(failure.second)
        and not segment.has_ended(failure.second)
      ]
    for failure in self._failures:
      # Before the first frame, nothing is counted.
      if failure.frame and not segment.has_ended(failure.frame):
        raise videos.VideoError(
          f'its frames cannot be counted: after {failure.frame} frames of the '
          f'video, some do not decode: {failure.reason}'
        )
    return []

  def _shortened(self, segment):
    """`(damage, share)` of a part that goes on behind the end of the file."""
    if self._ending is None:
      return '', 1.0
    damage, length = self._ending
    end, per_unit = self._end, 1.0
    if segment.unit == 'frames':
      end, per_unit = self.num_frames, self.num_frames / max(self._end, 1e-9)
    wanted = length * per_unit if segment.end is None else segment.end
    frame = self._end / max(self.num_frames, 1) * per_unit
    if wanted <= end + frame and segment.start < end:
      return '', 1.0
    share = max(end - segment.start, 0) / (wanted - segment.start or 1)
    place = (
      '{:.2f} s'.format if segment.unit == 'seconds' else 'frame {}'.format
    )
    if segment.start >= end:
      what = f'begins at {place(segment.start)}, but the video ends at'
    elif segment.end is None:
      return damage, share
    else:
      what = f'ends at {place(segment.end)}, but the video at'
    return f'{what} {place(end)}{damage and ": "}{damage}', share

  def _uneven(self, segment, count):
    """A note on frames that may be lost without a sign, or ''."""
    rate, stated = self.player.rate, self.player.stream.frames
    if segment.unit == 'frames' or stated or not rate or self._fps:
      return ''
    end = self._end if segment.end is None else min(segment.end, self._end)
    expected = round((end - segment.start) * rate)
    if count >= containers.MIN_DURATION * expected - 1:
      return ''
    return (
      f'{count} frames decode where its rate and duration make {expected}: '
      f'{containers.UNEVEN}'
    )


def _why(broken):
  return f': {broken[0].reason}' if broken else ''
