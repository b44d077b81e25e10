"""The shards of a dataset, files of clips that outlive their process.

TFDS removes the files of a build that fails. Here every shard is written
outside of TFDS's folder, under its name only when it is whole, with a report
beside it, and then linked into that folder.
"""

import json
import os
import pathlib
from typing import NamedTuple
import uuid

from array_record.python import array_record_module
from tensorflow_datasets.core import file_adapters, writer

from tsm_jax.data.clips import workers
from tsm_jax.data.sources import listings
from tsm_jax.data.store import films

CLIPS_PER_SHARD = 128
UNFINISHED = '.unfinished'  # how half a shard's name ends
MIN_SHARE = 0.9  # of its frames that must decode in a damaged video


class Part(NamedTuple):
  """The clips of one shard, and the name of its file."""

  name: str
  items: list[listings.Item]

  def arguments(self):
    """What `films.read` is called with for its clips, a list."""
    return list(films.arguments(self.items))


def parts(items):
  """Items in their order, as lists for a shard each.

  The parts of a video stay together, so that it is decoded once.
  """
  some = []
  for group in films.grouped(items):
    if some and len(some) + len(group) > CLIPS_PER_SHARD:
      yield some
      some = []
    some += group
  if some:
    yield some


def new_report():
  """The report of a shard that has no clips yet."""
  return {
    'excluded': [],
    'damaged': [],
    'cut': [],
    'passing': [],  # what may be read later; such a shard is not kept
    'num_frames': [],
    'seconds': [],  # 0 where a clip states no rate
    'classes': [],  # names
  }


def examples(items, stream, fps, report):
  """Yields `(video_id, record)` of the clips of a shard that can be used.

  Args:
    items: of the shard.
    stream: `films.outcomes` of them; no more is taken from it.
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
    if workers.is_passing(damage):
      report['passing'].append([item.video_id, damage])
      continue
    if share < MIN_SHARE:
      report['excluded'].append([item.video_id, damage])
      continue
    if damage:
      report['damaged'].append([item.video_id, damage])
    if cut := _cut(record, item.num_frames):
      report['cut'].append([item.video_id, cut])
    report['num_frames'].append(record['num_frames'])
    label = list(item.labels) or item.label
    record.update(label=label, video_id=item.video_id)
    record['fps'] = record['fps'] or fps
    seconds = record['num_frames'] / record['fps'] if record['fps'] else 0.0
    report['seconds'].append(round(seconds, 3))
    report['classes'].append(item.label)
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
    folder: its path.
    report: of the current shard; set it before its examples end.
  """

  def __init__(self, folder):
    super().__init__()
    self.report = None
    self.folder = pathlib.Path(folder)
    self._path = self.folder

  def count(self):
    """The number of finished shards."""
    return sum(1 for _ in self.folder.glob('*-of-*[0-9]'))

  def has(self, name):
    """Whether the shard of that name is finished."""
    return (self.folder / name).exists()

  def found(self):
    """The report of the current shard if an earlier process finished it."""
    if not self._path.exists():
      return None
    return json.loads(self._report(self._path).read_text())

  def _report(self, path):
    return path.with_name(f'{path.name}.json')

  def write(self, path, examples):
    """Writes the examples, or takes the shard that is there, to a path.

    That may be in the folder itself. A shard that lacks a clip for a passing
    reason is only written elsewhere.
    """
    path = pathlib.Path(path)
    unfinished = self._keep(path.name, examples)
    if unfinished and path != self._path:
      unfinished.replace(path)
      return
    if unfinished:
      unfinished.unlink()
    if path == self._path:
      return
    try:
      os.link(self._path, path)
    except OSError:  # a file system without links: this one cannot continue
      self._path.rename(path)

  def _keep(self, name, examples):
    """Writes into the folder; several machines may do so at a time.

    Returns:
      The path of the shard if it must not be kept.
    """
    self._path = self.folder / name
    if self._path.exists():
      return None
    self.folder.mkdir(parents=True, exist_ok=True)
    mine = f'{name}.{uuid.uuid4().hex}'
    shard = self.folder / f'{mine}{UNFINISHED}'
    report = self.folder / f'{mine}.json{UNFINISHED}'
    try:
      super().write(shard, examples)
      if self.report['passing']:
        return shard
      report.write_text(json.dumps(self.report))
    except BaseException:
      shard.unlink(missing_ok=True)
      report.unlink(missing_ok=True)
      raise
    # In this order: whoever finds the shard finds its report.
    report.replace(self._report(self._path))
    shard.replace(self._path)
    return None

  def clean(self):
    """Removes the unfinished files of killed processes."""
    for path in self.folder.glob(f'*{UNFINISHED}'):
      path.unlink()
