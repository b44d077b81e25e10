import contextlib
import itertools
import threading
import types

import numpy as np
import pytest

from support import helpers, stored
from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec
from tsm_jax.data.input import pipeline, records
from tsm_jax.data.store import dataset

ONE, TWO = records.Views(), records.Views(clips=2)


@pytest.fixture(scope='module', params=defaults.STORAGES)
def source(request):
  return stored.source(request.param)


def config(batch_size=4, seed=0, num_threads=2, resize='fast', balance='off'):
  data = types.SimpleNamespace(
    balance=balance,
    scales=(1.0, 0.75),
    num_threads=num_threads,
    randaugment_ops=0,
    randaugment_magnitude=9,
    resize=resize,
  )
  return types.SimpleNamespace(batch_size=batch_size, seed=seed, data=data)


def train(source, num_batches, start=0, process=(0, 1), **kwargs):
  batches = pipeline.train_batches(
    source, config(**kwargs), stored.PREPROCESSING, start, process
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
  batches = pipeline.train_batches(
    source, config(), stored.PREPROCESSING, 0, (0, 1)
  )
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


@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize('batch_size', [6, 12, 30])
def test_evaluation_sees_every_clip_once(source, count, batch_size):
  seen = []
  for index in range(count):
    batches = list(
      pipeline.eval_batches(
        source, batch_size, stored.PREPROCESSING, TWO, 3, (index, count)
      )
    )
    assert len(batches) == -(-13 // batch_size)  # as many on every process
    for batch in batches:
      assert batch['frames'].shape == (batch_size // count, 2, 4, 28, 28, 3)
      for frames, label, mask in zip(
        *(batch[k] for k in ('frames', 'label', 'mask'))
      ):
        if mask:
          expected = records.eval_views(
            source[label], stored.PREPROCESSING, TWO
          )
          np.testing.assert_array_equal(frames, expected)
          seen.append(int(label))
        else:
          assert not frames.any() and label == 0
  assert sorted(seen) == list(range(13))


def test_an_evaluation_may_be_left(source):
  batches = pipeline.eval_batches(
    source, 2, stored.PREPROCESSING, ONE, 2, (0, 1)
  )
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
  with pytest.raises(ValueError, match=r'bytes that are not an? (JPEG|H.264)'):
    if kind == 'train':
      train(broken, 4)
    else:
      list(
        pipeline.eval_batches(broken, 4, stored.PREPROCESSING, ONE, 2, (0, 1))
      )


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
