"""Files of a run, in a local folder or a bucket (`gs://`, `s3://`)."""

import json
import os
import re

from etils import epath
import fsspec

from tsm_jax import errors

MAX_JSON = 2**26  # bytes of a file
_MAX_DEPTH = 32  # of lists and dicts in each other
SCHEMES = {'gs': 'gcs', 's3': 's3'}  # with the extra that each needs


def path(name):
  """A path or URL as an `epath.Path`; a local path becomes absolute.

  Raises:
    InputError: if it is another kind of URL, or a package for it is missing.
  """
  scheme = re.match(r'(\w+):/', str(name))
  if scheme and not str(name).startswith(tuple(f'{s}://' for s in SCHEMES)):
    raise errors.InputError(
      f'{str(name)!r} is neither a local path nor a URL that begins with '
      f'{" or ".join(f"{s}://" for s in SCHEMES)}.'
    )
  if scheme:
    try:
      fsspec.get_filesystem_class(scheme[1])
    except ImportError as error:
      raise errors.InputError(
        f'{str(name)!r} needs the extra [{SCHEMES[scheme[1]]}] ({error}).'
      ) from error
    return epath.Path(name)
  return epath.Path(name).expanduser().absolute()


def is_remote(name):
  """Whether a path is in a bucket, where nothing can be appended to a file."""
  return str(name).startswith(tuple(f'{s}://' for s in SCHEMES))


def write(name, content):
  """Writes a text or bytes. The file is never seen half written."""
  target = path(name)
  target.parent.mkdir(parents=True, exist_ok=True)
  # Two processes may write the same file.
  unfinished = target.parent / f'{target.name}.{os.getpid()}.unfinished'
  if isinstance(content, bytes):
    unfinished.write_bytes(content)
  else:
    unfinished.write_text(content)
  unfinished.replace(target)


def is_regular(name):
  """Whether there is a file with content of its own, no pipe and no device."""
  if is_remote(name):
    return path(name).is_file()
  return os.path.isfile(path(name))


def walk(folder, prefix=''):
  """The names of all files in a folder, relative to it."""
  for found in path(folder).iterdir():
    if found.is_dir():
      yield from walk(found, f'{prefix}{found.name}/')
    else:
      yield prefix + found.name


def read_json(name):
  """The dict in a JSON file.

  Raises:
    InputError: if it is no regular file, or holds anything else.
  """
  target = path(name)
  if not is_regular(target):
    problem = 'is no file' if target.exists() else 'does not exist'
    raise errors.InputError(f'{target} {problem}.')
  size = target.stat().length
  if size > MAX_JSON:
    raise errors.InputError(
      f'{target} has {size / 1e6:.0f} MB; at most {MAX_JSON / 1e6:.0f} MB of '
      'JSON are read.'
    )
  try:
    content = json.loads(target.read_text(encoding='utf-8'))
  except RecursionError:
    raise errors.InputError(f'{target} is nested too deeply.') from None
  except ValueError as error:
    reason = 'it is empty' if size == 0 else error
    raise errors.InputError(f'{target} is no JSON ({reason}).') from error
  if not isinstance(content, dict):
    raise errors.InputError(
      f'{target} holds a {type(content).__name__}; it must be a JSON object.'
    )
  if _depth(content) > _MAX_DEPTH:
    raise errors.InputError(f'{target} is nested too deeply.')
  return content


def _depth(content):
  """How deeply lists and dicts are nested, at most `_MAX_DEPTH` + 1."""
  level, depth = [content], 0
  while level and depth <= _MAX_DEPTH:
    depth += 1
    level = [
      inner
      for outer in level
      for inner in (outer.values() if isinstance(outer, dict) else outer)
      if isinstance(inner, dict | list)
    ]
  return depth
