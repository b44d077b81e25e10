import math

import pytest

from tsm_jax import errors
from tsm_jax.stream.frames import pace


def shown(times, steps):
  """Numbers of the frames that are shown, one for every step."""
  return [i for i, time in enumerate(times) for _ in range(steps.take(time))]


@pytest.mark.parametrize(
  ('fps', 'expected'),
  [
    # Steps are due at 0, 0.25, 0.5, ...; each shows the next frame to come.
    (4, [0, 1, 2, 3, 4]),
    (8, [0, 2, 4, 6, 8]),
    (25, [0, 7, 13, 19, 25]),
    (30, [0, 8, 15, 23, 30]),
    (3, [0, 1, 2, 3, 3]),
    (1, [0, 1, 1, 1, 1]),
  ],
)
@pytest.mark.parametrize('start', [0, 1e6 + 1 / 3])
def test_a_step_shows_the_first_frame_that_is_not_earlier(fps, expected, start):
  times = [start + i / fps for i in range(fps + 1)]
  assert shown(times, pace.Pace(0.25)) == expected


def test_times_that_a_container_has_rounded_are_on_time():
  times = [math.floor(1000 * i / 30) / 1000 for i in range(301)]
  assert shown(times, pace.Pace(0.1)) == list(range(0, 301, 3))


def test_steps_do_not_drift():
  steps = pace.Pace(1 / 3)
  taken = [steps.take(i / 30) for i in range(30_001)]
  assert sum(taken) == 3001
  assert max(taken) == 1 and steps.skipped == 0


def test_after_a_gap_few_steps_make_up_for_it():
  steps = pace.Pace(0.1, most=3)
  assert [steps.take(time) for time in (0, 0.1, 5.1, 5.2)] == [1, 1, 3, 1]
  assert steps.skipped == 47  # of the 50 that were due


def test_a_clock_that_goes_back_shows_nothing_until_it_restarts():
  steps = pace.Pace(0.5)
  assert [steps.take(time) for time in (7, 7.5, 3, 3.5)] == [1, 1, 0, 0]
  steps.restart()
  assert [steps.take(time) for time in (3.6, 4, 4.1)] == [1, 0, 1]


def test_mistakes_are_sentences():
  for interval in (0, -1, math.nan, math.inf):
    with pytest.raises(errors.InputError, match='must be positive'):
      pace.Pace(interval)
  with pytest.raises(errors.InputError, match='most is 0'):
    pace.Pace(1, most=0)
  with pytest.raises(errors.InputError, match='time of a frame is nan'):
    pace.Pace(1).take(math.nan)
