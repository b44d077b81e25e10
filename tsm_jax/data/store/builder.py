"""Videos into a TFDS dataset of array_record files, one record per clip.

Nothing is replaced and nothing is lost silently: every file that is not used
is in `build_report.json`, by name and with its reason.
"""

import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
from typing import Any

from tqdm import auto as tqdm

from tsm_jax import errors
from tsm_jax.data.clips import codec, images, workers
from tsm_jax.data.store import beam, build_report, disk, locks, shards


def build(
  listing,
  source,
  data_dir,
  options,
  max_excluded,
  log=print,
  stem='',
  engine=None,
):
  """Builds the clips of a `folder.Listing` unless they are built already.

  Args:
    listing: what to build.
    source: the folder or list that it was made of.
    data_dir: path of the folder of built datasets.
    options: of `images.to_record`.
    max_excluded: share of unusable videos that stops the build.
    log: called with every line for the user.
    stem: the beginning of the dataset's name, by default that of the source.
    engine: a `beam.Engine`, to build by Apache Beam.

  Returns:
    The path of the built dataset.

  Raises:
    InputError: if a larger share of the videos than `max_excluded` is unusable.
      The message lists them.
  """
  kind = {**codec.DEFAULTS, **options}['storage']
  if listing.modality == 'flow' and kind != 'frames':
    raise errors.InputError(
      f"storage is {kind!r}, but flow is kept as its images: 'frames'."
    )
  name = _name(stem or pathlib.Path(source).stem, listing, options)
  path = data_dir / 'video_folder' / name / str(shards.VideoFolder.VERSION)
  if not build_report.exists(path):
    # At once, and not after hours of decoding.
    build_report.check_excluded(
      len(listing.items), listing.excluded, max_excluded
    )
    # Beside the dataset's folder, which is cleared.
    with locks.held(path.parents[1] / f'.{name}.lock', path, log):
      if not build_report.exists(path):  # made while this process waited
        _make(path, listing, source, options, max_excluded, log, engine)
  # What was ignored is no part of the dataset, so its report may be older.
  report = {**build_report.read(path), 'notes': listing.notes}
  build_report.check_excluded(
    build_report.num_clips(report), report['excluded'], max_excluded
  )
  for line in build_report.describe(report):
    log(line)
  return path


def _make(path, listing, source, options, max_excluded, log, engine):
  """Builds what is not there yet; no other process does so meanwhile."""
  name, data_dir = path.parent.name, path.parents[2]
  kept = _start(path, listing, options, log)
  try:
    with disk.full_is_explained(data_dir):
      report = _build(listing, options, name, data_dir, engine=engine)
      build_report.check_excluded(
        build_report.num_clips(report), report['excluded'], max_excluded
      )
      build_report.write(path, {**report, 'source': str(source)})
  except BaseException:
    shutil.rmtree(path, ignore_errors=True)
    if shards.Shards(kept).count():
      log(
        f'What is built is kept in {kept}: the next start continues there; '
        'remove it to start over.'
      )
    raise
  shutil.rmtree(kept)


def _start(path, listing, options, log):
  """Prepares the folder of a build; returns that of its finished shards."""
  kept = _kept(path)
  for other in path.parent.glob('*'):  # of a process killed before its report
    if other != kept:
      shutil.rmtree(other, ignore_errors=True)
  shards.Shards(kept).clean()
  count = len(listing.items)
  log(f'Building {path} from {count} videos ...')
  if done := shards.Shards(kept).count():
    log(f'{done} shards of {shards.CLIPS_PER_SHARD} videos are there already.')
  else:
    disk.check(listing, options, path.parents[2], log)
  return kept


def _kept(path):
  """Where the finished shards of an unfinished dataset are."""
  return path.with_name(f'{path.name}.shards_of_{shards.CLIPS_PER_SHARD}')


def _build(
  listing,
  options,
  name,
  data_dir,
  work=images.to_record,
  engine=None,
):
  """Writes the dataset and returns its report."""
  report: dict[str, Any] = {
    'name': name,
    'options': options,
    'modality': listing.modality,
    'labels': listing.labels,
    'notes': listing.notes,
    'excluded': [list(pair) for pair in listing.excluded],
    'damaged': [],
    'cut': [],
    'num_frames': {item.split: [] for item in listing.items},
  }
  progress = tqdm.tqdm(
    total=len(listing.items), desc='decode', leave=False, disable=None
  )
  work = functools.partial(work, **options, modality=listing.modality)
  with progress, workers.Workers(work) as pool:

    def outcomes(paths):
      for outcome in pool.outcomes(paths):
        progress.update()
        yield outcome

    path = data_dir / 'video_folder' / name / str(shards.VideoFolder.VERSION)
    builder = shards.VideoFolder(
      listing=listing,
      outcomes=outcomes,
      report=report,
      shards=shards.Shards(_kept(path)),
      skip=progress.update,
      name=name,
      data_dir=data_dir,
    )
    if engine:
      job = beam.Job(
        work, listing.labels, listing.fps, os.path.abspath(_kept(path))
      )
      beam.run(builder.missing(), job, engine)
    with contextlib.redirect_stdout(io.StringIO()):  # it talks of downloads
      builder.download_and_prepare()
  return report


def _name(stem, listing, options):
  """A name for people, and a hash of all that decides the content."""
  stem = re.sub(r'[^a-z0-9]+', '_', stem.lower()).strip('_')
  content = [
    [i.video_id, _size(i.path), i.label, i.split] for i in listing.items
  ]
  more = [listing.labels, options, listing.excluded, listing.modality]
  # The frames that lists state decide it, too, where they do.
  stated = [i.num_frames for i in listing.items if i.num_frames]
  text = json.dumps([content, *more, *([stated] if stated else [])])
  return f'{stem or "videos"}-{hashlib.sha256(text.encode()).hexdigest()[:10]}'


def _size(path):
  """The bytes of a file, or the number of files in a folder."""
  try:
    return len(os.listdir(path)) if path.is_dir() else path.stat().st_size
  except PermissionError:  # of a folder; reading it will tell
    return 0


# Until all callers open a `dataset.Dataset`.
REPORT = build_report.NAME
read_report = build_report.read
