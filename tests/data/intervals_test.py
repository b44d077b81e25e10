"""Seconds between frames: measured, chosen by, kept, and refused."""

import dataclasses
import types

import numpy as np
import pytest

from support import helpers, stored
from tsm_jax import errors, predict
from tsm_jax.configs import common
from tsm_jax.data import intervals
from tsm_jax.data.clips import videos
from tsm_jax.data.input import preprocess, records
from tsm_jax.data.store import dataset
from tsm_jax.stream.frames import pace

HOW = stored.PREPROCESSING


def how(**changes):
  return dataclasses.replace(HOW, num_frames=8, **changes)


def test_the_interval_of_each_kind_of_sampling_by_hand():
  # Clips of 2 s in 8 segments, whatever their frame rates: 0.25 s.
  same = intervals.measure([24, 60, 100], [2.0, 2.0, 2.0], how())
  np.testing.assert_allclose(same, [0.25, 0.25, 0.25])
  # 1, 2, ..., 11 s: the quantiles are those of the lengths.
  lengths = np.arange(1, 12)
  spread = intervals.measure(25 * lengths, lengths, how())
  np.testing.assert_allclose(spread, np.array([6, 2, 10]) / 8)
  # Every 8th frame, whatever the length of the clip.
  dense = intervals.measure([300, 50], [10.0, 2.0], how(sampling='dense'))
  low, high = 8 / 30, 8 / 25
  np.testing.assert_allclose(
    dense,
    [
      (low + high) / 2,
      low + 0.1 * (high - low),
      low + 0.9 * (high - low),
    ],
  )
  # Of flow, the last start has 5 images: (21 - 5 + 1) / 8 frames of 0.1 s.
  flow = intervals.measure([21], [2.1], how(modality='flow'))
  assert flow.seconds == pytest.approx(17 / 80)
  assert intervals.measure([4], [0.4], how(modality='flow')) is None
  # Clips without a duration do not count; without any, nothing is known.
  assert intervals.measure([24, 9], [2.0, 0.0], how()) == pytest.approx(same)
  assert intervals.measure([24, 9], [0.0, 0.0], how()) is None
  assert intervals.measure([], [], how()) is None


def test_the_interval_that_is_set_is_that_of_every_clip():
  exact = how(frame_interval=0.2)
  assert intervals.measure([9, 90], [1.0, 9.0], exact) == (0.2, 0.2, 0.2)
  jitter = how(frame_interval=0.2, frame_interval_jitter=0.5)
  # Uniform from 0.1 to 0.3: a tenth of it is below 0.12.
  found = intervals.measure([9], [1.0], jitter)
  np.testing.assert_allclose(found, [0.2, 0.12, 0.28])
  with pytest.raises(errors.InputError, match='1 of 2 clips have no frame ra'):
    intervals.measure([9, 9], [1.0, 0.0], exact)


def shown(times, start, interval, count):
  """The indices of the frames that a stream from `start` on is shown."""
  following = pace.Pace(interval)
  steps = [following.take(float(time)) for time in times[start:]]
  return np.repeat(np.arange(start, len(times)), steps)[:count].tolist()


@pytest.mark.parametrize('fps', [4, 12, 23.976, 25, 29.97, 60])
@pytest.mark.parametrize('interval', [0.1, 0.25, 1 / 3])
def test_a_timed_clip_is_what_a_stream_that_starts_there_is_shown(
  fps, interval
):
  num_frames = round(4 * fps)
  times = np.arange(num_frames) / np.float32(fps)
  fps = np.float32(fps)  # as stored
  for clips in (1, 3):
    found = intervals.timed_indices(num_frames, fps, 8, interval, clips)
    for row in found.tolist():
      assert row == shown(times, row[0], interval, 8)
    assert found.max() < num_frames
  # The middle clip leaves as many frames before it as after it.
  (middle,) = intervals.timed_indices(num_frames, fps, 8, interval)
  assert 0 <= num_frames - 1 - middle[-1] - middle[0] <= 1
  assert found[0, 0] == 0 and found[-1, -1] == num_frames - 1


def test_random_clips_cover_the_video_and_vary_their_interval():
  rng = np.random.default_rng(0)
  drawn = np.stack(
    [intervals.random_timed_indices(rng, 50, 10, 4, 0.5) for _ in range(2000)]
  )
  assert set(drawn[:, 0].tolist()) == set(range(35))  # 15 frames to the last
  assert (np.diff(drawn) == 5).all()
  drawn = np.stack(
    [
      intervals.random_timed_indices(rng, 900, 100, 4, 1.0, jitter=0.2)
      for _ in range(2000)
    ]
  )
  lengths = drawn[:, -1] - drawn[:, 0]  # three intervals of 80 to 120 frames
  assert 240 <= lengths.min() < 245 and 355 < lengths.max() <= 360
  assert abs(np.diff(drawn) - lengths[:, None] / 3).max() <= 1  # one for a clip
  short = intervals.random_timed_indices(rng, 8, 10, 4, 0.5)
  assert short.tolist() == [0, 5, 7, 7]


@pytest.mark.parametrize(
  'changes', [{'num_frames': 0}, {'fps': 0}, {'interval': 0}]
)
def test_a_number_that_is_not_positive_is_named(changes):
  fields = {'num_frames': 9, 'fps': 10, 'num_segments': 4, 'interval': 0.1}
  with pytest.raises(ValueError, match=f'{min(changes)} is 0; it must be pos'):
    intervals.timed_indices(**{**fields, **changes})


def test_a_checkpoint_holds_it_or_not():
  kept = intervals.Interval(0.25, 0.2, 0.3)
  assert intervals.from_meta({'frame_interval': kept.as_dict()}) == kept
  assert intervals.from_meta({'frame_interval': None}) is None
  assert intervals.from_meta({}) is None  # of an earlier version
  for bad in (3, {'seconds': 1, 'low': 1}, {**kept.as_dict(), 'low': -1}):
    with pytest.raises(errors.InputError, match=r'frame_interval\.\w+ is'):
      intervals.from_meta({'frame_interval': bad})


def test_records_of_any_rate_are_read_by_time():
  timed = dataclasses.replace(HOW, frame_interval=0.2)
  images = [np.full((40, 48, 3), 8 * k, np.uint8) for k in range(31)]
  for fps, expected in ((10, [12, 14, 16, 18]), (4, [13, 14, 15, 16])):
    record = stored.record(images, 'frames', fps=np.float32(fps), label=0)
    (clip,) = records.eval_views(record, timed, records.Views())
    shown = np.round(clip.mean((1, 2, 3)) / 8)
    np.testing.assert_array_equal(shown, expected)
    indices = records.eval_indices(31, timed, records.Views(), fps=fps)
    np.testing.assert_array_equal(indices, [expected])
    rng = np.random.default_rng(0)
    clip = records.train_clip(record, rng, timed, (1.0,))['frames']
    steps = np.diff(np.round(clip.mean((1, 2, 3)) / 8))
    np.testing.assert_array_equal(steps, np.diff(expected))
  for unknown in ({}, {'video_id': b'a.mp4'}):
    record = stored.record(images, 'frames', fps=0.0, label=0, **unknown)
    with pytest.raises(videos.VideoError, match='no frame rate, without') as e:
      records.eval_views(record, timed, records.Views())
    assert str(e.value).startswith('a.mp4: ' if unknown else 'has no frame')
    with pytest.raises(videos.VideoError, match=r'0.2 seconds apart \(data.fr'):
      records.train_clip(record, rng, timed, (1.0,))


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'frame_interval': -1.0}, 'frame_interval is -1.0; it must be from 0'),
    ({'frame_interval': 1e9}, r'1000000000.0; it must be .* to 3600 seconds'),
    ({'frame_interval_jitter': 0.2}, 'but data.frame_interval, .*, is 0; set'),
    (
      {'frame_interval': 0.2, 'frame_interval_jitter': 0.6},
      'jitter is 0.6; it must be from 0 to 0.5',
    ),
    (
      {'frame_interval': 0.2, 'sampling': 'dense'},
      "data.sampling is 'dense', but data.frame_interval is 0.2",
    ),
    (
      {'frame_interval': 0.2, 'official_quirks': True},
      'official_quirks is True, but data.frame_interval is 0.2',
    ),
    (
      {'frame_interval': 0.2, 'fps': 2.0},
      'with data.fps=2 a frame is stored every 0.5 seconds',
    ),
  ],
)
def test_what_cannot_be_combined_is_one_sentence(fields, message):
  config = helpers.tiny_config('', '')
  config.data.update(fields)
  with pytest.raises(errors.InputError, match=message):
    preprocess.Preprocessing.from_config(config)


def test_images_of_flow_have_no_interval_of_their_own():
  config = helpers.tiny_config('', '', data__frame_interval=0.2)
  common.look_at(config, 'flow')
  with pytest.raises(errors.InputError, match="'flow', whose images are those"):
    preprocess.Preprocessing.from_config(config)


def test_predict_names_images_that_have_no_rate(tmp_path):
  timed = dataclasses.replace(HOW, frame_interval=0.2)
  trained = types.SimpleNamespace(preprocessing=timed)
  path = helpers.write_frames(tmp_path / 'clip', 3)
  with pytest.raises(errors.InputError, match="clip': has no frame rate, with"):
    predict.predict_video(None, trained, path)


def test_a_dataset_is_measured_also_without_durations(tmp_path):
  for name in ('a', 'b'):
    helpers.write_frames(tmp_path / 'source' / 'train' / 'x' / name, 12)
    helpers.write_video(tmp_path / 'source' / 'val' / 'x' / f'{name}.mp4', 12)
  path, _ = helpers.build(tmp_path / 'source', tmp_path)
  built = dataset.open(path)
  report = {k: v for k, v in built.report.items() if k != 'seconds'}
  for data in (built, dataclasses.replace(built, report=report)):
    # Of images, no rate is known. Of the videos, 12 frames are half a second.
    assert data.interval(['train', 'val'], HOW) is None
    found = data.interval(['val'], HOW)
    np.testing.assert_allclose(found, [0.125] * 3)
    timed = dataclasses.replace(HOW, frame_interval=0.2)
    assert data.interval(['val'], timed).seconds == 0.2
    with pytest.raises(errors.InputError, match='2 of 2 clips have no frame r'):
      data.interval(['val', 'train'], timed)


def test_an_earlier_configuration_has_none():
  config = helpers.tiny_config('', '')
  for field in ('frame_interval', 'frame_interval_jitter'):
    del config.data[field]
  found = preprocess.Preprocessing.from_config(config)
  assert (found.frame_interval, found.frame_interval_jitter) == (0, 0)
