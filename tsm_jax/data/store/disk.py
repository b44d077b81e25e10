"""Whether a disk has room for a dataset, before and while it is built."""

import contextlib
import errno
import functools
import os
import shutil

import humanize

from tsm_jax import errors
from tsm_jax.data.clips import codec, workers

SAMPLES = 24  # clips that an estimate is made of; fewer need none
FRAMES = 32  # of each of them, where they are parts of videos


def check(listing, options, data_dir, log):
  """Logs what the clips will need and what is free; refuses if that is less.

  Args:
    listing: the clips, a `listings.Listing`.
    options: `defaults.Options`.
    data_dir: folder of built datasets.
    log: called with the line.

  Raises:
    InputError: if the disk is too small.
  """
  if len(listing.items) <= SAMPLES:
    return
  needed, free = _estimate(listing, options), _free(data_dir)
  needs, has = map(humanize.naturalsize, (needed, free))
  log(
    f'It needs about {needs}, estimated from {SAMPLES} videos; {has} are free.'
  )
  if needed > free:
    raise errors.InputError(
      f'{str(data_dir)!r} has {has} free, and the dataset needs about {needs}; '
      'choose another --data_dir (config.data.data_dir), or a smaller '
      "short_side or quality, or the storage 'video'."
    )


def _estimate(listing, options):
  """Bytes that the clips take, estimated from a sample of them."""
  whole = [item for item in listing.items if not item.segment]
  parts = [item for item in listing.items if item.segment]
  return sum(
    estimate(some, options, listing.modality)
    for some, estimate in ((whole, _of_clips), (parts, _of_parts))
    if some
  )


def _of_clips(items, options, modality):
  count = min(SAMPLES, len(items))
  sample = [items[i * len(items) // count].path for i in range(count)]
  work = functools.partial(codec.to_record, options=options, modality=modality)
  with workers.Workers(work) as pool:
    sizes = [
      sum(map(len, result[0]['frames'])) if result else 0
      for result, _ in pool.outcomes(list(map(os.fspath, sample)))
    ]
  return sum(sizes) * len(items) // count


def _of_parts(items, options, modality):
  """As `_of_clips`, of parts of videos, of some of which a second is read."""
  firsts = list({item.path: item for item in reversed(items)}.values())
  count = min(SAMPLES, len(firsts))
  sample = [firsts[i * len(firsts) // count] for i in range(count)]
  clips = [(os.fspath(item.path), _beginning(item.segment)) for item in sample]
  work = functools.partial(_weigh, options=options, modality=modality)
  with workers.Workers(work) as pool:
    found = [result for result, _ in pool.outcomes(clips) if result]
  num_bytes, frames, fps = map(sum, zip(*found)) if found else (0, 1, 0)
  rate = fps / max(len(found), 1)
  wanted = 0.0
  for item in items:
    start, end, unit = item.segment
    # What has no stated end is taken to be as the others.
    length = 0 if end is None else end - start
    wanted += length * (rate if unit == 'seconds' else 1)
  return int(wanted * num_bytes / frames)


def _beginning(segment):
  """The first second, or the first frames, of a part."""
  end = segment.start + (1 if segment.unit == 'seconds' else FRAMES)
  return segment._replace(end=min(end, segment.end or end))


def _weigh(clip, options, modality):
  """`(bytes, frames, fps)` of a part of a clip, `(path, segment)`."""
  path, segment = clip
  ((_, result),) = codec.to_records(path, [segment], options, modality)
  record, _ = result
  num_bytes = sum(map(len, record['frames']))
  return num_bytes, record['num_frames'], record['fps']


def _free(folder):
  folder = folder.absolute()
  while not folder.exists():
    folder = folder.parent
  return shutil.disk_usage(folder).free


@contextlib.contextmanager
def full_is_explained(data_dir):
  """Turns the error of a full disk into a sentence."""
  try:
    yield
  except (OSError, RuntimeError) as error:
    # array_record raises RuntimeError with the system's words in it.
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
      reason = os.strerror(code)
      if getattr(error, 'errno', None) == code or reason in str(error):
        raise errors.InputError(
          f'{str(data_dir)!r} took no more: {reason}; make room and start '
          'again.'
        ) from error
    raise
