import json
import pathlib
import types

import numpy as np
import pytest

from tsm_jax.data import sampling

# Indices that the official code gives, 1-based: T, n (frames), new_length.
RECORDED = json.loads(
  (pathlib.Path(__file__).parents[1] / 'golden' / 'sampling.json').read_text()
)


def case_id(case):
  length = case.get('new_length', 1)
  return f'T{case["T"]}-n{case["n"]}-L{length}'


@pytest.mark.parametrize('case', RECORDED['uniform'], ids=case_id)
def test_uniform_equals_the_recorded(case):
  n, segments, length = case['n'], case['T'], case['new_length']
  one = sampling.uniform_indices(n, segments, new_length=length)
  np.testing.assert_array_equal(one, [np.array(case['test']) - 1])
  two = sampling.uniform_indices(n, segments, clips=2, new_length=length)
  np.testing.assert_array_equal(two.ravel(), np.array(case['twice']) - 1)
  val = sampling.official_validation_indices(n, segments, length)
  np.testing.assert_array_equal(val, np.array(case['val']) - 1)


@pytest.mark.parametrize('case', RECORDED['dense'], ids=case_id)
def test_dense_equals_the_recorded(case):
  indices = sampling.dense_indices(case['n'], case['T'])
  np.testing.assert_array_equal(indices.ravel(), np.array(case['test']) - 1)


def legacy_rng(seed):
  """numpy's old generator, which the official code draws from."""
  return types.SimpleNamespace(integers=np.random.RandomState(seed).randint)


@pytest.mark.parametrize('case', RECORDED['train'], ids=case_id)
def test_quirky_training_equals_the_recorded(case):
  def draw():
    return sampling.random_indices(
      legacy_rng(case['seed']),
      case['n'],
      case['T'],
      case['new_length'],
      official_quirks=True,
    )

  if isinstance(case['train'], str):
    with pytest.raises(ValueError, match='high <= 0'):
      draw()
  else:
    np.testing.assert_array_equal(draw(), np.array(case['train']) - 1)


@pytest.mark.parametrize(
  ('n', 'expected'),
  [(30, [1, 5, 7, 11, 14, 18, 19, 24]), (7, [1] * 8)],
)
def test_quirky_training_never_sees_the_tail(n, expected):
  indices = sampling.random_indices(legacy_rng(0), n, 8, official_quirks=True)
  np.testing.assert_array_equal(indices, np.array(expected) - 1)
  rng = np.random.default_rng(0)
  drawn = [
    sampling.random_indices(rng, 30, 8, official_quirks=True)
    for _ in range(2000)
  ]
  assert set(np.ravel(drawn).tolist()) == set(range(24))  # of 30


@pytest.mark.parametrize('case', RECORDED['dense_train'], ids=lambda c: c['n'])
def test_dense_training_starts(case):
  rng = np.random.default_rng(0)
  n = case['n']
  for quirks, most in (
    (True, case['max_start']),
    (False, n - 64),
  ):
    drawn = np.stack(
      [sampling.random_dense_indices(rng, n, 8, quirks) for _ in range(3000)]
    )
    assert set(drawn[:, 0].tolist()) == set(range(most + 1))
    np.testing.assert_array_equal(
      drawn - drawn[:, :1], np.tile(8 * np.arange(8), (3000, 1))
    )


def test_dense_training_of_a_short_video_wraps():
  for quirks in (True, False):
    indices = sampling.random_dense_indices(
      np.random.default_rng(0), 30, 8, quirks
    )
    np.testing.assert_array_equal(indices, [0, 8, 16, 24, 2, 10, 18, 26])


def test_random_leaves_room_for_new_length():
  rng = np.random.default_rng(0)
  drawn = [sampling.random_indices(rng, 30, 8, 5) for _ in range(2000)]
  assert set(np.ravel(drawn).tolist()) == set(range(26))  # 26 + 4 frames: 30
  for n in (3, 12):
    np.testing.assert_array_equal(
      sampling.random_indices(rng, n, 8, 5),
      sampling.uniform_indices(n, 8, new_length=5)[0],
    )
  np.testing.assert_array_equal(
    sampling.uniform_indices(1, 8, new_length=5), np.zeros((1, 8))
  )


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


def test_a_single_dense_clip_is_in_the_middle():
  np.testing.assert_array_equal(
    sampling.dense_indices(101, 4, clips=1), [[18, 34, 50, 66]]
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
    lambda n, t: sampling.random_dense_indices(rng, n, t),
  ):
    with pytest.raises(ValueError, match=f'num_frames is {value}; it must be'):
      function(value, 8)
    with pytest.raises(ValueError, match=f'num_segments is {value}; it must'):
      function(30, value)
  for function in (sampling.uniform_indices, sampling.dense_indices):
    with pytest.raises(ValueError, match=f'clips is {value}; it must be'):
      function(30, 8, clips=value)
  with pytest.raises(ValueError, match=f'new_length is {value}; it must be'):
    sampling.random_indices(rng, 30, 8, new_length=value)
  with pytest.raises(ValueError, match='num_segments is 65; a dense clip'):
    sampling.dense_indices(100, 65)


def test_the_last_image_repeats():
  found = sampling.following(np.array([[0, 5], [7, 8]]), 5, 9)
  assert found.tolist() == [
    [[0, 1, 2, 3, 4], [5, 6, 7, 8, 8]],
    [[7, 8, 8, 8, 8], [8, 8, 8, 8, 8]],
  ]
