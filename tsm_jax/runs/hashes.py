"""Whether a checkpoint is as it was saved: the SHA-256 of each of its files.

Files are hashed, not arrays: no hash depends on devices or processes, names,
shapes and JSON are covered, too, and so is every stored bit. The list is
written before the step gets its name, so that no kill can come in between. It
is in the form of `sha256sum`, whose `--check` reads it.
"""

import errno
import hashlib
import re

from tsm_jax import files

FILE = 'SHA256SUMS'
# Orbax writes these afterwards. They say when a step was saved, and no value.
_LATER = ('_CHECKPOINT_METADATA', 'commit_success.txt')
_MAX_BYTES = 2**24  # of the list


def write(step):
  """Writes the list of a step, a folder that is complete but not yet named."""
  names = [n for n in files.walk(step) if n.rpartition('/')[2] not in _LATER]
  lines = [f'{sha256(step / name)}  {name}\n' for name in sorted(names)]
  files.write(step / FILE, ''.join([f'# {len(lines)} files\n', *lines]))


def damage(step, items):
  """What is wrong with some items of a step, as the end of a sentence, or ''.

  A file that differs is read a second time before it counts as damaged.

  Args:
    step: the folder, an `epath.Path` for which hashes `exist`.
    items: names of folders in it.

  Raises:
    OSError: if the files cannot be reached, which is no damage.
  """
  try:
    listed = _read(step / FILE)
  except ValueError:
    return f'{FILE} is no whole list of hashes'
  for item in items:
    names = [name for name in listed if name.startswith(f'{item}/')]
    if not names:
      return f'{FILE} does not list {item}'
    for name in names:
      if found := difference(step / name, listed[name]):
        return f'{name} {found}'
  return ''


def identity(step):
  """The SHA-256 of the list of a step, which no other step has, or None."""
  return sha256(step / FILE) if exist(step) else None


def exist(step):
  """Whether the hashes of a step were saved."""
  return (step / FILE).exists()


def _read(path):
  """The hashes by the names of files; ValueError if that is not the list."""
  if not files.is_regular(path) or path.stat().length > _MAX_BYTES:
    raise ValueError
  first, *lines = path.read_text().splitlines() or ['']
  # No name leads out of the step.
  listed = [
    re.fullmatch(r'([0-9a-f]{64})  (?!/)(?!.*\.\./)(.+)', line)
    for line in lines
  ]
  if first != f'# {len(lines)} files' or None in listed:
    raise ValueError
  return {match[2]: match[1] for match in listed}


def difference(path, expected):
  """How a file differs from the one that was saved, or ''.

  Args:
    path: an `epath.Path`.
    expected: its SHA-256 in hex.

  Raises:
    OSError: if it cannot be reached, which is no difference.
  """
  found = ''
  for _ in range(2):  # the first time, storage may have failed
    try:
      if not files.is_regular(path):
        found = 'is no file' if path.exists() else 'is missing'
      elif sha256(path) == expected:
        return ''
      else:
        found = 'is not what was saved'
    except FileNotFoundError:
      found = 'is missing'
    except OSError as error:
      if error.errno != errno.EIO:
        raise
      found = f'cannot be read ({error.strerror})'
  return found


def sha256(path):
  """The SHA-256 of a file, an `epath.Path` or `pathlib.Path`, in hex."""
  digest = hashlib.sha256()
  with path.open('rb') as file:
    while block := file.read(2**20):
      digest.update(block)
  return digest.hexdigest()
