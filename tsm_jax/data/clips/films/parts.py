"""Parts of a long video, all of them in one pass over its file.

Only what is kept of the frames of a part is in memory, until the part ends.
"""

import collections
import time

from tsm_jax.data import defaults
from tsm_jax.data.clips import limits, opening, player, videos
from tsm_jax.data.clips.films import judging


def read(path, segments, keeper, fps=0, max_frames=defaults.USUAL.max_frames):
  """Decodes the frames of several parts of a video file.

  Of a part in seconds, the frames are those that begin in it, counted from the
  beginning of the file; where the video is resampled, those of the result whose
  numbers, divided by `fps`, are in it. Of a part in frames, they are those of
  these numbers among the frames that decode, however often each is seen.
  Nothing behind the last part is decoded.

  Args:
    path: as in `videos.read`.
    segments: a `segments.Segment` for each part, in any order; they may
      overlap.
    keeper: called for every part that begins; `add` of what it returns is
      called with each of its frames, `[H, W, 3]` uint8.
    fps: as in `videos.read`.
    max_frames: of a part.

  Yields:
    `(number, kept, video)` of every part, as soon as it ends: its number in
    `segments`, what `keeper` returned, and a `videos.Video` that describes the
    part; or `(number, None, error)`, a `VideoError`, if it cannot be used.

  Raises:
    VideoError: if the file cannot be read, or not a single frame decodes.
  """
  with opening.container(path) as container:
    shown = player.Player(container, fps)
    film = judging.Film(shown, fps)
    ahead = _Ahead(segments, max_frames)
    now, failure = [], None
    start = time.thread_time()
    try:
      for frame in shown:
        film.see(frame)
        now += ahead.begun(film, keeper)
        for part in now:
          part.add(film, frame)
        for part in [part for part in now if part.is_over(film)]:
          now.remove(part)
          yield part.ended(film)
        if not now and not ahead:
          return
        took = time.thread_time() - start
        if reason := limits.too_slow(took, film=True):
          raise videos.VideoError(reason)
    except videos.PassingError:
      raise
    except videos.VideoError as error:
      failure = error
    if not film.num_frames and not failure:
      raise videos.NoFrameError(f'no frame decodes{film.first_reason()}')
    film.end(path, container)
    for part in (*now, *ahead.rest(keeper)):
      yield part.ended(film, failure)


class _Ahead:
  """The parts that have not begun."""

  def __init__(self, segments, max_frames):
    by_unit = collections.defaultdict(list)
    for number, segment in enumerate(segments):
      by_unit[segment.unit].append(_Part(number, segment, max_frames))
    self._queues = {
      unit: collections.deque(sorted(parts, key=lambda x: x.segment.start))
      for unit, parts in by_unit.items()
    }

  def __bool__(self):
    return any(self._queues.values())

  def begun(self, film, keeper):
    """Yields the parts that begin with the last frame of a film."""
    for unit, queue in self._queues.items():
      while queue and queue[0].segment.has_begun(film.last_place(unit)):
        yield queue.popleft().begin(keeper)

  def rest(self, keeper):
    """Yields those that never begin."""
    for queue in self._queues.values():
      yield from (part.begin(keeper) for part in queue)


class _Part:
  """A part, and what is known of its frames."""

  def __init__(self, number, segment, max_frames):
    self.segment = segment
    self._number, self._max_frames = number, max_frames
    self._most = self._kept = self._problem = None
    self._times = []  # of its frames, seconds, each once
    self._count = self._concealed = 0

  def begin(self, keeper):
    self._most = videos.Most(self._max_frames)
    self._kept = keeper()
    return self

  def add(self, film, frame):
    """Takes the last frame of the film, as often as it is in this part."""
    count = film.count(self.segment)
    if count is None or self._problem:
      return
    self._times.append(film.now)
    self._concealed += frame.frame.is_corrupt
    try:
      self._most.add(frame.frame, film.player.size, count)
      for _ in range(count):
        self._kept.add(film.player.image(frame.frame))
      self._count += count
    except videos.VideoError as error:
      self._problem, self._kept = error, None

  def is_over(self, film):
    return self.segment.has_ended(film.last_place(self.segment.unit))

  def ended(self, film, failure=None):
    """What `read` yields of this part.

    Args:
      film: until now.
      failure: why the film was given up before this part ended, or None.
    """
    problem = self._problem or failure
    try:
      if problem:
        raise problem
      damage, share = film.damage(self.segment, self._times, self._concealed)
      if not self._count:
        raise videos.NoFrameError('no frame is in it at that frame rate')
    except videos.VideoError as error:
      return self._number, None, error
    fps = film.rate(self._times)
    video = videos.Video(
      [None] * self._count, fps, damage, share, self._times, film.claimed()
    )
    return self._number, self._kept, video
