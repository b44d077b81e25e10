"""Files that name the classes, in the order of their indices."""

import json
import pathlib
import re

from tsm_jax import errors
from tsm_jax.data.sources import listings, spelling

_HEADER = re.compile(r'"?[a-z_ ]+"?[,;\t]"?[a-z_ ]+"?', re.I)
_JSON = re.compile(r"""\s*(\[\s*["'\d\[\]{]|\{\s*["'}])""")


def read(path, field, known=frozenset()):
  """The class names of a file, in the order of their indices.

  Args:
    path: of a text file with a name per line, or with lines `0 name`,
      `0,name` or `name 0`; or of a JSON file: an array of names, or an object
      from name to index or from index to name. Indices are those from 0 or
      from 1 on, each once.
    field: what the user calls it.
    known: labels of the clips. Lines that are among them are names as they
      are, numbers and all.

  Returns:
    A list of distinct names, each a plain line of text, see
    `spelling.composed`.

  Raises:
    InputError: if the file cannot be read, or is none of these; it names
      `field`.
  """
  path = pathlib.Path(path).expanduser()
  if not path.exists():
    raise errors.InputError(
      f'{field} is {str(path)!r}, but no such file exists.'
    )
  text = spelling.read_text(path, f'{field} is {str(path)!r}, which')
  text = spelling.composed(text)
  try:
    return _checked(_names(text, known))
  except _Problem as problem:
    raise errors.InputError(
      f'{field} is {str(path)!r}, which {problem}. Wanted is a text file with '
      'a class name per line, in the order of the classifier.'
    ) from None


class _Problem(Exception):
  """Why a file does not name classes; the rest of a sentence."""


def _names(text, known):
  lines = [line.strip() for line in text.split('\n') if line.strip()]
  if not known.isdisjoint(lines):
    return lines
  if _JSON.match(text):
    return _from_json(text)
  pairs = _numbered(lines)
  return _by_index(pairs) if pairs else lines


def _from_json(text):
  try:
    content = json.loads(text)
  except (ValueError, RecursionError):
    raise _Problem('looks like JSON, but is none') from None
  if isinstance(content, list):
    return content
  if all(isinstance(value, str) for value in content.values()):
    pairs = [(_index(key), value) for key, value in content.items()]
    if all(index is not None for index, _ in pairs):
      return _by_index(pairs)
  return _by_index([(_index(v), key) for key, v in content.items()])


def _index(value):
  if type(value) is int:
    return value
  is_number = isinstance(value, str) and re.fullmatch('[0-9]{1,9}', value)
  return int(value) if is_number else None


def _numbered(lines):
  """The `(index, name)` of every line, or [] if that is not what they are."""
  if len(lines) > 1 and _HEADER.fullmatch(lines[0]):
    lines = lines[1:]
  for pattern, index, name in (
    (r'(\d{1,9})(?:[ \t]*[,;:\t][ \t]*|[ \t]+)(.+)', 1, 2),
    (r'(.+?)(?:[ \t]*[,;:\t][ \t]*|[ \t]+)(\d{1,9})', 2, 1),
  ):
    matches = [re.fullmatch(pattern, line) for line in lines]
    if len(lines) > 1 and all(matches):
      pairs = [(int(m[index]), m[name].strip('"')) for m in matches]
      if _start(pairs) is not None:
        return pairs
      if index == 1 and min(pairs)[0] == 0:
        raise _Problem(
          'has a number in front of every name, but not each of those from 0 '
          'on once; if they belong to the names, give a JSON array'
        )
  return []


def _start(pairs):
  """0 or 1 if the indices are those from there on, each once; or None."""
  found = sorted(-1 if index is None else index for index, _ in pairs)
  for start in (0, 1):
    if found == list(range(start, start + len(found))):
      return start
  return None


def _by_index(pairs):
  if _start(pairs) is None:
    raise _Problem('does not give every class an index from 0 on, each once')
  return [name for _, name in sorted(pairs, key=lambda pair: pair[0])]


def _checked(names):
  for name in names:
    if not isinstance(name, str):
      raise _Problem(f'names the class {name!r}, which is no text')
    if problem := listings.problem(name):
      raise _Problem(
        f'names the class {name!r}; a name that {problem} cannot be used'
      )
  names = [spelling.composed(name) for name in names]
  if len(set(names)) < len(names):
    twice = next(name for name in names if names.count(name) > 1)
    raise _Problem(f'names {twice!r} more than once')
  if not names:
    raise _Problem('names no class')
  return names
