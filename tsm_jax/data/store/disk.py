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
  items = listing.items
  sample = [items[i * len(items) // SAMPLES].path for i in range(SAMPLES)]
  work = functools.partial(
    codec.to_record, options=options, modality=listing.modality
  )
  with workers.Workers(work) as pool:
    sizes = [
      sum(map(len, result[0]['frames'])) if result else 0
      for result, _ in pool.outcomes(list(map(os.fspath, sample)))
    ]
  return sum(sizes) * len(items) // SAMPLES


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
