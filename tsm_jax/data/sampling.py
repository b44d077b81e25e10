"""Which frames of a video make a clip.

All indices are 0-based and below `num_frames`. Segment-based (uniform) sampling
is that of TSN, which the paper follows (section 5.1); dense sampling is that of
I3D and the non-local networks, for Kinetics.
"""

import numpy as np

DENSE_WINDOW = 64  # frames that one densely sampled clip spans


def uniform_indices(num_frames, num_segments, clips=1):
  """Test-time indices: one frame from each of T equal segments.

  The first clip takes the middle of every segment, `int(tick / 2 + tick * i)`
  with `tick = num_frames / T`, and a second one ('twice') its beginning,
  `int(tick * i)`. More clips are spread evenly between beginnings and middles.
  A video shorter than T repeats frames.

  Args:
    num_frames: of the video, positive.
    num_segments: T, the frames of a clip, positive.
    clips: number of clips.

  Returns:
    int64 `[clips, T]`.

  Raises:
    ValueError: if an argument is not positive.
  """
  _check(num_frames=num_frames, num_segments=num_segments, clips=clips)
  tick = num_frames / num_segments
  starts = tick / 2 * (1 - np.arange(clips) / max(clips - 1, 1))
  offsets = starts[:, None] + tick * np.arange(num_segments)
  return offsets.astype(np.int64)


def random_indices(rng, num_frames, num_segments):
  """Training indices: a random frame from each of T segments.

  The segments cover the whole video; their lengths differ by one frame where
  `num_frames` is no multiple of T. A video shorter than T repeats frames as at
  test time.

  Args:
    rng: numpy Generator.
    num_frames: of the video, positive.
    num_segments: T, the frames of a clip, positive.

  Returns:
    int64 `[T]`, increasing.

  Raises:
    ValueError: if a number is not positive.
  """
  _check(num_frames=num_frames, num_segments=num_segments)
  if num_frames <= num_segments:
    return uniform_indices(num_frames, num_segments)[0]
  edges = np.arange(num_segments + 1) * num_frames // num_segments
  return rng.integers(edges[:-1], edges[1:])


def dense_indices(num_frames, num_segments, clips=10):
  """Test-time indices of clips that span 64 frames each.

  Starts are spread evenly; indices beyond the end wrap around.

  Args:
    num_frames: of the video, positive.
    num_segments: T, the frames of a clip, positive and at most 64.
    clips: number of clips.

  Returns:
    int64 `[clips, T]`.

  Raises:
    ValueError: if an argument is not positive, or T above 64.
  """
  _check(num_frames=num_frames, num_segments=num_segments, clips=clips)
  if num_segments > DENSE_WINDOW:
    raise ValueError(
      f'num_segments is {num_segments}; a dense clip spans {DENSE_WINDOW} '
      'frames and cannot have more.'
    )
  last = max(0, num_frames - DENSE_WINDOW)
  starts = np.linspace(0, last, clips).astype(np.int64)
  stride = DENSE_WINDOW // num_segments
  offsets = starts[:, None] + stride * np.arange(num_segments)
  return offsets % num_frames


def _check(**numbers):
  for name, value in numbers.items():
    if value < 1:
      raise ValueError(f'{name} is {value}; it must be at least 1.')
