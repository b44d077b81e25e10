import contextlib
import dataclasses
import itertools
import threading
import types

import numpy as np
import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data import defaults, sampling
from tsm_jax.data.clips import codec, pixels
from tsm_jax.data.input import cropping, pipeline, preprocess, records
from tsm_jax.data.store import dataset

HOW = preprocess.Preprocessing(4, 28, (0.5,) * 3, (0.25,) * 3, 256, 90)
ONE, TWO = records.Views(), records.Views(clips=2)
LENGTHS = (1, 2, 3, 4, 5, 8, 9, 12, 13, 16, 20, 20, 24)  # frames of 13 clips


def gray(frame, size=(40, 48)):
  """A JPEG of one gray that tells the number of the frame."""
  return pixels.encode_jpeg(np.full((*size, 3), 10 * frame, np.uint8), 95)


def textured(seed):
  image = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
  return pixels.resize(image, 48, 40)


def stored(images, kind, **fields):
  writer = codec.Writer(defaults.Options(quality=95, storage=kind))
  for image in images:
    writer.add(image)
  return {'frames': writer.end(), 'height': 40, 'width': 48, **fields}


@pytest.fixture(scope='module', params=defaults.STORAGES)
def source(request):
  """Records as of a built dataset, whose labels are their numbers."""
  return [
    stored([textured(100 * i + k) for k in range(n)], request.param, label=i)
    for i, n in enumerate(LENGTHS)
  ]


def config(batch_size=4, seed=0, num_threads=2, resize='fast'):
  data = types.SimpleNamespace(
    scales=(1.0, 0.75),
    num_threads=num_threads,
    randaugment_ops=0,
    randaugment_magnitude=9,
    resize=resize,
  )
  return types.SimpleNamespace(batch_size=batch_size, seed=seed, data=data)


def train(source, num_batches, start=0, process=(0, 1), **kwargs):
  batches = pipeline.train_batches(
    source, config(**kwargs), HOW, start, process
  )
  return list(itertools.islice(batches, num_batches))


def assert_same(one, other):
  for a, b in zip(one, other, strict=True):
    np.testing.assert_array_equal(a['label'], b['label'])
    np.testing.assert_array_equal(a['frames'], b['frames'])


@pytest.fixture(scope='module')
def stream(source):
  return train(source, 13)


def test_batches_made_ahead_are_the_same_and_end(source, stream):
  threads = set(threading.enumerate())
  batches = pipeline.train_batches(source, config(), HOW, 0, (0, 1))
  with contextlib.closing(pipeline.ahead(batches)) as ahead:
    assert_same([next(ahead) for _ in range(5)], stream[:5])
  left = {t.name for t in threading.enumerate() if t not in threads}
  assert not any('thread-prefetch' in name for name in left)


def labels_of(batches):
  return np.concatenate([batch['label'] for batch in batches]).tolist()


def test_every_epoch_has_every_clip_once_in_its_own_order(stream):
  epochs = np.reshape(labels_of(stream), (4, 13))
  for epoch in epochs:
    assert sorted(epoch) == list(range(13))
  assert len({tuple(epoch) for epoch in epochs}) == 4
  frames = np.concatenate([batch['frames'] for batch in stream])
  same = [frames[np.flatnonzero(epochs.ravel() == i)] for i in range(13)]
  # Crop and frames are drawn anew in every epoch.
  assert sum(len({c.tobytes() for c in clip}) == 4 for clip in same) >= 9


def test_the_stream_depends_on_the_seed(source, stream):
  assert_same(train(source, 13), stream)
  assert labels_of(train(source, 13, seed=1)) != labels_of(stream)


@pytest.mark.parametrize('num_threads', [1, 3, 16])
def test_threads_do_not_change_it(source, stream, num_threads):
  assert_same(train(source, 13, num_threads=num_threads), stream)


@pytest.mark.parametrize('start', range(1, 13, 3))
def test_it_goes_on_from_any_step(source, stream, start):
  assert_same(train(source, 13 - start, start), stream[start:])


@pytest.mark.parametrize('start', [0, 5])
@pytest.mark.parametrize('count', [2, 4])
def test_processes_share_it(source, stream, count, start):
  parts = [
    train(source, 13 - start, start, (index, count)) for index in range(count)
  ]
  whole = [
    {key: np.concatenate([part[key] for part in step]) for key in batch}
    for batch, *step in zip(stream[start:], *parts, strict=True)
  ]
  assert_same(whole, stream[start:])


def test_a_training_clip_is_sampled_and_cropped_by_its_generator(source):
  record = source[10]
  clip = records.train_clip(record, np.random.default_rng(3), HOW, (1.0, 0.75))
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
  middles, beginnings = records.eval_views(record, HOW, records.Views(2))
  assert numbers(middles) == [2, 7, 12, 17]
  assert numbers(beginnings) == [0, 5, 10, 15]
  short = {'frames': [gray(k) for k in range(3)], 'label': 0}
  assert numbers(records.eval_views(short, HOW, ONE)[0]) == [0, 1, 1, 2]
  clip = records.train_clip(short, np.random.default_rng(0), HOW, (1.0,))
  assert numbers(clip['frames']) == [0, 1, 1, 2]


def test_dense_clips_of_training_and_evaluation():
  dense = dataclasses.replace(HOW, sampling='dense')
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
  found = records.eval_views(source[10], HOW, views)
  assert found.shape == views.shape(HOW) == (6, 4, 32, 32, 3)
  for number, indices in enumerate(sampling.uniform_indices(20, 4, clips=2)):
    frames = [codec.decode(source[10], [i])[0] for i in indices]
    expected = cropping.eval_crops(frames, 28, 3, full_resolution=True)
    np.testing.assert_array_equal(found[number::2], expected)


def test_official_validation_sees_the_first_frame_of_a_short_video():
  quirky = dataclasses.replace(HOW, official_quirks=True)
  validation = records.Views(validation=True)
  cases = (
    (quirky, validation, [0] * 4),
    (quirky, ONE, [0, 1, 2, 3]),
    (HOW, validation, [0, 1, 2, 3]),
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
  source = [
    stored([textured(100 * i + k) for k in range(n)], 'frames', label=i)
    for i, n in enumerate(LENGTHS)
  ]

  def decode(data, decode_jpeg=pixels.decode_jpeg):
    # Not what the threads of an earlier test's stream still read ahead.
    if threading.current_thread() is threading.main_thread():
      decoded.append(data)
    return decode_jpeg(data)

  monkeypatch.setattr(pixels, 'decode_jpeg', decode)
  for record in source:
    frames = record['frames']
    decoded.clear()
    records.train_clip(record, np.random.default_rng(0), HOW, (1.0,))
    assert len(decoded) == min(len(frames), 4)
    decoded.clear()
    records.eval_views(record, HOW, ONE)
    middles = {int((i + 0.5) * len(frames) / 4) for i in range(4)}
    assert sorted(decoded) == sorted(frames[i] for i in middles)


@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize('batch_size', [6, 12, 30])
def test_evaluation_sees_every_clip_once(source, count, batch_size):
  seen = []
  for index in range(count):
    batches = list(
      pipeline.eval_batches(source, batch_size, HOW, TWO, 3, (index, count))
    )
    assert len(batches) == -(-13 // batch_size)  # as many on every process
    for batch in batches:
      assert batch['frames'].shape == (batch_size // count, 2, 4, 28, 28, 3)
      for frames, label, mask in zip(
        *(batch[k] for k in ('frames', 'label', 'mask'))
      ):
        if mask:
          expected = records.eval_views(source[label], HOW, TWO)
          np.testing.assert_array_equal(frames, expected)
          seen.append(int(label))
        else:
          assert not frames.any() and label == 0
  assert sorted(seen) == list(range(13))


def test_an_evaluation_may_be_left(source):
  batches = pipeline.eval_batches(source, 2, HOW, ONE, 2, (0, 1))
  next(batches)
  batches.close()


@pytest.mark.parametrize('kind', ['train', 'eval'])
@pytest.mark.parametrize('data', [b'broken', b'\0\0\0\1broken'])
def test_a_broken_record_is_an_error_not_a_hole(source, kind, data):
  broken = [
    *source[:5],
    {'frames': [data] * 9, 'height': 40, 'width': 48, 'label': 5},
    *source[6:],
  ]
  with pytest.raises(ValueError, match=r'bytes that are no (JPEG|H.264)'):
    if kind == 'train':
      train(broken, 4)
    else:
      list(pipeline.eval_batches(broken, 4, HOW, ONE, 2, (0, 1)))


@pytest.mark.parametrize('kind', defaults.STORAGES)
def test_a_built_dataset_streams_as_its_videos(tmp_path, kind):
  root = helpers.write_folder(tmp_path / 'clips', clips=3)
  path, _ = helpers.build(root, tmp_path / 'data', storage=kind)
  built = dataset.open(path).split('train')
  plain = []
  for record in built:
    name = record['video_id'].decode()
    video, _ = codec.to_record(root / name, defaults.Options(storage=kind))
    plain.append({**video, 'label': ['jump', 'run'].index(name.split('/')[0])})
  assert_same(train(built, 5), train(plain, 5))


def test_a_split_that_is_not_there_is_named(tmp_path):
  root = helpers.write_folder(tmp_path / 'clips' / 'train', clips=2).parent
  path, _ = helpers.build(root, tmp_path / 'data')
  with pytest.raises(
    errors.InputError, match=r"no clip in the split 'val'; it has train \(4\)"
  ):
    dataset.open(path).split('val')
  assert dataset.open(path).labels == dataset.open(path).report['labels']
