import json
import pathlib

import numpy as np
import pytest

from tsm_jax.data import sampling

# Indices that the official code gives, 1-based: T, n (frames), test and twice.
RECORDED = json.loads(
  (pathlib.Path(__file__).parent / 'data' / 'sampling.json').read_text()
)


def case_id(case):
  return f'T{case["T"]}-n{case["n"]}'


@pytest.mark.parametrize('case', RECORDED['uniform'], ids=case_id)
def test_uniform_equals_the_recorded(case):
  one = sampling.uniform_indices(case['n'], case['T'])
  np.testing.assert_array_equal(one, [np.array(case['test']) - 1])
  two = sampling.uniform_indices(case['n'], case['T'], clips=2)
  np.testing.assert_array_equal(two.ravel(), np.array(case['twice']) - 1)


@pytest.mark.parametrize('case', RECORDED['dense'], ids=case_id)
def test_dense_equals_the_recorded(case):
  indices = sampling.dense_indices(case['n'], case['T'])
  np.testing.assert_array_equal(indices.ravel(), np.array(case['test']) - 1)


def test_hand_computed():
  # 30 frames, 8 segments: middles 1.875 + 3.75 i, beginnings 3.75 i.
  np.testing.assert_array_equal(
    sampling.uniform_indices(30, 8, clips=2),
    [[1, 5, 9, 13, 16, 20, 24, 28], [0, 3, 7, 11, 15, 18, 22, 26]],
  )
  # Three clips: the one between starts at 2.5 of segments of 10.
  np.testing.assert_array_equal(
    sampling.uniform_indices(40, 4, clips=3),
    [[5, 15, 25, 35], [2, 12, 22, 32], [0, 10, 20, 30]],
  )
  # Starts 0, 18, 36 of 100 - 64 frames, stride 64 / 4.
  np.testing.assert_array_equal(
    sampling.dense_indices(100, 4, clips=3),
    [[0, 16, 32, 48], [18, 34, 50, 66], [36, 52, 68, 84]],
  )


def test_short_videos_repeat_frames():
  np.testing.assert_array_equal(
    sampling.uniform_indices(3, 8)[0], [0, 0, 0, 1, 1, 2, 2, 2]
  )
  np.testing.assert_array_equal(sampling.uniform_indices(1, 8)[0], [0] * 8)
  np.testing.assert_array_equal(sampling.uniform_indices(8, 8)[0], range(8))
  np.testing.assert_array_equal(
    sampling.dense_indices(10, 8, clips=1)[0], [0, 8, 6, 4, 2, 0, 8, 6]
  )


@pytest.mark.parametrize('num_frames', [1, 3, 7, 8])
def test_random_is_uniform_up_to_one_frame_a_segment(num_frames):
  rng = np.random.default_rng(0)
  np.testing.assert_array_equal(
    sampling.random_indices(rng, num_frames, 8),
    sampling.uniform_indices(num_frames, 8)[0],
  )


@pytest.mark.parametrize('num_frames', [9, 13, 30, 100])
def test_random_takes_one_frame_of_every_segment(num_frames):
  rng = np.random.default_rng(0)
  drawn = np.stack(
    [sampling.random_indices(rng, num_frames, 8) for _ in range(4000)]
  )
  seen = [set(column.tolist()) for column in drawn.T]
  # The segments part the video: together they hold every frame, tail and all,
  # and no frame is in two of them.
  assert set.union(*seen) == set(range(num_frames))
  assert sum(map(len, seen)) == num_frames
  sizes = [len(segment) for segment in seen]
  assert max(sizes) - min(sizes) <= 1
  assert np.all(np.diff(drawn) > 0)
  # Within its segment each frame is as likely: 5 standard deviations.
  for column, size in zip(drawn.T, sizes):
    _, counts = np.unique(column, return_counts=True)
    assert np.all(abs(counts - 4000 / size) <= 5 * np.sqrt(4000 / size))


def test_random_depends_on_the_generator_alone():
  draws = [
    sampling.random_indices(np.random.default_rng(seed), 300, 8).tolist()
    for seed in (1, 1, 2)
  ]
  assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize('value', [0, -3])
def test_numbers_must_be_positive(value):
  rng = np.random.default_rng(0)
  for function in (
    sampling.uniform_indices,
    sampling.dense_indices,
    lambda n, t: sampling.random_indices(rng, n, t),
  ):
    with pytest.raises(ValueError, match=f'num_frames is {value}; it must be'):
      function(value, 8)
    with pytest.raises(ValueError, match=f'num_segments is {value}; it must'):
      function(30, value)
  for function in (sampling.uniform_indices, sampling.dense_indices):
    with pytest.raises(ValueError, match=f'clips is {value}; it must be'):
      function(30, 8, clips=value)
  with pytest.raises(ValueError, match='num_segments is 65; a dense clip'):
    sampling.dense_indices(100, 65)
