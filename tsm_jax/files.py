"""Files of a run, in a local folder or a bucket (`gs://`, `s3://`)."""

import json
import os
import re

from etils import epath
import fsspec

from tsm_jax import errors

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


def read_json(name):
  """The dict in a JSON file.

  Raises:
    InputError: if it holds something else.
  """
  try:
    content = json.loads(path(name).read_bytes())
  except (ValueError, RecursionError) as error:
    reason = str(error).partition('\n')[0]
    raise errors.InputError(
      f'{name} is damaged, for it is no JSON ({reason}); remove it.'
    ) from error
  if not isinstance(content, dict):
    raise errors.InputError(
      f'{name} is damaged, for it holds no object; remove it.'
    )
  return content
