"""Batches out of a built dataset, as a pure function of (seed, step).

Reading needs neither TensorFlow nor state: the position in the data follows
from the step, so a run continues where it was on any number of processes.
"""

import concurrent.futures as futures
import dataclasses
import functools
from typing import Any

import grain
import numpy as np
import tensorflow_datasets as tfds

from tsm_jax import errors, modalities
from tsm_jax.data import records, sampling, storage, transforms


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """All that turns a video into the network's input; stored in a checkpoint.

  Attributes:
    num_frames: T, frames of a clip.
    image_size: S, both sides of the input in pixels.
    mean: one for all channels, or one of each, after `divisor`.
    std: likewise.
    short_side: pixels of the shorter side as stored.
    quality: of the stored JPEG.
    sampling: 'uniform' (over the whole video) or 'dense' (64 frames a clip).
    official_quirks: whether training and its evaluation choose frames as the
      official code does, oddities included; see `sampling.py`.
    storage: 'frames' or 'video', see `storage.py`.
    fps: frames per second as stored; 0: those of the video.
    modality: a key of `modalities.MODALITIES`.
    divisor: of pixel values, 255 or 1.
    channel_order: of colours at the network's input, 'rgb' or 'bgr'.
  """

  num_frames: int
  image_size: int
  mean: tuple[float, ...]
  std: tuple[float, ...]
  short_side: int
  quality: int
  sampling: str = 'uniform'
  official_quirks: bool = False
  storage: str = 'frames'
  fps: float = 0.0
  modality: str = 'rgb'
  divisor: float = 255.0
  channel_order: str = 'rgb'

  def kind(self):
    """The `modalities.Modality`."""
    return modalities.MODALITIES[self.modality]

  def stored(self):
    """The options of `storage.to_record`."""
    return {name: getattr(self, name) for name in storage.DEFAULTS}

  def clip_shape(self):
    """The shape of one clip as the network sees it, `(1, T, S, S, C)`."""
    size = self.image_size
    return (1, self.num_frames, size, size, self.kind().channels)

  def read_shape(self):
    """The shape of one clip as the host reads it, `(1, T, S, S, C')`."""
    return (*self.clip_shape()[:-1], self.kind().read_channels)

  def normalize(self, frames):
    """The network's input from uint8 frames `[..., C']`; on the device."""
    return transforms.normalize(
      frames,
      self.mean,
      self.std,
      self.divisor,
      self.channel_order,
      self.modality,
    )


def preprocessing_of(config):
  """The `Preprocessing` in a configuration; the only place that maps them."""
  data = config.data
  sizes = {
    'model.num_frames': config.model.num_frames,
    'data.image_size': data.image_size,
  }
  for field, value in sizes.items():
    if value < 1:
      raise errors.InputError(f'{field} is {value}; it must be at least 1.')
  if data.sampling not in ('uniform', 'dense'):
    raise errors.InputError(
      f"data.sampling is {data.sampling!r}; choose from 'uniform', 'dense'."
    )
  window = sampling.DENSE_WINDOW
  if data.sampling == 'dense' and config.model.num_frames > window:
    raise errors.InputError(
      f'model.num_frames is {config.model.num_frames}, but a dense clip spans '
      f"{window} frames; choose fewer, or data.sampling='uniform'."
    )
  _check_normalization(config.model, data)
  return Preprocessing(
    num_frames=config.model.num_frames,
    image_size=data.image_size,
    mean=tuple(data.mean),
    std=tuple(data.std),
    sampling=data.sampling,
    official_quirks=data.official_quirks,
    **storage.options_of({**storage.DEFAULTS, **data}),
    modality=config.model.modality,
    divisor=data.divisor,
    channel_order=data.channel_order,
  )


def _check_normalization(model, data):
  """Raises InputError unless the fields fit the channels of the modality."""
  for field, value, choices in (
    ('model.modality', model.modality, tuple(modalities.MODALITIES)),
    ('data.divisor', data.divisor, (1.0, 255.0)),
    ('data.channel_order', data.channel_order, ('rgb', 'bgr')),
  ):
    if value not in choices:
      raise errors.InputError(f'{field} is {value!r}; choose from {choices}.')
  channels = modalities.MODALITIES[model.modality].channels
  usual = modalities.normalization(model.name, model.modality)
  for field in ('mean', 'std'):
    if len(data[field]) not in (1, channels):
      raise errors.InputError(
        f'data.{field} has {len(data[field])} values, but model.modality '
        f'{model.modality!r} has {channels} channels; give one value for each '
        f'or for all, usually {getattr(usual, field)}, as --config '
        f'FILE:modality={model.modality} does.'
      )


def check_modality(dataset, modality):
  """Raises InputError unless a dataset holds what the model's modality reads.

  Args:
    dataset: its report, as from `builders.read_report`.
    modality: of the model.
  """
  stored = modalities.MODALITIES[modality].stored
  if dataset['modality'] != stored:
    raise errors.InputError(
      f'model.modality is {modality!r}, but the dataset {dataset["name"]} '
      f'holds {dataset["modality"]}; build one by python -m '
      f'tsm_jax.data.build NAME --modality {stored}.'
    )


def open_split(path, split):
  """The records of one split of a built dataset.

  Args:
    path: as returned by `builders.prepare`.
    split: 'train', 'val' or 'test'.

  Returns:
    A random-access source of records; see `storage.py`.

  Raises:
    InputError: if the dataset has no such split, or no clip in it.
  """
  builder = tfds.builder_from_directory(str(path))
  sizes = {
    name: info.num_examples for name, info in builder.info.splits.items()
  }
  if not sizes.get(split):
    raise errors.InputError(
      f'The dataset {str(path)!r} has no clip in the split {split!r}; it has '
      f'{", ".join(f"{name} ({size})" for name, size in sizes.items())}.'
    )
  return builder.as_data_source(split)


def label_names(path):
  """The class names of a built dataset, in the order of their indices."""
  builder = tfds.builder_from_directory(str(path))
  return list(builder.info.features['label'].names)


def train_batches(source, config, preprocessing, start_step, process):
  """Training batches from `start_step` on, without end.

  Every epoch has all clips once, in an order that depends on the seed and the
  epoch alone; batches cross its end. The crop and frames of a clip depend on
  the seed and its position alone.

  Args:
    source: as returned by `open_split`.
    config: needs seed, batch_size (over all processes) and data.
    preprocessing: a `Preprocessing`.
    start_step: the number of batches to pass over.
    process: `(index, count)` of this process.

  Returns:
    An iterator of dicts: frames uint8 `[B / count, T, S, S, C]` and label
    int32 `[B / count]`.
  """
  local = config.batch_size // process[1]
  augment = functools.partial(
    records.train_clip,
    preprocessing=preprocessing,
    scales=tuple(config.data.scales),
    ops=config.data.randaugment_ops,
    magnitude=config.data.randaugment_magnitude,
    resize=config.data.resize,
  )
  # Of numbers: grain would measure all the frames of every record.
  dataset = (
    grain.MapDataset.range(len(source))
    .seed(config.seed)
    .shuffle()
    .repeat(None)
    .random_map(lambda number, rng: augment(source[number], rng))
  )
  dataset = grain.MapDataset.source(_Part(dataset, local, start_step, process))
  options = grain.ReadOptions(
    num_threads=config.data.num_threads, prefetch_buffer_size=2 * local
  )
  return iter(dataset.to_iter_dataset(options).batch(local))


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
    source: as returned by `open_split`.
    batch_size: clips of a batch over all processes.
    preprocessing: a `Preprocessing`.
    views: a `records.Views`.
    threads: that decode.
    process: `(index, count)` of this process.

  Yields:
    As many batches on every process: frames uint8 `[b, V, T, S, S, C]`, label
    int32 `[b]`, number (of the record) int32 `[b]` and mask float32 `[b]`, 0
    for the clips that fill up the last batches.
  """
  index, count = process
  local = batch_size // count
  mine = list(range(index, len(source), count))
  num_batches = -(-len(source) // batch_size)
  shape = views.shape(preprocessing)

  def load(i) -> dict[str, Any]:
    record = source[i]
    return {
      'frames': records.eval_views(record, preprocessing, views, i),
      'label': np.int32(record['label']),
      'number': np.int32(i),
    }

  with futures.ThreadPoolExecutor(threads) as pool:
    ahead = None
    for number in range(num_batches + 1):
      chosen = mine[number * local : (number + 1) * local]
      pending = [pool.submit(load, i) for i in chosen]
      if number > 0:
        yield _pad(ahead, local, shape)
      ahead = pending


def _pad(pending, size, shape):
  batch = {
    'frames': np.zeros((size, *shape), np.uint8),
    'label': np.zeros(size, np.int32),
    'number': np.zeros(size, np.int32),
    'mask': np.zeros(size, np.float32),
  }
  for row, future in enumerate(pending):
    for key, value in future.result().items():
      batch[key][row] = value
    batch['mask'][row] = 1
  return batch
