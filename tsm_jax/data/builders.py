"""Videos into a TFDS dataset of array_record files, one record per clip.

Nothing is replaced and nothing is lost silently: every file that is not used
is in `build_report.json`, by name and with its reason.
"""

import concurrent.futures as futures
import functools
import hashlib
import json
import multiprocessing
import os
import pathlib
import re
import shutil
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tsm_jax import errors
from tsm_jax.data import folder, motion, videos

REPORT = 'build_report.json'
CLIPS_PER_SHARD = 128
MIN_SHARE = 0.9  # of its frames that must decode in a damaged video


class VideoFolder(tfds.core.ShardBasedBuilder):
  """Clips as JPEG frames, from a `folder.Listing`."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(self, *, listing, options, report, name, **kwargs):
    self.listing = listing
    self.options = options
    self.report = report
    config = tfds.core.BuilderConfig(name=name)
    super().__init__(config=config, file_format='array_record', **kwargs)

  def _info(self):
    features = tfds.features
    return tfds.core.DatasetInfo(
      builder=self,
      description='Clips as JPEG frames, made from a folder of videos.',
      features=features.FeaturesDict(
        {
          # Plain bytes: TFDS's own video and image features decode every frame.
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
    )

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager
    splits = {}
    for item in self.listing.items:
      splits.setdefault(item.split, []).append(item)
    return {
      split: [
        functools.partial(self._shard, items[start : start + CLIPS_PER_SHARD])
        for start in range(0, len(items), CLIPS_PER_SHARD)
      ]
      for split, items in splits.items()
    }

  def _shard(self, items):
    for item, (record, video) in zip(items, _decode(items, self.options)):
      damage = video if record is None else video.damage
      if record is None or video.share < MIN_SHARE:
        self.report['excluded'].append([item.video_id, damage])
        continue
      if damage:
        self.report['damaged'].append([item.video_id, damage])
      self.report['num_frames'][item.split].append(record['num_frames'])
      yield (
        item.video_id,
        {**record, 'label': item.label, 'video_id': item.video_id},
      )


def prepare(config, log=print):
  """The folder of the built dataset that `config.data` asks for.

  Builds it if it is not there yet; a second call finds it. The name of a
  dataset holds a hash of its files' names, sizes, labels and splits and of the
  options, so that a changed folder is another dataset.

  Args:
    config: the fields of `configs/common.py`'s `data`.
    log: called with every line for the user.

  Returns:
    The path of the built dataset: `source` itself if it is one already.

  Raises:
    InputError: if a larger share of the videos than `max_excluded` is unusable
      (the message lists them), or as `folder.scan`.
  """
  source = config['source']
  data_dir = pathlib.Path(
    config['data_dir']
    or os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets')
  ).expanduser()
  if source and (pathlib.Path(source) / REPORT).exists():
    return pathlib.Path(source)
  if source == 'motion':
    log(f'Drawing the motion videos in {data_dir} ...')
    source = motion.make(data_dir / 'motion_videos')
  listing = folder.scan(
    source, config['labels'], config['holdout'], config['holdout_seed']
  )
  options = {name: config[name] for name in ('short_side', 'quality')}
  name = _name(source, listing, options)
  path = data_dir / 'video_folder' / name / str(VideoFolder.VERSION)
  if not (path / REPORT).exists():
    shutil.rmtree(path, ignore_errors=True)  # killed before its report
    log(f'Building {path} from {len(listing.items)} videos ...')
    report = _build(listing, options, name, data_dir, config['max_excluded'])
    report['source'] = str(source)
    (path / REPORT).write_text(json.dumps(report, indent=1))
  for line in describe(read_report(path)):
    log(line)
  return path


def _build(listing, options, name, data_dir, max_excluded):
  report: dict[str, Any] = {
    'name': name,
    'options': options,
    'labels': listing.labels,
    'notes': listing.notes,
    'excluded': [list(pair) for pair in listing.excluded],
    'damaged': [],
    'num_frames': {item.split: [] for item in listing.items},
  }
  builder = VideoFolder(
    listing=listing,
    options=options,
    report=report,
    name=name,
    data_dir=data_dir,
  )
  builder.download_and_prepare()
  total = len(listing.items) + len(listing.excluded)
  share = len(report['excluded']) / total
  if share > max_excluded or not any(report['num_frames'].values()):
    shutil.rmtree(builder.data_path)
    listed = '\n'.join(f'  {name}: {why}' for name, why in report['excluded'])
    raise errors.InputError(
      f'{len(report["excluded"])} of {total} videos cannot be used, a share of '
      f'{share:.3f}, and data.max_excluded is {max_excluded}:\n{listed}'
    )
  return report


def _name(source, listing, options):
  """A name for people, and a hash of all that decides the content."""
  stem = re.sub(r'[^a-z0-9]+', '_', pathlib.Path(source).stem.lower()).strip(
    '_'
  )
  content = [
    [i.video_id, i.path.stat().st_size, i.label, i.split] for i in listing.items
  ]
  text = json.dumps([content, listing.labels, options])
  return f'{stem or "videos"}-{hashlib.sha256(text.encode()).hexdigest()[:10]}'


def _decode(items, options):
  """Yields `(record, Video)` or `(None, reason)` for every item, in order."""
  work = functools.partial(_decode_one, **options)
  paths = [os.fspath(item.path) for item in items]
  done = 0
  try:
    with _pool(os.cpu_count()) as pool:
      for result in pool.map(work, paths):
        done += 1
        yield result
    return
  except futures.process.BrokenProcessPool:
    pass  # a decoder crashed: find out which, with a process for each file
  for path in paths[done:]:
    with _pool(1) as pool:
      try:
        yield pool.submit(work, path).result()
      except futures.process.BrokenProcessPool:
        yield None, 'the decoder crashed'


def _pool(size):
  # Spawned, because a fork of a process with JAX's threads can hang.
  return futures.ProcessPoolExecutor(
    size, mp_context=multiprocessing.get_context('spawn')
  )


def _decode_one(path, short_side, quality):
  try:
    return videos.to_record(path, short_side, quality)
  except videos.VideoError as error:
    return None, str(error)


def read_report(path):
  """What happened when the dataset in the folder `path` was built."""
  return json.loads((pathlib.Path(path) / REPORT).read_text())


def describe(report):
  """The build report as lines for people."""
  counts = ', '.join(f'{len(n)} {s}' for s, n in report['num_frames'].items())
  yield f'Dataset {report["name"]}: {counts}; {len(report["labels"])} classes.'
  for name, why in report['excluded']:
    yield f'  not used: {name}: {why}'
  for name, why in report['damaged']:
    yield f'  used, but damaged: {name}: {why}'
  for note in report['notes']:
    yield f'  note: {note}'
