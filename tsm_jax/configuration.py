"""Configurations: found by name, loaded from a file, changed by field."""

import ast
import importlib.util
import pathlib
import re

from tsm_jax import errors

_PACKAGE = pathlib.Path(__file__).parent


def recipes():
  """The paths of the published recipes by name.

  They are in `configs/` of the repository, and inside the installed package.
  """
  installed = _PACKAGE / 'configs' / 'recipes'
  folder = installed if installed.is_dir() else _PACKAGE.parent / 'configs'
  return {path.stem: path for path in sorted(folder.glob('[a-z]*.py'))}


def find(name, called='name'):
  """The absolute path of a configuration file.

  Args:
    name: of a recipe ('ssv2'), or the path of a file. A path such as
      'configs/ssv2.py' that does not exist here is the recipe of that name.
    called: what messages call it.

  Raises:
    InputError: if there is no such file or recipe; it lists the recipes.
  """
  path = pathlib.Path(name).expanduser()
  known = recipes()
  if str(name) in known:
    return known[str(name)]
  if path.is_file():
    return path.absolute()
  if path.parent.parts in ((), ('configs',)) and path.stem in known:
    return known[path.stem]
  raise errors.InputError(
    f'{called} is {str(name)!r}, but there is no such file or recipe; did you '
    f'mean {errors.nearest(path.stem, known)!r}? Give the path of a file, or '
    f'choose from {", ".join(known)}.'
  )


def load(name, /, *, called='name', **fields):
  """The configuration of a file or recipe, with some fields changed.

  >>> config = load('ssv2:frames=16', batch_size=32, data={'quality': 80})
  >>> config.model.num_frames, config.data.quality, config.learning_rate
  (16, 80, 0.005)

  Args:
    name: as for `find`; after a colon, arguments of the file.
    called: what messages call the name.
    **fields: new values; those of a section are a dict. An unknown field is an
      error that suggests the nearest.

  Returns:
    A locked `ml_collections.ConfigDict`: fields can be set, but not added.

  Raises:
    InputError: if the file, an argument or a field does not exist, or a value
      has the wrong type.
  """
  path, _, argument = str(name).partition(':')
  config = _execute(find(path, called), *filter(None, [argument]))
  change(config, flatten(fields))
  return config.lock()


def _execute(path, *arguments):
  """Calls `get_config` of the file."""
  spec = importlib.util.spec_from_file_location('config_file', path)
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
    return module.get_config(*arguments)
  except errors.InputError:
    raise
  except ImportError as error:
    if (error.name or '').split('.')[0] != 'configs':
      raise
    raise errors.InputError(
      f'{path} imports from configs, which is not a package; write '
      "'from tsm_jax.configs import common'."
    ) from error
  except (TypeError, ValueError) as error:
    raise errors.InputError(f'{path}: {error}') from error


def change(config, fields):
  """Sets fields of a configuration in place.

  Args:
    config: a ConfigDict.
    fields: new values by the names of fields, such as 'model.depth'.

  Raises:
    InputError: if a field is unknown (it suggests the nearest) or a value has
      the wrong type.
  """
  known = flatten(config.to_dict())
  for name, value in fields.items():
    if name not in known:
      raise errors.InputError(unknown_field(name, known))
    try:
      config.update_from_flattened_dict({name: value})
    except TypeError:
      raise errors.InputError(
        f'{name} is {value!r}; it must be of type {type(known[name]).__name__}.'
      ) from None


def unknown_field(name, fields):
  """A sentence that suggests the nearest field; a section may be missing."""
  same_end = [field for field in fields if field.rpartition('.')[2] == name]
  near = (same_end or [errors.nearest(name, fields)])[0]
  return f'The config has no field {name!r}; did you mean {near!r}?'


def flatten(tree, prefix=''):
  """`{'section.field': value}` of nested dictionaries.

  >>> flatten({'model': {'depth': 50}, 'seed': 0})
  {'model.depth': 50, 'seed': 0}
  """
  flat = {}
  for name, value in tree.items():
    if isinstance(value, dict):
      flat.update(flatten(value, f'{prefix}{name}.'))
    else:
      flat[prefix + name] = value
  return flat


def parse_fields(arguments, defaults):
  """Fields from arguments `--field=value`, of the types of their defaults.

  >>> parse_fields(['--depth=18'], {'depth': 50, 'shift': 'blockres'})
  {'depth': 18}

  Raises:
    InputError: if a field is unknown (it suggests the nearest) or a value of
      another type.
  """
  fields = {}
  for argument in arguments:
    match = re.fullmatch(r'--([\w.]+)=(.*)', argument)
    if not match:
      raise errors.InputError(
        f'Unknown argument {argument!r}; a field is given as --field=value.'
      )
    name, text = match.groups()
    if name not in defaults:
      near = errors.nearest(name, defaults)
      raise errors.InputError(
        f'There is no field {name!r}; did you mean {near!r}?'
      )
    kind = type(defaults[name])
    try:
      value = text if kind is str else ast.literal_eval(text)
    except (ValueError, SyntaxError):
      value = None
    if kind is float and type(value) is int:
      value = float(value)
    if type(value) is not kind:
      raise errors.InputError(
        f'--{name} is {text!r}; it must be of type {kind.__name__}.'
      )
    fields[name] = value
  return fields


def split_flags(argv):
  """`(overrides, rest)`: the `--config.FIELD` with their values, the others."""
  overrides, rest = [], []
  argv = list(argv)
  while argv:
    argument = argv.pop(0)
    if not re.match(r'--(no)?config\.', argument):
      rest.append(argument)
      continue
    overrides.append(argument)
    if '=' not in argument and argv and not argv[0].startswith('--'):
      overrides.append(argv.pop(0))
  return overrides, rest


def from_flags(name, overrides):
  """The configuration of `--config`, changed by its `--config.FIELD`.

  Args:
    name: as for `load`.
    overrides: from `split_flags`.

  Returns:
    The ConfigDict, and the set of the names of the fields that flags or
    arguments of the file have set.

  Raises:
    InputError: as `load`.
  """
  config = load(name, called='--config')
  known = flatten(config.to_dict())
  changed, asked = with_flags(config, overrides)
  file, colon, _ = str(name).partition(':')
  if colon:
    usual = flatten(load(file).to_dict())
    asked |= {field for field in known if usual.get(field) != known[field]}
  return changed, asked


def with_flags(config, overrides):
  """A configuration, changed by flags `--config.FIELD`.

  Args:
    config: a ConfigDict.
    overrides: from `split_flags`.

  Returns:
    The ConfigDict, and the set of the names of the fields that were set.

  Raises:
    InputError: if a field is unknown or a value has the wrong type.
  """
  from absl import flags
  from ml_collections import config_flags

  known = flatten(config.to_dict())
  matches = (re.match(r'--(?:no)?config\.([^=]+)', o) for o in overrides)
  asked = [match[1] for match in matches if match]
  for field in asked:
    if not any(f'{name}.'.startswith(f'{field}.') for name in known):
      raise errors.InputError(unknown_field(field, known))
  values = flags.FlagValues()
  argv = ['', *overrides]
  try:
    config_flags.DEFINE_config_dict(
      'config', config, flag_values=values, sys_argv=argv
    )
    values(argv)
  except flags.Error as error:
    raise errors.InputError(' '.join(str(error).split())) from error
  return values.config, set(asked)
