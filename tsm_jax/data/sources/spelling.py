"""Texts that look alike: accents apart or not, capitals, what is not shown."""

import contextlib
import functools
import os
import pathlib
import re
import unicodedata

from tsm_jax import errors


def read_text(path, called):
  """The content of a text file in UTF-8, with or without a mark of that.

  Args:
    path: a `pathlib.Path`.
    called: how the message begins, for example "The list 'a.csv'".

  Raises:
    InputError: if it cannot be read, or is in another encoding.
  """
  try:
    return path.read_text(encoding='utf-8-sig')
  except OSError as error:
    reason = str(error)
  except UnicodeDecodeError as error:
    reason = f'{error}; save it as UTF-8'
  raise errors.InputError(f'{called} cannot be read: {reason}.')


def composed(text):
  """A text with every letter as one character where there is one (NFC).

  macOS parts letters from their accents in names of files, other systems and
  editors do not; they look alike.
  """
  return unicodedata.normalize('NFC', text)


def find(path):
  """A path as it is spelled on the disk, where only accents are apart.

  Args:
    path: a `pathlib.Path`.

  Returns:
    The path itself if it exists, or if nothing does that looks like it.
  """
  if str(path).isascii() or os.path.lexists(path):
    return path
  found = [pathlib.Path(path.anchor)]
  for part in path.relative_to(path.anchor).parts:
    forms = (unicodedata.normalize(form, part) for form in ('NFC', 'NFD'))
    spellings = dict.fromkeys((part, *forms))
    paths = [folder / spelling for folder in found for spelling in spellings]
    paths = list(filter(os.path.lexists, paths))
    found = paths or [
      folder / name
      for folder in found
      for name in _spellings(folder, _changed(folder)).get(composed(part), ())
    ]
  return found[0] if found else path


def files(paths):
  """The files that paths mean, whatever links and spellings lead to them.

  Args:
    paths: of `pathlib.Path`; those of missing files may be among them.

  Returns:
    A dict from path to a string, the same for paths of the same file.
  """
  return {path: _file(path) for path in dict.fromkeys(paths)}


def _file(path):
  try:
    return os.path.realpath(find(path))
  except ValueError:  # no file can be called so
    return os.path.normpath(path)


def _changed(folder):
  """When a folder got or lost files last, 0 if there is none."""
  return os.stat(folder).st_mtime_ns if folder.is_dir() else 0


@functools.lru_cache(maxsize=64)  # many clips of one folder may be missing
def _spellings(folder, changed):
  """The names in a folder that are not as `composed`, by what that makes."""
  names, found = (), {}
  with contextlib.suppress(PermissionError):
    names = os.listdir(folder) if changed else ()
  for name in sorted(names):
    if composed(name) != name:
      found.setdefault(composed(name), []).append(name)
  return found


def alike(labels):
  """Lists, as text, of the labels that a person takes for one."""
  groups = {}
  for label in sorted(labels):
    groups.setdefault(_key(label), []).append(label)
  for names in groups.values():
    if len(names) > 1:
      yield ', '.join(map(ascii if _invisible(names) else repr, names))


def _key(label):
  text = unicodedata.normalize('NFKC', label).casefold()
  shown = ''.join(c for c in text if unicodedata.category(c) != 'Cf')
  text = ' '.join(shown.split())
  try:
    return float(text) if re.fullmatch(r'[-+0-9.e]+', text) else text
  except ValueError:
    return text


def _invisible(names):
  return any(unicodedata.category(c) == 'Cf' for name in names for c in name)
