"""How many seconds lie between the frames of a clip, as the training saw it.

A network sees frames, no time: all that it knows of time is the distance of its
frames. A stream gives it frames of the same distance.
"""

import math
from typing import NamedTuple

import numpy as np

from tsm_jax import errors
from tsm_jax.data import sampling

ROUNDING = 1e-3  # seconds, by which the times of frames may be rounded


class Interval(NamedTuple):
  """The seconds between two neighbouring frames of a clip.

  Attributes:
    seconds: the median over the training clips.
    low: the 10 % quantile.
    high: the 90 % quantile.
  """

  seconds: float
  low: float
  high: float

  def as_dict(self):
    """A dict for JSON.

    >>> Interval(0.25, 0.2, 0.5).as_dict()
    {'seconds': 0.25, 'low': 0.2, 'high': 0.5}
    """
    return self._asdict()

  def describe(self):
    """It in words.

    >>> Interval(0.25, 0.2, 0.5).describe()
    '0.25 s apart (80 % of the clips: 0.2 s to 0.5 s)'
    >>> Interval(0.25, 0.25, 0.25).describe()
    '0.25 s apart'
    """
    shown = [f'{value:.3g} s' for value in self]
    if shown[0] == shown[1] == shown[2]:
      return f'{shown[0]} apart'
    return f'{shown[0]} apart (80 % of the clips: {shown[1]} to {shown[2]})'


def measure(num_frames, seconds, preprocessing):
  """The interval of the clips of a split.

  Of a clip of n frames in s seconds, a frame takes s / n seconds. The frames of
  a uniform sample are (n - L + 1) / T of them apart, those of a dense one
  64 // T. With `frame_interval` it is that one, wherever a clip comes from.

  Args:
    num_frames: of each stored clip, ints `[N]`.
    seconds: the duration of each, floats `[N]`; 0 if it is unknown.
    preprocessing: a `preprocess.Preprocessing`.

  Returns:
    An `Interval`, or None if no clip has a known duration.

  Raises:
    InputError: if `frame_interval` is set and a duration is unknown.

  >>> import types
  >>> how = types.SimpleNamespace(
  ...   sampling='uniform', num_frames=8, frame_interval=0.0,
  ...   kind=lambda: types.SimpleNamespace(images=1),
  ... )
  >>> measure([40, 80], [2.0, 4.0], how)  # 5 and 10 frames of 0.05 s
  Interval(seconds=0.375, low=0.275, high=0.475)
  """
  num_frames = np.asarray(num_frames, np.float64)
  seconds = np.asarray(seconds, np.float64)
  known = (seconds > 0) & (num_frames > 0)
  if preprocessing.frame_interval:
    if not known.all():
      raise errors.InputError(
        f'data.frame_interval is {preprocessing.frame_interval:g}, but '
        f'{int((~known).sum())} of {len(known)} clips have no frame rate '
        '(folders of images have none); give videos, or set it to 0.'
      )
    middle = preprocessing.frame_interval
    spread = 0.8 * middle * preprocessing.frame_interval_jitter
    return Interval(middle, middle - spread, middle + spread)
  if preprocessing.sampling == 'dense':
    stride = sampling.DENSE_WINDOW // preprocessing.num_frames
    apart = np.full(num_frames.shape, stride, np.float64)
  else:
    starts = num_frames - preprocessing.kind().images + 1
    apart = starts / preprocessing.num_frames
  known &= apart > 0  # too few images of flow: one clip's frames repeat
  if not known.any():
    return None
  values = (apart * seconds)[known] / num_frames[known]
  low, middle, high = np.quantile(values, (0.1, 0.5, 0.9)).tolist()
  return Interval(middle, low, high)


def from_dict(fields):
  """The `Interval` of `Interval.as_dict`.

  Raises:
    InputError: if a value is missing, or no positive number.
  """
  values = []
  for name in Interval._fields:
    value = fields.get(name) if isinstance(fields, dict) else None
    if type(value) not in (int, float) or not 0 < value < math.inf:
      raise errors.InputError(
        f'frame_interval.{name} is {str(value)[:60]}; it must be a positive '
        'number of seconds.'
      )
    values.append(float(value))
  return Interval(*values)


def from_meta(meta):
  """The `Interval` of a checkpoint.

  Args:
    meta: the JSON item of a checkpoint, see `checkpoints.TrainedModel`.

  Returns:
    An `Interval`, or None where it is not known: the checkpoint is older, or
    converted, or its clips have no frame rate.

  Raises:
    InputError: if what the checkpoint holds is none.
  """
  found = meta.get('frame_interval')
  return None if found is None else from_dict(found)


def timed_indices(num_frames, fps, num_segments, interval, clips=1):
  """Test-time indices of clips whose frames are some seconds apart.

  Frame i of a clip that starts at frame s is the first one that is not earlier
  than i intervals later, `s + ceil(i * interval * fps)` but for a tolerance of
  a millisecond: what a stream that starts there is shown, see `Pace`. Starts
  are spread evenly over all from which the clip fits, a single clip is in the
  middle. Where it does not fit, the last frame repeats.

  Args:
    num_frames: of the video, positive.
    fps: its frames per second, positive.
    num_segments: T, the frames of a clip, positive.
    interval: seconds between two of them, positive.
    clips: number of clips.

  Returns:
    int64 `[clips, T]`.

  Raises:
    ValueError: if an argument is not positive.

  >>> timed_indices(100, fps=25, num_segments=4, interval=0.25)
  array([[40, 47, 53, 59]])
  >>> timed_indices(16, fps=25, num_segments=4, interval=0.25)
  array([[ 0,  7, 13, 15]])
  """
  offsets, last = _timed(num_frames, fps, num_segments, interval)
  fitting = max(0, last - offsets[-1])
  starts = np.linspace(0, fitting, clips) if clips > 1 else [fitting // 2]
  starts = np.asarray(starts).astype(np.int64)
  return np.minimum(starts[:, None] + offsets, last)


def random_timed_indices(
  rng, num_frames, fps, num_segments, interval, jitter=0.0
):
  """Training indices of one clip whose frames are some seconds apart.

  As `timed_indices`; the start is uniform over all from which the clip fits,
  and the interval over `interval * [1 - jitter, 1 + jitter]`, one for the clip.

  Args:
    rng: numpy Generator.
    num_frames: of the video, positive.
    fps: its frames per second, positive.
    num_segments: T, the frames of a clip, positive.
    interval: seconds between two of them, positive.
    jitter: a share, from 0 and below 1.

  Returns:
    int64 `[T]`.

  Raises:
    ValueError: if a number is not positive.

  >>> rng = np.random.default_rng(0)
  >>> np.diff(random_timed_indices(rng, 100, 20, 4, interval=0.25))
  array([5, 5, 5])
  """
  if jitter:
    interval *= rng.uniform(1 - jitter, 1 + jitter)
  offsets, last = _timed(num_frames, fps, num_segments, interval)
  start = rng.integers(max(0, last - offsets[-1]) + 1)
  return np.minimum(start + offsets, last)


def _timed(num_frames, fps, num_segments, interval):
  """`(offsets, last)`: frames after the first int64 `[T]`, the last index."""
  for name, value in (
    ('num_frames', num_frames),
    ('fps', fps),
    ('num_segments', num_segments),
    ('interval', interval),
  ):
    if not value > 0:
      raise ValueError(f'{name} is {value}; it must be positive.')
  # A frame that is due now is not missed for the rounding of its time.
  due = np.arange(num_segments) * interval - min(ROUNDING, interval / 10)
  return np.maximum(np.ceil(due * fps), 0).astype(np.int64), num_frames - 1
