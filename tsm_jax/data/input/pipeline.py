"""Batches out of a built dataset, as a pure function of (seed, step).

Reading needs neither TensorFlow nor state: the position in the data follows
from the step, so a run continues where it was on any number of processes.
"""

import concurrent.futures as futures
import functools

import grain
import numpy as np

from tsm_jax import errors
from tsm_jax.data.input import balance, records


def check_threads(data):
  """Raises InputError unless data.num_threads is a number of threads."""
  if data.num_threads < 1:
    raise errors.InputError(
      f'data.num_threads is {data.num_threads}; it must be at least 1.'
    )


def train_batches(source, config, preprocessing, start_step, process):
  """Training batches from `start_step` on, without end.

  Every epoch has all clips once, in an order that depends on the seed and the
  epoch only; batches cross its end. With data.balance='sampling', it has as
  many clips, but of each class equally often, see `balance.Balanced`. The crop
  and frames of a clip depend only on the seed and its position.

  Args:
    source: from `Dataset.split`.
    config: a configuration; seed, batch_size (over all processes) and the
      section data count.
    preprocessing: a `preprocess.Preprocessing`.
    start_step: the number of batches to pass over.
    process: `(index, count)` of this process.

  Returns:
    An iterator of dicts: frames uint8 `[B / count, T, S, S, C]` and label
    int32 `[B / count]`.
  """
  local, data = config.batch_size // process[1], config.data
  augment = functools.partial(
    records.train_clip,
    preprocessing=preprocessing,
    scales=tuple(data.scales),
    randaugmented=(data.randaugment_ops, data.randaugment_magnitude),
    resize=data.resize,
  )
  # Of numbers: grain would measure all the frames of every record.
  if data.balance == 'sampling':
    balanced = balance.Balanced(source.classes, config.seed)
    numbers = grain.MapDataset.source(balanced).seed(config.seed)
  else:
    numbers = grain.MapDataset.range(len(source)).seed(config.seed)
    numbers = numbers.shuffle().repeat(None)
  dataset = numbers.random_map(lambda number, rng: augment(source[number], rng))
  dataset = grain.MapDataset.source(_Part(dataset, local, start_step, process))
  options = grain.ReadOptions(
    num_threads=config.data.num_threads, prefetch_buffer_size=2 * local
  )
  return iter(dataset.to_iter_dataset(options).batch(local))


def ahead(batches):
  """The same batches; a thread puts the next one together.

  To stack the clips of a batch takes as long as many a step of a fast device,
  which would wait for it.

  Args:
    batches: from `train_batches`.

  Returns:
    An iterator; `close` it to end the thread.
  """
  return grain.experimental.ThreadPrefetchDatasetIterator(batches, 1)


class _Part:
  """A process's clips: its row of every batch, from a step on.

  A row, not every n-th clip, so that a clip has the same place in the global
  batch on any number of processes, and with it the same random flip.
  """

  def __init__(self, dataset, local, start_step, process):
    self._dataset = dataset
    self._local = local
    self._start_step = start_step
    self._index, self._count = process

  def __len__(self):
    return len(self._dataset) // self._count - self._start_step * self._local

  def __getitem__(self, i):
    step, place = divmod(i, self._local)
    row = (self._start_step + step) * self._count + self._index
    return self._dataset[row * self._local + place]


def eval_batches(source, batch_size, preprocessing, views, threads, process):
  """Every clip of a split exactly once, over all processes.

  Args:
    source: from `Dataset.split`.
    batch_size: clips of a batch over all processes.
    preprocessing: a `preprocess.Preprocessing`.
    views: a `records.Views`.
    threads: that decode.
    process: `(index, count)` of this process.

  Yields:
    As many batches on every process: frames uint8 `[b, V, T, S, S, C]`, label
    int32 `[b]` (of several labels `[b, K]`), number (of the record) int32 `[b]`
    and mask float32 `[b]`, 0 for the clips that fill up the last batches.
  """
  index, count = process
  local = batch_size // count
  mine = list(range(index, len(source), count))
  num_batches = -(-len(source) // batch_size)
  shape = views.shape(preprocessing)
  label_shape = getattr(source, 'label_shape', ())

  def fill(batch, row, i):
    record = source[i]
    batch['frames'][row] = records.eval_views(record, preprocessing, views, i)
    batch['label'][row] = record['label']
    batch['number'][row] = i
    batch['mask'][row] = 1

  with futures.ThreadPoolExecutor(threads) as pool:
    following = None
    for number in range(num_batches + 1):
      chosen = mine[number * local : (number + 1) * local]
      batch = {
        'frames': np.zeros((local, *shape), np.uint8),
        'label': np.zeros((local, *label_shape), np.int32),
        'number': np.zeros(local, np.int32),
        'mask': np.zeros(local, np.float32),
      }
      pending = [
        pool.submit(fill, batch, row, i) for row, i in enumerate(chosen)
      ]
      if number > 0:
        ready, filled = following
        for future in filled:
          future.result()
        yield ready
      following = batch, pending
