import dataclasses
import threading

import numpy as np
import pytest

from support import helpers, stored
from tsm_jax.configs import common
from tsm_jax.data import defaults, sampling
from tsm_jax.data.clips import codec, pixels
from tsm_jax.data.input import cropping, preprocess, records

ONE, TWO = records.Views(), records.Views(clips=2)


def gray(frame, size=(40, 48)):
  """A JPEG of one gray that tells the number of the frame."""
  return pixels.encode_jpeg(np.full((*size, 3), 10 * frame, np.uint8), 95)


@pytest.fixture(scope='module', params=defaults.STORAGES)
def source(request):
  return stored.source(request.param)


def test_a_training_clip_is_sampled_and_cropped_by_its_generator(source):
  record = source[10]
  clip = records.train_clip(
    record, np.random.default_rng(3), stored.PREPROCESSING, (1.0, 0.75)
  )
  rng = np.random.default_rng(3)
  indices = sampling.random_indices(rng, 20, 4)
  frames = [codec.decode(record, [i])[0] for i in indices]
  expected = cropping.train_frames(frames, rng, 28, (1.0, 0.75))
  np.testing.assert_array_equal(clip['frames'], expected)
  assert clip['label'] == 10 and clip['label'].dtype == np.int32


def numbers(view):
  return np.round(view.mean(axis=(1, 2, 3)) / 10).astype(int).tolist()


def test_views_take_the_right_frames():
  record = {'frames': [gray(k) for k in range(20)], 'label': 0}
  middles, beginnings = records.eval_views(
    record, stored.PREPROCESSING, records.Views(2)
  )
  assert numbers(middles) == [2, 7, 12, 17]
  assert numbers(beginnings) == [0, 5, 10, 15]
  short = {'frames': [gray(k) for k in range(3)], 'label': 0}
  assert numbers(records.eval_views(short, stored.PREPROCESSING, ONE)[0]) == [
    0,
    1,
    1,
    2,
  ]
  clip = records.train_clip(
    short, np.random.default_rng(0), stored.PREPROCESSING, (1.0,)
  )
  assert numbers(clip['frames']) == [0, 1, 1, 2]


def test_dense_clips_of_training_and_evaluation():
  dense = dataclasses.replace(stored.PREPROCESSING, sampling='dense')
  record = {'frames': [gray(k // 4) for k in range(100)], 'label': 0}
  views = records.eval_views(record, dense, records.Views(clips=2))
  assert [numbers(view) for view in views] == [[0, 4, 8, 12], [9, 13, 17, 21]]
  starts = {
    numbers(
      records.train_clip(record, np.random.default_rng(i), dense, (1.0,))[
        'frames'
      ]
    )[0]
    for i in range(60)
  }
  assert starts == set(range(10))  # frames 0 to 36


def test_views_are_ordered_crop_by_crop(source):
  views = records.Views(clips=2, crops=3, full_resolution=True)
  found = records.eval_views(source[10], stored.PREPROCESSING, views)
  assert found.shape == views.shape(stored.PREPROCESSING) == (6, 4, 32, 32, 3)
  for number, indices in enumerate(sampling.uniform_indices(20, 4, clips=2)):
    frames = [codec.decode(source[10], [i])[0] for i in indices]
    expected = cropping.eval_crops(frames, 28, 3, full_resolution=True)
    np.testing.assert_array_equal(found[number::2], expected)


def test_official_validation_sees_the_first_frame_of_a_short_video():
  quirky = dataclasses.replace(stored.PREPROCESSING, official_quirks=True)
  validation = records.Views(validation=True)
  cases = (
    (quirky, validation, [0] * 4),
    (quirky, ONE, [0, 1, 2, 3]),
    (stored.PREPROCESSING, validation, [0, 1, 2, 3]),
  )
  for how, views, expected in cases:
    assert records.eval_indices(4, how, views).tolist() == [expected]
  record = {'frames': [gray(k) for k in range(18)], 'label': 0}
  starts = {  # 18 // 4 * 4: the last two frames are never seen
    tuple(
      numbers(
        records.train_clip(record, np.random.default_rng(i), quirky, (1.0,))[
          'frames'
        ]
      )
    )
    for i in range(200)
  }
  assert max(map(max, starts)) == 15

  dense = dataclasses.replace(quirky, sampling='dense')
  starts = [
    int(records.eval_indices(70, dense, validation, number)[0, 0])
    for number in range(200)
  ]
  assert set(starts) == set(range(6))  # of 0 to 6
  assert records.eval_indices(70, dense, ONE).tolist() == [[3, 19, 35, 51]]
  once, again = (records.eval_indices(70, dense, validation, 9) for _ in '12')
  np.testing.assert_array_equal(once, again)


def test_only_the_chosen_frames_are_decoded(monkeypatch):
  decoded = []
  source = stored.source('frames')

  def decode(data, decode_jpeg=pixels.decode_jpeg):
    # Not what the threads of an earlier test's stream still read ahead.
    if threading.current_thread() is threading.main_thread():
      decoded.append(data)
    return decode_jpeg(data)

  monkeypatch.setattr(pixels, 'decode_jpeg', decode)
  for record in source:
    frames = record['frames']
    decoded.clear()
    records.train_clip(
      record, np.random.default_rng(0), stored.PREPROCESSING, (1.0,)
    )
    assert len(decoded) == min(len(frames), 4)
    decoded.clear()
    records.eval_views(record, stored.PREPROCESSING, ONE)
    middles = {int((i + 0.5) * len(frames) / 4) for i in range(4)}
    assert sorted(decoded) == sorted(frames[i] for i in middles)


def test_a_training_clip_of_flow_reads_five_pairs_from_each_index():
  # Every image has one level, which tells its number: x is even, y odd.
  record = {
    'frames': [
      pixels.encode_jpeg(np.full((40, 48), 100 + 10 * i, np.uint8), 95)
      for i in range(14)  # seven pairs
    ],
    'label': 0,
  }
  config = helpers.tiny_config('', '')
  common.look_at(config, 'flow')
  how = preprocess.Preprocessing.from_config(config)
  clip = records.train_clip(record, np.random.default_rng(0), how, (1.0,))
  found = clip['frames'].reshape((4, -1, 5, 2))  # [T, S * S, L, xy]
  assert found.min(axis=1).tolist() == found.max(axis=1).tolist()
  numbers = (found[:, 0].astype(int) - 100) // 10  # [T, L, xy]
  rng = np.random.default_rng(0)
  indices = sampling.random_indices(rng, 7, 4, new_length=5)
  expected = [
    [[2 * min(p + i, 6), 2 * min(p + i, 6) + 1] for i in range(5)]
    for p in indices
  ]
  assert numbers.tolist() == expected
  assert indices.max() <= 2  # 7 - 5: with no less than five pairs to come
