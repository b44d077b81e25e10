"""Which frames of a camera or file a model is shown, by their times."""

import math

from tsm_jax import errors

TOLERANCE = 1e-3  # seconds, by which containers round the times of frames
MOST = 8  # steps that one frame may stand for


class Pace:
  """Gives a model frames as far apart in time as those of its training.

  Steps are due at the first frame's time and every `interval` seconds after it.
  Each shows the first frame that is not earlier than it: nothing is delayed,
  nothing comes from the future. Frames of a faster camera are passed over, and
  those of a slower one are shown several times.

  Attributes:
    interval: seconds between two steps.
    most: steps that one frame may stand for.
    skipped: steps, so far, that were due and had no frame: after a longer gap
      than `most` intervals, only `most` steps make up for it.
  """

  def __init__(self, interval, most=MOST):
    """Starts with the first frame that is taken.

    Args:
      interval: seconds.
      most: at least 1.

    Raises:
      InputError: if one is outside its range.
    """
    if not 0 < interval < math.inf:
      raise errors.InputError(
        f'The interval between two frames is {interval} seconds; it must be '
        'positive.'
      )
    if most < 1:
      raise errors.InputError(f'most is {most}; it must be at least 1.')
    self.interval, self.most, self.skipped = interval, most, 0
    self._tolerance = min(TOLERANCE, interval / 10)
    self.restart()

  def restart(self):
    """Begins anew at the next frame, as after a camera was away."""
    self._start, self._steps = None, 0

  def take(self, time):
    """How many steps show the frame that has just come.

    Args:
      time: of the frame, in seconds from any moment. One that goes back is that
        of no new frame; call `restart` if the clock does.

    Returns:
      0 if the frame is passed over, usually 1, at most `most`.

    Raises:
      InputError: if `time` is not finite.

    >>> fast, slow = Pace(0.1), Pace(0.1)
    >>> [fast.take(i / 25) for i in range(7)]  # 25 frames per second
    [1, 0, 0, 1, 0, 1, 0]
    >>> [slow.take(i / 5) for i in range(4)]  # 5 frames per second
    [1, 2, 2, 2]
    """
    if not math.isfinite(time):
      raise errors.InputError(
        f'The time of a frame is {time}; it must be a number of seconds.'
      )
    if self._start is None:
      self._start = time
    passed = time - self._start + self._tolerance
    due = math.floor(passed / self.interval) + 1 - self._steps
    if due <= 0:
      return 0
    self._steps += due
    self.skipped += max(0, due - self.most)
    return min(due, self.most)
