"""The TFDS dataset of clips, put together from shards."""

import functools
import itertools

import numpy as np
import tensorflow_datasets as tfds

from tsm_jax.data.store import films, shards


class VideoFolder(tfds.core.ShardBasedBuilder):
  """Clips as `codec.to_record` makes them, from a `listings.Listing`."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(
    self, *, listing, outcomes, report, shards, name, skip, **kwargs
  ):
    self.listing = listing
    self.outcomes = outcomes  # arguments of `films.read` -> its outcomes
    self.report = report
    self.shards = shards
    self.skip = skip  # called with the number of clips that are there already
    self._number = {name: i for i, name in enumerate(listing.labels)}
    self._stream = iter(())
    config = tfds.core.BuilderConfig(name=name)
    super().__init__(config=config, file_format='array_record', **kwargs)

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description='Clips as JPEG or H.264 frames, made from videos.',
      features=features(self.listing.labels, self.listing.multi_label),
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
      of_shards = list(shards.parts(items))
      parts[split] = [
        shards.Part(
          template.sharded_filepath(
            shard_index=i, num_shards=len(of_shards)
          ).name,
          some,
        )
        for i, some in enumerate(of_shards)
      ]
    return parts

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager
    # One stream over all shards, so that no core waits at the end of each.
    # They are written in this order.
    arguments = [x for part in self.missing() for x in part.arguments()]
    self._stream = films.outcomes(arguments, self.outcomes(arguments))
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
      self.shards.report = done = shards.new_report()
      yield from shards.examples(items, self._stream, self.listing.fps, done)
    for name in ('excluded', 'damaged', 'cut', 'passing'):
      self.report[name] += done.get(name, [])  # shards of before have no 'cut'
    split, num_frames = items[0].split, done['num_frames']
    self.report['num_frames'][split] += num_frames
    # Those of before have no 'seconds', later ones no 'classes'.
    self.report['seconds'][split] += done.get(
      'seconds', [0.0] * len(num_frames)
    )
    names = done.get('classes', [None] * len(num_frames))
    self.report['classes'][split] += map(self._number.get, names)


def features(labels, multi_label=False):
  """The features of a clip's record, of classes of these names."""
  kinds = tfds.features
  label = kinds.ClassLabel(names=labels)
  return kinds.FeaturesDict(
    {
      # Plain bytes, of a JPEG image or an H.264 packet each: TFDS's own video
      # and image features decode every frame.
      'frames': kinds.Sequence(kinds.Tensor(shape=(), dtype=np.object_)),
      'num_frames': np.int32,
      'height': np.int32,
      'width': np.int32,
      'fps': np.float32,
      'label': kinds.Sequence(label) if multi_label else label,
      'video_id': kinds.Text(),
    }
  )
