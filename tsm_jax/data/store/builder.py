"""Videos into a TFDS dataset of array_record files, one record per clip.

Nothing is replaced and nothing is lost silently: every file that is not used
is in `build_report.json`, by name and with its reason.
"""

from collections.abc import Callable
import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
from typing import Any, NamedTuple

from tsm_jax import errors, progress
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, workers
from tsm_jax.data.sources import listings
from tsm_jax.data.store import (
  beam,
  build_report,
  disk,
  films,
  locks,
  shards,
  tfds_builder,
)


class Plan(NamedTuple):
  """A dataset to build.

  Attributes:
    listing: its clips.
    source: the folder or list that they come from, for the report.
    data_dir: path of the folder of built datasets.
    options: how clips are stored.
    max_excluded: share of unusable videos that stops the build.
    stem: the beginning of the dataset's name, by default that of the source.
    engine: a `beam.Engine`, to build by Apache Beam.
    to_record: as `codec.to_record`; tests replace it.
  """

  listing: listings.Listing
  source: str | pathlib.Path
  data_dir: pathlib.Path
  options: defaults.Options = defaults.USUAL
  max_excluded: float = defaults.MAX_EXCLUDED
  stem: str = ''
  engine: beam.Engine | None = None
  to_record: Callable = codec.to_record

  def path(self):
    """The folder of the dataset."""
    name, version = self.name(), tfds_builder.VideoFolder.VERSION
    return self.data_dir / 'video_folder' / name / str(version)

  def shards_path(self):
    """The folder of the finished shards of an unfinished dataset."""
    path = self.path()
    return path.with_name(f'{path.name}.shards_of_{shards.CLIPS_PER_SHARD}')

  def name(self):
    """A readable stem, and a hash of all that decides the content."""
    stem = self.stem or pathlib.Path(self.source).stem
    stem = re.sub(r'[^a-z0-9]+', '_', stem.lower()).strip('_')
    listing = self.listing
    content = [
      [i.video_id, _size(i.path), i.label, i.split] for i in listing.items
    ]
    options = self.options.as_dict()
    more = [listing.labels, options, listing.excluded, listing.modality]
    # The frames that lists state decide it, too, where they do.
    stated = [i.num_frames for i in listing.items if i.num_frames]
    more += ['multi_label'] * listing.multi_label + [stated] * bool(stated)
    text = json.dumps([content, *more])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{stem or "videos"}-{digest[:10]}'


def _size(path):
  """The bytes of a file, or the number of files in a folder."""
  try:
    return len(os.listdir(path)) if path.is_dir() else path.stat().st_size
  except PermissionError:  # of a folder; the reason comes when it is read
    return 0


def build(plan, log=print):
  """Builds a dataset unless it is built already.

  Args:
    plan: a `Plan`.
    log: called with every line for the user.

  Returns:
    The path of the dataset.

  Raises:
    InputError: if a larger share of the videos than `max_excluded` is unusable;
      the message lists them.
  """
  listing, storage = plan.listing, plan.options.storage
  log = _printable(log)
  if listing.modality == 'flow' and storage != 'frames':
    raise errors.InputError(
      f"storage is {storage!r}, but flow is kept as its images: 'frames'."
    )
  path = plan.path()
  if not build_report.exists(path):
    # At once, and not after hours of decoding.
    build_report.check_excluded(
      len(listing.items), listing.excluded, plan.max_excluded
    )
    # Beside the dataset's folder, which is cleared.
    lock = path.parents[1] / f'.{path.parent.name}.lock'
    with locks.held(lock, path, log):
      if not build_report.exists(path):  # made while this process waited
        _make(plan, path, log)
  # Ignored files are not part of the dataset, so the report may be older.
  report = {**build_report.read(path), 'notes': listing.notes}
  _check(report, plan.max_excluded)
  for line in build_report.describe(report):
    log(line)
  return path


def _printable(log):
  """A `log` that takes names as files have them; they may hold anything."""
  return lambda line: log(errors.printable(line))


def _check(report, max_excluded):
  num_used = build_report.num_clips(report)
  build_report.check_excluded(num_used, report['excluded'], max_excluded)


def _make(plan, path, log):
  """Builds what is missing, while this process holds the lock."""
  finished = _start(plan, path, log)
  try:
    with disk.full_is_explained(plan.data_dir):
      report = write(plan)
      _check(report, plan.max_excluded)
      build_report.write(path, {**report, 'source': str(plan.source)})
  except BaseException:
    shutil.rmtree(path, ignore_errors=True)
    if finished.count():
      log(
        f'What is built is kept in {finished.folder}: the next start continues '
        'there; remove it to start over.'
      )
    raise
  shutil.rmtree(finished.folder)


def _start(plan, path, log):
  """Prepares the folder of a build; returns its finished `shards.Shards`."""
  finished = shards.Shards(plan.shards_path())
  for other in path.parent.glob('*'):  # of a process killed before its report
    if other != finished.folder:
      shutil.rmtree(other, ignore_errors=True)
  finished.clean()
  log(f'Building {path} from {len(plan.listing.items)} videos ...')
  if count := finished.count():
    log(f'{count} shards of {shards.CLIPS_PER_SHARD} videos are there already.')
  else:
    disk.check(plan.listing, plan.options, plan.data_dir, log)
  return finished


def write(plan):
  """Writes the dataset of a `Plan`; returns its report, which is not written.

  Shards that an earlier process has finished are taken over.

  Raises:
    InputError: if a clip could not be read for a reason that may pass: it would
      be missing in the dataset for ever.
  """
  listing = plan.listing
  report: dict[str, Any] = {
    'name': plan.name(),
    'options': plan.options.as_dict(),
    'modality': listing.modality,
    'labels': listing.labels,
    'notes': listing.notes,
    'excluded': [list(pair) for pair in listing.excluded],
    'damaged': [],
    'cut': [],
    'passing': [],
    'num_frames': {item.split: [] for item in listing.items},
    'seconds': {item.split: [] for item in listing.items},
    'classes': {item.split: [] for item in listing.items},
  }
  report.update({'multi_label': True} if listing.multi_label else {})
  bar = progress.bar(total=len(listing.items), desc='decode', leave=False)
  waiting = plan.path().with_name(f'{plan.path().name}.parts')
  work = functools.partial(
    films.read,
    to_record=plan.to_record,
    options=plan.options,
    modality=listing.modality,
    folder=os.path.abspath(waiting),
  )
  limit = films.limit(listing.items)
  with (
    bar,
    _removed(waiting),
    workers.Workers(work, limit=limit) as pool,
  ):

    def outcomes(arguments):
      for argument, outcome in zip(arguments, pool.outcomes(arguments)):
        bar.update(films.num_clips(argument))
        yield outcome

    folder = plan.shards_path()
    builder = tfds_builder.VideoFolder(
      listing=listing,
      outcomes=outcomes,
      report=report,
      shards=shards.Shards(folder),
      skip=bar.update,
      name=plan.name(),
      data_dir=plan.data_dir,
    )
    if plan.engine:
      folder = os.path.abspath(folder)
      job = beam.Job(
        work, listing.labels, listing.fps, folder, listing.multi_label
      )
      beam.run(builder.missing(), job, plan.engine)
    with contextlib.redirect_stdout(io.StringIO()):  # it talks of downloads
      builder.download_and_prepare()
  build_report.refuse_passing(report.pop('passing'))
  return report


@contextlib.contextmanager
def _removed(folder):
  """Removes a folder at the end, if there is one."""
  try:
    yield
  finally:
    shutil.rmtree(folder, ignore_errors=True)
