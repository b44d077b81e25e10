"""A TFDS dataset of clips, written in shards that outlive their process.

TFDS removes the files of a build that fails. Here every shard is written
outside of TFDS's folder, under its name only when it is whole, with a report
beside it, and then linked into that folder.
"""

import functools
import itertools
import json
import os
import pathlib
from typing import NamedTuple
import uuid

from array_record.python import array_record_module
import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import file_adapters, writer

from tsm_jax.data.sources import lists

CLIPS_PER_SHARD = 128
UNFINISHED = '.unfinished'  # how half a shard's name ends
MIN_SHARE = 0.9  # of its frames that must decode in a damaged video


class Part(NamedTuple):
  """The clips of one shard, and the name of its file."""

  name: str
  items: list[lists.Item]

  def paths(self):
    """Of the clips, as text."""
    return [os.fspath(item.path) for item in self.items]


class VideoFolder(tfds.core.ShardBasedBuilder):
  """Clips as `codec.to_record` makes them, from a `folder.Listing`."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(
    self, *, listing, outcomes, report, shards, name, skip, **kwargs
  ):
    self.listing = listing
    self.outcomes = outcomes  # paths -> (to_record's result, reason) of each
    self.report = report
    self.shards = shards
    self.skip = skip  # called with the number of clips that are there already
    self._stream = iter(())
    config = tfds.core.BuilderConfig(name=name)
    super().__init__(config=config, file_format='array_record', **kwargs)

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description='Clips as JPEG or H.264 frames, made from videos.',
      features=features_of(self.listing.labels),
      metadata=tfds.core.MetadataDict(self.report['options']),
    )

  def missing(self):
    """The parts whose shards are not there yet, in their order."""
    parts = itertools.chain.from_iterable(self._parts().values())
    return [part for part in parts if not self.shards.has(part.name)]

  def _parts(self):
    """A mapping from split to its parts."""
    splits, parts = {}, {}
    for item in self.listing.items:
      splits.setdefault(item.split, []).append(item)
    for split, items in splits.items():
      template = self._get_filename_template(split)
      starts = range(0, len(items), CLIPS_PER_SHARD)
      parts[split] = [
        Part(
          template.sharded_filepath(shard_index=i, num_shards=len(starts)).name,
          items[start : start + CLIPS_PER_SHARD],
        )
        for i, start in enumerate(starts)
      ]
    return parts

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager
    # One stream over all shards, so that no core waits at the end of each.
    # They are written in this order.
    paths = [path for part in self.missing() for path in part.paths()]
    self._stream = zip(paths, self.outcomes(paths))
    return {
      split: [functools.partial(self._shard, part.items) for part in parts]
      for split, parts in self._parts().items()
    }

  def _example_writer(self):
    return self.shards

  def _shard(self, items):
    done = self.shards.found()
    if done:
      # TFDS counts what comes from here, also where nothing is to be written.
      yield from (('', {}) for _ in done['num_frames'])
      self.skip(len(items))
    else:
      self.shards.report = done = new_report()
      yield from examples(items, self._stream, self.listing.fps, done)
    for name in ('excluded', 'damaged', 'cut'):
      self.report[name] += done.get(name, [])  # shards of before have no 'cut'
    self.report['num_frames'][items[0].split] += done['num_frames']


def features_of(labels):
  """The features of a clip's record, of classes of these names."""
  features = tfds.features
  return features.FeaturesDict(
    {
      # Plain bytes, of a JPEG image or an H.264 packet each: TFDS's own video
      # and image features decode every frame.
      'frames': features.Sequence(features.Tensor(shape=(), dtype=np.object_)),
      'num_frames': np.int32,
      'height': np.int32,
      'width': np.int32,
      'fps': np.float32,
      'label': features.ClassLabel(names=labels),
      'video_id': features.Text(),
    }
  )


def new_report():
  """What is to be said of a shard, before it has clips."""
  return {'excluded': [], 'damaged': [], 'cut': [], 'num_frames': []}


def examples(items, stream, fps, report):
  """Yields `(video_id, record)` of the clips of a shard that can be used.

  Args:
    items: of the shard.
    stream: iterator of `(path, (to_record's result, reason))` of each; no more
      is taken from it.
    fps: of clips that do not state it.
    report: as `new_report`; filled until the end.
  """
  for item, (path, (result, reason)) in zip(items, stream):
    if path != os.fspath(item.path):
      raise RuntimeError(f'{path} was decoded in the place of {item.path}.')
    record, damage, share = None, reason, 0.0
    if result:
      record, video = result
      damage, share = video.damage, video.share
      if not damage and record['num_frames'] < item.num_frames:
        share = record['num_frames'] / item.num_frames
        damage = (
          f'has {record["num_frames"]} frames, its list {item.num_frames}'
        )
    if share < MIN_SHARE:
      report['excluded'].append([item.video_id, damage])
      continue
    if damage:
      report['damaged'].append([item.video_id, damage])
    if cut := _cut(record, item.num_frames):
      report['cut'].append([item.video_id, cut])
    report['num_frames'].append(record['num_frames'])
    record.update(label=item.label, video_id=item.video_id)
    record['fps'] = record['fps'] or fps
    yield item.video_id, record
    # TFDS keeps what a shard yields to its end, to count it: leave shells.
    record.clear()


def _cut(record, stated):
  """Cuts a record to the frames that its list states; says so, or ''.

  The official code never sees the others. Packets of a video may be cut, too:
  none refers to a later one.
  """
  count = record['num_frames']
  if not 0 < stated < count:
    return ''
  per_frame = len(record['frames']) // count  # two of flow
  record['frames'] = record['frames'][: stated * per_frame]
  record['num_frames'] = stated
  return f'has {count} frames, its list {stated}: the first {stated} are used'


class _Plain(writer.ExampleWriter):
  """Writes array_record files without TFDS's compression.

  Video and JPEG hardly get smaller, but take twice as long to read.
  """

  def __init__(self):
    super().__init__(file_adapters.FileFormat.ARRAY_RECORD)

  def write(self, path, examples):
    file = array_record_module.ArrayRecordWriter(
      os.fspath(path), 'group_size:1,uncompressed'
    )
    try:
      for _, example in examples:
        file.write(example)
    finally:
      file.close()


class Shards(_Plain):
  """Writes each shard once into a folder that the caller removes at the end.

  Attributes:
    report: of the current shard; set it before its examples end.
  """

  def __init__(self, folder):
    super().__init__()
    self.report = None
    self._folder = pathlib.Path(folder)
    self._path = self._folder

  def count(self):
    """The number of finished shards."""
    return sum(1 for _ in self._folder.glob('*-of-*[0-9]'))

  def has(self, name):
    """Whether the shard of that name is finished."""
    return (self._folder / name).exists()

  def found(self):
    """The report of the current shard if an earlier process finished it."""
    if not self._path.exists():
      return None
    return json.loads(self._report(self._path).read_text())

  def _report(self, path):
    return path.with_name(f'{path.name}.json')

  def write(self, path, examples):
    """Writes the examples, or takes the shard that is there, to a path.

    That may be in the folder itself.
    """
    path = pathlib.Path(path)
    self._keep(path.name, examples)
    if path == self._path:
      return
    try:
      os.link(self._path, path)
    except OSError:  # a file system without links: this one cannot continue
      self._path.rename(path)

  def _keep(self, name, examples):
    """Writes into the folder; several machines may do so at a time."""
    self._path = self._folder / name
    if self._path.exists():
      return
    self._folder.mkdir(parents=True, exist_ok=True)
    mine = f'{name}.{uuid.uuid4().hex}'
    shard = self._folder / f'{mine}{UNFINISHED}'
    report = self._folder / f'{mine}.json{UNFINISHED}'
    try:
      super().write(shard, examples)
      report.write_text(json.dumps(self.report))
    except BaseException:
      shard.unlink(missing_ok=True)
      report.unlink(missing_ok=True)
      raise
    # In this order: whoever finds the shard finds its report.
    report.replace(self._report(self._path))
    shard.replace(self._path)

  def clean(self):
    """Removes what killed processes have left half."""
    for path in self._folder.glob(f'*{UNFINISHED}'):
      path.unlink()
