"""The steps in a folder of checkpoints: which are whole, and which one to use.

What a step needs: `model` and `data` to be used, `train` to be continued,
`metrics` to be ranked in the folder `best`.
"""

import itertools
import sys
from typing import NamedTuple

import jax
import orbax.checkpoint as ocp

from tsm_jax import errors, files, sharding
from tsm_jax.runs import arrays, hashes, json_item, processes, replacing

BEST = 'best'
TO_USE = ('model', 'data')
TO_CONTINUE = ('model', 'train', 'data')
TO_RANK = ('model', 'metrics', 'data')
ARRAYS = ('model', 'train')
_NONE, _NONE_WHOLE = -1, -2  # instead of a step, between processes


class Chosen(NamedTuple):
  """A step that is whole.

  Attributes:
    step: the number.
    meta: its JSON, from `json_item.read`.
    damaged: a dict from every step that would have been chosen before it to
      what is damaged in that.
  """

  step: int
  meta: dict
  damaged: dict[int, str]


def listed(folder):
  """The steps in a folder, ascending; those that are still being saved not."""
  if not folder.is_dir():
    return []
  return sorted(ocp.utils.checkpoint_steps(folder))


def tell(line):
  """Prints a line where it does not mix with results; one process speaks."""
  if jax.process_index() == 0:
    print(errors.printable(line), file=sys.stderr)


def damage(folder, step, items):
  """What is damaged in a step, as the end of a sentence, or ''.

  Without hashes, as earlier versions saved, every array is read, but a changed
  one cannot be told.

  Args:
    folder: an `epath.Path`.
    step: a number, or another name in the folder.
    items: that it must have; a converted model never has `train`.

  Raises:
    OSError: if the files cannot be reached, which is no damage.
  """
  path = folder / str(step)
  missing = [item for item in items if not (path / item).is_dir()]
  if missing == ['train'] and is_converted(path):
    items, missing = TO_USE, []
  if missing:
    return f'{missing[0]} is missing'
  if hashes.exist(path) and (found := hashes.damage(path, items)):
    return found
  try:
    if not hashes.exist(path):
      for item in set(items).intersection(ARRAYS):
        arrays.read(path / item)
    _check_json(path, items)
  except errors.InputError as error:
    return str(error).removeprefix(f'{path}/').removesuffix('.')
  return ''


def is_converted(path):
  """Whether a step is a converted model, from which no run continues."""
  try:
    return 'converted_from' in json_item.read(path)
  except errors.InputError:
    return False


def _check_json(path, items):
  """Raises InputError unless the JSON of a step is as it should be."""
  _check_notes(path)
  meta = json_item.read(path, to_continue='train' in items)
  if 'metrics' in items:
    top1 = json_item.read_top1(path)
    if meta.get('top1', top1) != top1:
      raise errors.InputError(
        f'{path}/metrics: top1 is {top1}, but {meta["top1"]} in data'
      )


def _check_notes(path):
  """Raises InputError if orbax's notes on a step would make it fail."""
  notes = path / '_CHECKPOINT_METADATA'
  if notes.exists():
    files.read_json(notes)


def choose(folder, step=None, items=TO_USE, log=tell):
  """The step to use: the one given, else the latest or, in `best`, the best.

  A damaged one is passed over with a sentence, unless it was asked for.

  Args:
    folder: an `epath.Path` with at least one step.
    step: a number, or None.
    items: that it must have.
    log: called with what the user has to know.

  Returns:
    A `Chosen`.

  Raises:
    InputError: if no such step is whole; it says what is damaged.
  """
  damaged = {}
  if step is None and folder.name == BEST:
    items = {*items, 'metrics'}
  for number in _ranked(folder) if step is None else [step]:
    damaged[number] = damage(folder, number, items)
    if not damaged[number]:
      break
  else:
    raise errors.InputError(_nothing_whole(folder, damaged))
  del damaged[number]
  replacing.tell_killed(folder, log)
  for other, found in damaged.items():
    log(
      f'{folder / str(other)} is damaged ({found}); step {number} is used '
      'instead.'
    )
  path = folder / str(number)
  if not hashes.exist(path):
    log(
      f'{path} was saved by an earlier version, without hashes: whether its '
      'arrays have changed since cannot be told.'
    )
  return Chosen(number, json_item.read(path), damaged)


def _nothing_whole(folder, damaged):
  reasons = '; '.join(
    f'{folder / str(step)} is damaged ({found})'
    for step, found in damaged.items()
  )
  others = [step for step in listed(folder) if step not in damaged]
  whole = [s for s in others if not damage(folder, s, TO_USE)]
  remedy = 'and no other step is there; take a copy, or choose another workdir'
  if others:
    remedy = 'and so are the others; take a copy, or choose another workdir'
  if whole:
    remedy = f'but {folder / str(whole[-1])} is whole; give that'
  return f'{reasons}, {remedy}.'


def _ranked(folder):
  """The steps of a folder, the one to use first."""
  steps = listed(folder)[::-1]
  if folder.name != BEST:
    return steps
  return sorted(steps, key=lambda n: -_top1(folder / str(n)))  # stable


def _top1(path):
  try:
    return json_item.read_top1(path)
  except errors.InputError:
    return 1.0  # so that it is looked at, and reported


def agree(folder):
  """The step that a run continues from, found by process 0 for all.

  Args:
    folder: an `epath.Path`.

  Returns:
    `(step, damaged)`: a number, or None if there is no step, and the later
    steps, which are damaged.

  Raises:
    InputError: if there are steps, but none is whole.
  """
  step, damaged, error = _NONE, (), None
  if jax.process_index() == 0:
    try:
      replacing.put_back(
        folder, lambda name: not damage(folder, name, TO_CONTINUE)
      )
      if listed(folder):
        step, _, damaged = choose(folder, items=TO_CONTINUE)
    except errors.InputError as raised:
      step, error = _NONE_WHOLE, raised
  # The others wait here, for a collective operation may last half a minute.
  sharding.barrier('checkpoints are read')
  step = processes.broadcast(step)
  if step == _NONE_WHOLE:
    raise error or errors.InputError(f'{folder} has no whole checkpoint.')
  return (None if step == _NONE else step), tuple(damaged)


def set_aside(folder, damaged, best):
  """Renames damaged steps, which would be in the way of the next saves.

  Args:
    folder: an `epath.Path`.
    damaged: steps in it that are, from `agree`.
    best: the folder of the best models, which are checked here.
  """
  if jax.process_index() == 0:
    for step in listed(folder):
      if step in damaged or _fails_orbax(folder / str(step)):
        tell(f'{folder / str(step)} is now {_rename(folder, step).name}.')
    for step in listed(best):
      if found := damage(best, step, TO_RANK):
        name = _rename(best, step).name
        tell(f'{best / str(step)} is damaged ({found}); it is now {name}.')
  sharding.barrier('damaged checkpoints are set aside')


def _fails_orbax(path):
  try:
    _check_notes(path)
  except errors.InputError as error:
    tell(f'{error}')
    return True
  return False


def _rename(folder, step):
  names = {path.name for path in folder.iterdir()}
  tries = (f'{step}.damaged{n or ""}' for n in itertools.count())
  target = folder / next(name for name in tries if name not in names)
  return (folder / str(step)).rename(target)
