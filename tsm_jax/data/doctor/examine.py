"""What is true of one clip: decoded whole, by the reader that builds use.

It runs in processes of its own, so this module imports little.
"""

import hashlib
import time

import av
import cv2
import numpy as np

from tsm_jax.data.clips import containers, pixels, videos, workers
from tsm_jax.data.doctor import reading, scenes

# Facts of another version, or decoder, are not used again.
VERSION = f'5_av_{av.__version__}'
GRID = 16  # cells per side of the shrunken frames that motion is seen in
THUMBNAIL = 90  # pixels, height of the pictures in a contact sheet
WIDEST = 360  # pixels; wider ones are less high, with bars
GAP = 3  # pixels between them


def facts(clip):
  """Decodes a clip and describes it.

  Args:
    clip: path of a video file or of a folder of images, as text;
      `(path, 'flow')` of a folder of flow; `(dataset, split, index)` of a
      record of a built dataset; or a
      `reading.Film`.

  Returns:
    A dict for JSON, of a `reading.Film` a list of them. Where the clip cannot
    be used: error (the reason), empty (whether it opens, but no frame decodes)
    and passing (whether it cannot be read now, but perhaps later). Else:
    num_frames (of flow,
    pairs of x and y), width, height; fps, damage and share as in
    `videos.Video`; stated_frames, stated_duration and rotation as it
    `claimed`; end, seconds at which the last frame ends; odd_intervals and
    rates as `_intervals`; motion, the largest change of any cell of a `GRID`
    from the first frame, in levels of grey; content, a hash of all pixels;
    scenes, from `scenes.Hashes`. Of a record also video_id and label.
  """
  if isinstance(clip, reading.Film):
    found = _describe_parts(clip)
    if any(one.get('passing') for one in found):
      time.sleep(workers.PAUSE)
      found = _describe_parts(clip)
    return found
  read, record = reading.open_clip(clip)
  found = _describe(read)
  if found.get('passing'):  # once more, as in a build
    time.sleep(workers.PAUSE)
    found = _describe(read)
  if record:
    found['video_id'] = record['video_id'].decode()
    label = record['label']  # [K] of a clip of several labels
    found['label'] = (
      np.flatnonzero(label).tolist() if np.ndim(label) else int(label)
    )
  return found


def _describe(read):
  seen = _Seen()
  try:
    return _as_dict(seen, read(seen.add))
  except videos.VideoError as error:
    return _failed(error)


def _describe_parts(film):
  found = [None] * len(film.segments)
  try:
    for number, seen, video in reading.read_parts(film, _Seen):
      found[number] = _as_dict(seen, video) if seen else _failed(video)
  except videos.VideoError as error:
    found = [_failed(error)] * len(found)
  return found


def _failed(error):
  empty = isinstance(error, videos.NoFrameError)
  passing = isinstance(error, videos.PassingError)
  return {'error': str(error), 'empty': empty, 'passing': passing}


def _as_dict(seen, video):
  odd_intervals, rates = _intervals(video.times)
  height, width = seen.size
  return {
    'num_frames': len(video.frames),
    'width': width,
    'height': height,
    'fps': video.fps,
    'damage': video.damage,
    'share': video.share,
    'stated_frames': video.claimed.num_frames,
    'stated_duration': video.claimed.duration,
    'rotation': video.claimed.rotation,
    'end': containers.end_time(video.times, video.fps),
    'odd_intervals': odd_intervals,
    'rates': rates,
    'motion': seen.motion,
    'content': seen.digest.hexdigest()[:32],
    'scenes': seen.hashes.chosen(),
  }


def sheet(clip, count=8):
  """A contact sheet of a clip: pictures from its beginning to its end.

  Args:
    clip: as in `facts`; of a `reading.Film`, its first part.
    count: of the pictures; fewer where there are fewer frames.

  Returns:
    JPEG bytes, the pictures in a row.

  Raises:
    VideoError: if there is none.
  """
  some = _Some(4 * count)
  if isinstance(clip, reading.Film):
    one = clip._replace(segments=clip.segments[:1])
    for _, kept, video in reading.read_parts(one, lambda: some):
      if not kept:
        raise video
  else:
    read, _ = reading.open_clip(clip)
    read(some.add)
  last = len(some.kept) - 1
  chosen = np.unique(np.linspace(0, last, count).astype(int))
  gap = np.full((THUMBNAIL, GAP, 3), 128, np.uint8)
  row = [part for i in chosen for part in (gap, some.kept[i])][1:]
  return pixels.encode_jpeg(np.concatenate(row, axis=1), 80)


class _Seen:
  """What remains of the frames of a clip, in memory that does not grow."""

  def __init__(self):
    self.digest = hashlib.sha256()
    self.size = None
    self.motion = 0
    self.hashes = scenes.Hashes()
    self._first = None

  def add(self, frame):
    self.digest.update(f'{frame.shape}'.encode())
    self.digest.update(np.ascontiguousarray(frame))
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    self.hashes.add(grey)
    cells = cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA)
    if self._first is None:
      self.size, self._first = frame.shape[:2], cells
    change = cv2.absdiff(cells, self._first).max()
    self.motion = max(self.motion, int(change))


class _Some:
  """Small pictures of every n-th frame, at most `most`, from first to last."""

  def __init__(self, most):
    self.kept = []
    self._most = most
    self._every = 1
    self._count = 0

  def add(self, frame):
    if self._count % self._every == 0:
      if len(self.kept) == self._most:
        self.kept = self.kept[::2]
        self._every *= 2
      self.kept.append(_thumbnail(frame))
    self._count += 1


def _thumbnail(frame):
  """A frame of any shape, `[THUMBNAIL, at most WIDEST, 3]`."""
  height, width = frame.shape[:2]
  size = max(1, width * THUMBNAIL // height), THUMBNAIL
  if size[0] > WIDEST:
    size = WIDEST, max(1, height * WIDEST // width)
  small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
  bars = THUMBNAIL - size[1]
  sides = (bars // 2, bars - bars // 2), (0, 0), (0, 0)
  return np.pad(small, sides, constant_values=128)


def _intervals(times):
  """How evenly the frames of a video follow each other.

  Returns:
    `(share, [slowest, fastest])`: the share of the intervals between frames
    that differ from the median by more than a quarter, and the frame rates
    that the longest and shortest mean. `(0, [])` where the times are unknown,
    or do not increase, as in AVI files: there they are guessed.
  """
  steps = np.diff(times)
  if len(steps) < 2 or not (steps > 0).all():  # also of NaN
    return 0.0, []
  median = np.median(steps)
  # Containers round their times, Matroska to milliseconds.
  odd = np.abs(steps - median) > max(median / 4, 0.002)
  return float(odd.mean()), [float(1 / steps.max()), float(1 / steps.min())]
