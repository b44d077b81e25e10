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

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import file_adapters, writer

CLIPS_PER_SHARD = 128
MIN_SHARE = 0.9  # of its frames that must decode in a damaged video


class VideoFolder(tfds.core.ShardBasedBuilder):
  """Clips as `storage.to_record` makes them, from a `folder.Listing`."""

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
    features = tfds.features
    return tfds.core.DatasetInfo(
      builder=self,
      description='Clips as JPEG or H.264 frames, made from videos.',
      features=features.FeaturesDict(
        {
          # Plain bytes, of a JPEG image or an H.264 packet each: TFDS's own
          # video and image features decode every frame.
          'frames': features.Sequence(
            features.Tensor(shape=(), dtype=np.object_)
          ),
          'num_frames': np.int32,
          'height': np.int32,
          'width': np.int32,
          'fps': np.float32,
          'label': features.ClassLabel(names=self.listing.labels),
          'video_id': features.Text(),
        }
      ),
      metadata=tfds.core.MetadataDict(self.report['options']),
    )

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager
    splits = {}
    for item in self.listing.items:
      splits.setdefault(item.split, []).append(item)
    parts = {
      split: [
        items[start : start + CLIPS_PER_SHARD]
        for start in range(0, len(items), CLIPS_PER_SHARD)
      ]
      for split, items in splits.items()
    }
    # One stream over all shards, so that no core waits at the end of each.
    # They are written in this order: those that are there are the first.
    ordered = itertools.chain.from_iterable(parts.values())
    missing = itertools.islice(ordered, self.shards.count(), None)
    paths = [os.fspath(item.path) for items in missing for item in items]
    self._stream = zip(paths, self.outcomes(paths))
    return {
      split: [functools.partial(self._shard, items) for items in parts[split]]
      for split in parts
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
      done = {'excluded': [], 'damaged': [], 'num_frames': []}
      yield from self._decode(items, done)
      self.shards.report = done
    for name in ('excluded', 'damaged'):
      self.report[name] += done[name]
    self.report['num_frames'][items[0].split] += done['num_frames']

  def _decode(self, items, report):
    for item, (path, (result, reason)) in zip(items, self._stream):
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
      report['num_frames'].append(record['num_frames'])
      record.update(label=item.label, video_id=item.video_id)
      record['fps'] = record['fps'] or self.listing.fps
      yield item.video_id, record
      # TFDS keeps what a shard yields to its end, to count it: leave shells.
      record.clear()


class Shards(writer.ExampleWriter):
  """Writes each shard once into a folder that the caller removes at the end.

  Attributes:
    report: of the current shard; set it before its examples end.
  """

  def __init__(self, folder):
    super().__init__(file_adapters.FileFormat.ARRAY_RECORD)
    self.report = None
    self._folder = pathlib.Path(folder)
    self._path = self._folder

  def count(self):
    """The number of finished shards."""
    return sum(1 for _ in self._folder.glob('*-of-*[0-9]'))

  def found(self):
    """The report of the current shard if an earlier process finished it."""
    if not self._path.exists():
      return None
    return json.loads(
      self._path.with_name(f'{self._path.name}.json').read_text()
    )

  def write(self, path, examples):
    """Writes the examples, or takes the shard that is there."""
    path = pathlib.Path(path)
    self._path = self._folder / path.name
    if not self._path.exists():
      self._folder.mkdir(parents=True, exist_ok=True)
      unfinished = self._folder / 'unfinished'
      try:
        super().write(unfinished, examples)
        report = self._path.with_name(f'{self._path.name}.json')
        report.write_text(json.dumps(self.report))
      except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
      unfinished.rename(self._path)
    try:
      os.link(self._path, path)
    except OSError:  # a file system without links: this one cannot continue
      self._path.rename(path)
