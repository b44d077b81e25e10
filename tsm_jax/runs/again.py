"""A run that is asked again: its configuration, and what flags change of it."""

import copy
import re

import jax

from tsm_jax import configuration, errors, files
from tsm_jax.configs import common, frozen
from tsm_jax.configuration import flags
from tsm_jax.data import choosing, defaults
from tsm_jax.data.sources import published
from tsm_jax.runs import folders, identity, json_item, request, steps

# Of a run, what decides which clips are evaluated, and how they are seen.
_DECIDES = (
  'data.background',
  'data.labels',
  'data.multi_label',
  'data.source',
  *(f'data.{name}' for name in defaults.Splits._fields),
  *(f'data.{name}' for name in defaults.USUAL._fields),
  'eval.clips',
  'eval.crops',
  'eval.full_resolution',
  'eval.split',
)


def load(workdir, overrides, mode):
  """The configuration of the run in a workdir, changed by flags.

  Args:
    workdir: of the run; of an evaluation, also its folder `checkpoints` or
      `best`, or one step in that. A local path or a URL.
    overrides: from `flags.split_flags`.
    mode: 'train' to continue it, 'eval' or 'describe'.

  Returns:
    The ConfigDict, and the set of the names of the fields that were set.

  Raises:
    InputError: if there is no run, it cannot be continued, or a field is wrong.
  """
  root, written = _root(workdir), _written(workdir)
  if written is None:
    raise errors.InputError(
      f'{str(workdir)!r} holds no run, whose configuration would be used; give '
      'the --workdir of one, or a --config.'
    )
  trained = 'epochs' in written
  if mode == 'train' and not trained:
    raise errors.InputError(
      f'{str(workdir)!r} holds a converted model, not a run to continue; give '
      f'a --config and another --workdir, and start from it by '
      f'--config.init_from={workdir}.'
    )
  if mode == 'train' and root != files.path(workdir):
    raise errors.InputError(
      f'{str(workdir)!r} is a part of a run; continue it by --workdir={root}.'
    )
  config, asked = flags.override(
    frozen.thaw(_known(written), root / identity.CONFIG).lock(), overrides
  )
  if mode == 'eval' and not config.data.source:
    raise errors.InputError(
      f'{str(workdir)!r} holds a model that was not trained on data here; say '
      'on which to evaluate it, by --config.data.source.'
    )
  return config, asked


def check_source(config, asked):
  """Raises InputError if the videos of a run are not where they were.

  Args:
    config: from `load`.
    asked: names of its fields that were set.
  """
  source = config.data.source
  if 'data.source' in asked or source in published.DRAWN or not source:
    return
  if not files.path(source).exists():
    raise errors.InputError(
      f'The run had data.source={source!r}, which is not here; say where the '
      'videos are now, by --config.data.source.'
    )


def keep(config, asked, workdir):
  """Lets a run go on as before there were some fields, if it is older.

  Args:
    config: from a file and flags; it is changed.
    asked: names of its fields that flags or arguments have set.
    workdir: of the run, or of none yet.
  """
  written = _written(workdir)
  if written is None or 'epochs' not in written:
    return
  there = configuration.flatten(written)
  kept = {
    field: value
    for field, value in frozen.BEFORE.items()
    if field not in asked and field not in there
  }
  configuration.change(config, kept)


def fill(config, workdir):
  """A configuration whose open fields are as in the run or model of a workdir.

  Args:
    config: a configuration; it is not changed.
    workdir: as for `load`, or '' or one without a run.

  Returns:
    A ConfigDict; `config` itself if nothing is open or there is no run. Fields
    that the run does not have stay open.
  """
  opened = choosing.open_fields(config)
  written = _written(workdir) if opened and workdir else None
  if written is None:
    return config
  there = configuration.flatten(written)
  if 'epochs' in written:  # a run, as it was before there were some fields
    there = {**configuration.flatten(frozen.before().to_dict()), **there}
  if _others(config, there) and last_meta(workdir) is None:
    return config  # of that run, killed at its start, nothing is there
  known = {f: there[f] for f in opened if there.get(f) is not None}
  config = copy.deepcopy(config)
  configuration.change(config, known)
  return config


def _others(config, there):
  """Whether fields that choices follow from have other values than there."""
  given = configuration.flatten(config.to_dict())
  there = {k: tuple(v) if isinstance(v, list) else v for k, v in there.items()}
  return any(
    given[field] not in (None, there[field])
    for field in ('init_from', *choosing.FIELDS)
    if field in there
  )


def complete(config, asked, workdir, follow=True, log=print):
  """A configuration for the evaluation of a run.

  If the run was trained by the same file, fields that nobody asked for are as
  the run had them. Whatever differs between the two is said.

  Args:
    config: from a file and flags.
    asked: names of its fields that flags or arguments have set.
    workdir: as for `load`.
    follow: False keeps all fields of `config`.
    log: called with a line for the user.

  Returns:
    A ConfigDict; `config` itself where there is no run.
  """
  config = fill(config, workdir)
  written = _written(workdir)
  if written is None or 'epochs' not in written:
    return config
  root = _root(workdir)
  run = frozen.thaw(_known(written), root / identity.CONFIG)
  given, had = (configuration.flatten(c.to_dict()) for c in (config, run))
  differing = [
    field
    for field in (*_DECIDES, *request.FREE)
    if field not in asked and given[field] != had[field]
  ]
  follow = follow and _same_file(run.name, config.name)
  if follow:
    configuration.change(run, {f: given[f] for f in asked if f in given})
  used, other = (had, given) if follow else (given, had)
  which = 'the config says' if follow else 'there'
  listed = ', '.join(
    f'{field}={used[field]!r} ({which} {other[field]!r})'
    for field in differing
    if follow or field in _DECIDES  # how it sees clips, the model itself says
  )
  if listed and jax.process_index() == 0:
    log(
      f'As in the run of {root}, for no flag says otherwise: {listed}.'
      if follow
      else f'Other than in the run of {root}, as the config says: {listed}.'
    )
  return run.lock() if follow else config


def _same_file(one, other):
  """Whether two names of configurations differ by arguments at most."""
  one, other = (re.split(r'-(?=\w+=)', name)[0] for name in (one, other))
  return one == other or (
    one.startswith(f'{other}-') or other.startswith(f'{one}-')
  )


def _root(workdir):
  """The workdir of a run, of which a part may be given."""
  path = files.path(workdir)
  if (path / identity.CONFIG).exists():
    return path
  inside = ('checkpoints', steps.BEST)
  if path.name.isdigit() and path.parent.name in inside:
    path = path.parent
  return path.parent if path.name in inside else path


def _written(workdir):
  """The JSON of the configuration of a run, or None if there is no run."""
  frozen_file = _root(workdir) / identity.CONFIG
  if frozen_file.exists():
    try:
      return files.read_json(frozen_file)
    except errors.InputError:  # damaged; a checkpoint has it, too
      if (meta := last_meta(workdir)) is None:
        raise
      return meta['config']
  meta = last_meta(workdir)
  return meta and meta['config']


def last_meta(workdir):
  """The JSON item of the last checkpoint that has a readable one, or None."""
  try:
    folder, step = folders.find(workdir)
  except errors.InputError:
    return None
  for number in reversed(steps.listed(folder)) if step is None else [step]:
    try:
      return json_item.read(folder / str(number))
    except errors.InputError:
      continue
  return None


def _known(written):
  """A configuration as JSON, without fields of a newer version."""
  known = common.get_config('').to_dict()
  return {
    name: {k: v for k, v in value.items() if k in known[name]}
    if isinstance(value, dict) and isinstance(known[name], dict)
    else value
    for name, value in written.items()
    if name in known
  }
