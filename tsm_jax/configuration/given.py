"""Which fields the arguments of a config file decide.

A field may be what it is without arguments, too: `folder:frames=8` asks for the
8 frames that are the default. So given values are marked and found again in the
configuration, and numbers and truth values are also replaced by others, to see
what follows.
"""

import contextlib
import contextvars

from tsm_jax import configuration

_marks = contextvars.ContextVar('marks', default=False)
_turns = contextvars.ContextVar('turns', default=False)


class _Given:
  """A value that was given; as equal and of the same kind as without it."""

  def __str__(self):  # so that it stays one in a ConfigDict, which calls `str`
    return self if isinstance(self, str) else super().__str__()


_MARKED = {
  kind: type(f'Given{kind.__name__.title()}', (_Given, kind), {})
  for kind in (int, float, str)
}


def value(found):
  """What a config file gets for a given argument, see `fields`."""
  if _turns.get() and not isinstance(found, str):
    return not found if isinstance(found, bool) else found + 1
  if _marks.get() and type(found) in _MARKED:  # a bool has no subclasses
    return _MARKED[type(found)](found)
  return found


def fields(path, argument):
  """The names of the fields that arguments of a config file decide.

  Args:
    path: of the file, as for `configuration.load`.
    argument: the text after the colon.

  Returns:
    A set of those that are not as without arguments, that hold a given value,
    or that would be others with another number or truth value. Fields that are
    left open are not decided.

  Raises:
    InputError: as `configuration.load`.
  """
  name = f'{path}:{argument}'
  found, usual = _flat(name), _flat(path)
  # A file may take no other value, or compute what a mark does not go through.
  marked = turned = found
  with contextlib.suppress(Exception), _set(_marks):
    marked = _flat(name)
  with contextlib.suppress(Exception), _set(_turns):
    turned = _flat(name)
  return {
    field
    for field, here in found.items()
    if usual.get(field) != here
    or (here is not None and turned.get(field) != here)
    or isinstance(marked.get(field), _Given)
  }


def _flat(name):
  return configuration.flatten(configuration.load(name).to_dict())


@contextlib.contextmanager
def _set(variable):
  token = variable.set(True)
  try:
    yield
  finally:
    variable.reset(token)
