"""The JSON of a checkpoint, read as the file of a stranger.

It says what network the arrays are for and what the network's input is. Both
are checked before memory is taken for them.
"""

import math

import ml_collections

from tsm_jax import errors, files, models
from tsm_jax.configs import common
from tsm_jax.data.input import preprocess
from tsm_jax.runs import identity

# Fields without which nothing is known; the others may be newer than the file.
_NEEDED = {
  'model': ('name', 'num_frames'),
  'data': ('image_size', 'mean', 'std'),
}
# Far beyond every network that there is.
_LARGEST = {
  'width': 2**16,
  'groups': 2**16,
  'width_per_group': 2**16,
  'width_multiplier': 2**8,
  'num_classes': 2**24,
}
_MAX_BLOCKS = 2**10


def read(step, to_continue=False):
  """What the item `data` of a step holds.

  Args:
    step: the folder, an `epath.Path`.
    to_continue: whether a run is to continue from it, which needs more of it.

  Returns:
    A dict, whose labels and configuration are of the right types.

  Raises:
    InputError: if that is not so; it names the file, the field and the value.
  """
  path = step / 'data' / 'metadata'
  meta = files.read_json(path)
  try:
    check(meta)
    if to_continue:
      _check_run(meta)
    # The other rules of its fields.
    config = resolved(meta)
    preprocess.Preprocessing.from_config(config)
    models.create_model({**config.model, 'num_classes': 1})
  except errors.InputError as error:
    raise errors.InputError(f'{path}: {error}') from error
  return meta


def resolved(meta):
  """The configuration in the JSON; newer fields have their defaults."""
  config = ml_collections.ConfigDict(meta['config'])
  config.model = {**models.DEFAULTS, **config.model}
  return config


def read_top1(step):
  """The top-1 of a model in `best`.

  Raises:
    InputError: if there is no such number in the item `metrics`.
  """
  path = step / 'metrics' / 'metrics'
  top1 = files.read_json(path).get('top1')
  if not _has_type(top1, 0.0) or not 0 <= top1 <= 1:
    raise errors.InputError(
      f'{path}: top1 is {top1!r}; it must be from 0 to 1.'
    )
  return top1


def check(meta):
  """Raises InputError unless a model can be made of a JSON.

  Args:
    meta: a dict with `labels`, and a `config` of name, model and data.
  """
  config, labels = meta.get('config'), meta.get('labels')
  if not isinstance(labels, list) or not labels:
    raise errors.InputError('labels must be a list of names.')
  for index, label in enumerate(labels):
    if not isinstance(label, str):
      raise errors.InputError(f'label {index} is {_short(label)}, not a text.')
  if not isinstance(config, dict):
    raise errors.InputError('config must be an object.')
  if not isinstance(config.get('name'), str):
    raise errors.InputError(
      f'config.name is {_short(config.get("name"))}, not a text.'
    )
  defaults = common.get_config('').to_dict()
  for section, needed in _NEEDED.items():
    fields = config.get(section)
    if not isinstance(fields, dict):
      raise errors.InputError(f'config.{section} must be an object.')
    for field in needed:
      if field not in fields:
        raise errors.InputError(f'config.{section} lacks {field}.')
    _check_types(section, fields, defaults[section])
  _check_sizes(config['model'], len(labels))


def carry_on(meta, saved, step, log):
  """Takes over what a run keeps when it is continued.

  Args:
    meta: from `identity.describe`, of the run that continues; it is completed.
    saved: the JSON item of its last checkpoint.
    step: of that.
    log: called with a line for every field that has changed, or comes too late.

  Returns:
    Whether one has.
  """
  meta['initialised_from'] = saved['initialised_from']
  meta['changes'] = saved.get('changes', [])
  changed = identity.differing(saved['config'], meta['config'])
  if changed:
    meta['changes'] = [*meta['changes'], {'step': step, **changed}]
  for field, (old, new) in changed.items():
    log(f'From here on, {field} is {new}; it was {old}.')
  began, asked = (one['config'].get('init_from', '') for one in (saved, meta))
  if asked not in ('', began):
    log(
      f'init_from={asked!r} does nothing: this run goes on from its '
      'checkpoint; to start from other weights, choose another --workdir.'
    )
  return bool(changed)


def _check_run(meta):
  """Raises InputError if what only a run needs is missing or of no use."""
  defaults = common.get_config('').to_dict()
  _check_types('config', meta['config'], defaults)
  for field, kind in (('window', list), ('dataset', str)):
    if not isinstance(meta.get(field), kind):
      raise errors.InputError(
        f'{field} is {_short(meta.get(field))}; it must be of type '
        f'{kind.__name__}.'
      )
  for values in meta['window']:
    if not isinstance(values, dict) or not all(
      _has_type(value, 0.0) for value in values.values()
    ):
      raise errors.InputError(f'window holds {_short(values)}, no numbers.')
  for field in ('epochs', 'schedule'):
    if field not in meta['config']:
      raise errors.InputError(f'config lacks {field}.')


def _check_types(section, fields, defaults):
  for field, default in defaults.items():
    value = fields.get(field, default)
    if isinstance(default, dict) and isinstance(value, dict):
      _check_types(field, value, default)
    elif not _has_type(value, default):
      kind = type(default).__name__.replace('tuple', 'list of numbers')
      raise errors.InputError(
        f'{section}.{field} is {_short(value)}; it must be of type {kind}.'
      )


def _has_type(value, default):
  """Whether a value of JSON has the type of a default."""
  if isinstance(default, tuple):
    return isinstance(value, list | tuple) and all(
      _has_type(v, 0.0) for v in value
    )
  if isinstance(default, float):
    return type(value) in (int, float) and math.isfinite(value)
  return type(value) is type(default)


def _check_sizes(model, num_classes):
  for field, largest in _LARGEST.items():
    if model.get(field, 0) > largest:
      raise errors.InputError(
        f'model.{field} is {model[field]}; it must be at most {largest}.'
      )
  blocks = model.get('stage_sizes', ())
  if any(type(n) is not int or n < 0 for n in blocks) or (
    sum(blocks) > _MAX_BLOCKS
  ):
    raise errors.InputError(
      f'model.stage_sizes is {_short(blocks)}; it must be whole numbers, none '
      f'negative, together at most {_MAX_BLOCKS}.'
    )
  if model.get('num_classes', 0) not in (0, num_classes):
    raise errors.InputError(
      f'model.num_classes is {model["num_classes"]}, but there are '
      f'{num_classes} labels.'
    )


def _short(value):
  text = repr(value)
  return text if len(text) <= 60 else f'{text[:60]} ...'
