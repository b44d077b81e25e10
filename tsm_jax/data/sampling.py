"""Which frames of a video make a clip.

All indices are 0-based and below `num_frames`. Segment-based (uniform) sampling
is that of TSN, which the paper follows (section 5.1); dense sampling is that of
I3D and the non-local networks, for Kinetics. `intervals.py` chooses by time.
"""

import numpy as np

DENSE_WINDOW = 64  # frames that one densely sampled clip spans


def uniform_indices(num_frames, num_segments, clips=1, new_length=1):
  """Test-time indices: one frame from each of T equal segments.

  The first clip takes the middle of every segment, `int(tick / 2 + tick * i)`
  with `tick = (num_frames - L + 1) / T`, and a second one ('twice') its
  beginning, `int(tick * i)`. More clips are spread evenly between beginnings
  and middles. A video shorter than T repeats frames.

  Args:
    num_frames: of the video, positive.
    num_segments: T, the frames of a clip, positive.
    clips: number of clips.
    new_length: L, the consecutive frames (of flow) that start at an index.

  Returns:
    int64 `[clips, T]`, all zero for a video shorter than L.

  Raises:
    ValueError: if an argument is not positive.

  >>> uniform_indices(32, 4, clips=2)
  array([[ 4, 12, 20, 28],
         [ 0,  8, 16, 24]])
  """
  _check(
    num_frames=num_frames,
    num_segments=num_segments,
    clips=clips,
    new_length=new_length,
  )
  tick = max(num_frames - new_length + 1, 0) / num_segments
  starts = tick / 2 * (1 - np.arange(clips) / max(clips - 1, 1))
  offsets = starts[:, None] + tick * np.arange(num_segments)
  return offsets.astype(np.int64)


def official_validation_indices(num_frames, num_segments, new_length=1):
  """The official code's indices while it trains: as `uniform_indices`, but the
  first frame only, if the video has no more than T + L - 1 frames.

  Returns:
    int64 `[T]`.

  Raises:
    ValueError: if an argument is not positive.

  >>> official_validation_indices(8, 8)
  array([0, 0, 0, 0, 0, 0, 0, 0])
  """
  middles = uniform_indices(num_frames, num_segments, new_length=new_length)[0]
  short = num_frames <= num_segments + new_length - 1
  return np.zeros_like(middles) if short else middles


def random_indices(
  rng, num_frames, num_segments, new_length=1, official_quirks=False
):
  """Training indices: a random frame from each of T segments.

  The segments cover the whole video; their lengths differ by one frame where
  the number of frames is not a multiple of T. A video shorter than T repeats
  frames as at test time.

  The official code takes T segments of `d = (num_frames - L + 1) // T` frames,
  so that the rest at the end is never seen; where d is 0 it takes T sorted
  draws, or the first frame only, if the video has no more than T frames.

  Args:
    rng: numpy Generator, or anything with its `integers`.
    num_frames: of the video, positive.
    num_segments: T, the frames of a clip, positive.
    new_length: L, the consecutive frames (of flow) that start at an index.
    official_quirks: whether the official formula is used.

  Returns:
    int64 `[T]`, increasing where the video is long enough.

  Raises:
    ValueError: if a number is not positive; with `official_quirks` also for
      more frames than T but fewer than L, as there.

  >>> indices = random_indices(np.random.default_rng(0), 32, 4)
  >>> indices // 8  # one of each segment
  array([0, 1, 2, 3])
  """
  _check(
    num_frames=num_frames, num_segments=num_segments, new_length=new_length
  )
  starts = num_frames - new_length + 1
  if official_quirks:
    length = max(starts, 0) // num_segments
    if length > 0:
      drawn = rng.integers(length, size=num_segments)
      return np.arange(num_segments) * length + drawn
    if num_frames > num_segments:
      return np.sort(rng.integers(starts, size=num_segments))
    return np.zeros(num_segments, np.int64)
  if starts <= num_segments:
    return uniform_indices(num_frames, num_segments, new_length=new_length)[0]
  edges = np.arange(num_segments + 1) * starts // num_segments
  return rng.integers(edges[:-1], edges[1:])


def dense_indices(num_frames, num_segments, clips=10):
  """Test-time indices of clips that span 64 frames each.

  Starts are spread evenly, a single clip is in the middle; indices beyond the
  end wrap around.

  Args:
    num_frames: of the video, positive.
    num_segments: T, the frames of a clip, positive and at most 64.
    clips: number of clips.

  Returns:
    int64 `[clips, T]`.

  Raises:
    ValueError: if an argument is not positive, or T above 64.

  >>> dense_indices(100, 4, clips=2)
  array([[ 0, 16, 32, 48],
         [36, 52, 68, 84]])
  """
  _check(num_frames=num_frames, num_segments=num_segments, clips=clips)
  last = max(0, num_frames - DENSE_WINDOW)
  starts = np.linspace(0, last, clips) if clips > 1 else np.array([last // 2])
  return _dense(starts.astype(np.int64), num_frames, num_segments)


def random_dense_indices(rng, num_frames, num_segments, official_quirks=False):
  """Training indices of one clip that spans 64 frames.

  Its start is uniform over all from which 64 frames follow; a shorter video
  wraps around. The official code never draws the last start.

  Args:
    rng: numpy Generator, or anything with its `integers`.
    num_frames: of the video, positive.
    num_segments: T, the frames of a clip, positive and at most 64.
    official_quirks: whether the last start is left out.

  Returns:
    int64 `[T]`.

  Raises:
    ValueError: if a number is not positive, or T above 64.

  >>> np.diff(random_dense_indices(np.random.default_rng(0), 100, 4))
  array([16, 16, 16])
  """
  _check(num_frames=num_frames, num_segments=num_segments)
  last = max(0, num_frames - DENSE_WINDOW)
  if official_quirks:
    start = rng.integers(last) if last else 0
  else:
    start = rng.integers(last + 1)
  return _dense(np.array([start]), num_frames, num_segments)[0]


def following(indices, images, num_frames):
  """The consecutive images that are read from each index on.

  Args:
    indices: int `[...]`.
    images: L.
    num_frames: of the video; its last image repeats at the end.

  Returns:
    int64 `[..., L]`.

  >>> following(np.array([0, 7]), 3, num_frames=9)
  array([[0, 1, 2],
         [7, 8, 8]])
  """
  return np.minimum(indices[..., None] + np.arange(images), num_frames - 1)


def _dense(starts, num_frames, num_segments):
  if num_segments > DENSE_WINDOW:
    raise ValueError(
      f'num_segments is {num_segments}; a dense clip spans {DENSE_WINDOW} '
      'frames and cannot have more.'
    )
  stride = DENSE_WINDOW // num_segments
  offsets = starts[:, None] + stride * np.arange(num_segments)
  return offsets % num_frames


def _check(**numbers):
  for name, value in numbers.items():
    if value < 1:
      raise ValueError(f'{name} is {value}; it must be at least 1.')
