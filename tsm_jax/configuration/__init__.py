"""Configurations: found by name, loaded from a file, changed by field."""

import importlib.util
import math
import pathlib
import re

from tsm_jax import errors

_PACKAGE = pathlib.Path(__file__).parents[1]


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
    name: as for `find`, after a colon arguments of the file; or the path or
      URL of the config.json of a run.
    called: what messages call the name.
    **fields: new values; those of a section are a dict. An unknown field is an
      error that suggests the nearest.

  Returns:
    A locked `ml_collections.ConfigDict`: fields can be set, but not added.

  Raises:
    InputError: if the file, an argument or a field does not exist, or a value
      has the wrong type.
  """
  path, argument = split(name)
  if path.endswith('.json'):
    if argument:
      raise errors.InputError(
        f'{called} is {str(name)!r}, but a run has frozen {path}, which takes '
        'no arguments; set its fields one by one.'
      )
    config = _execute(_PACKAGE / 'configs' / 'frozen.py', path)
  else:
    config = _execute(find(path, called), *filter(None, [argument]))
  change(config, flatten(fields))
  return config.lock()


def split(name):
  """`(path, argument)` of a name; an address has a colon of its own."""
  path, _, argument = re.fullmatch(
    r'((?:\w+://)?[^:]*)(:?)(.*)', str(name), re.DOTALL
  ).groups()
  return path, argument


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
      section, _, field = name.rpartition('.')
      kind = (config[section] if section else config).get_type(field)
      raise errors.InputError(
        f'{name} is {value!r}; it must be of type {kind.__name__}.'
      ) from None


def check_finite(config):
  """Raises InputError if a number of a configuration is not finite."""
  for field, value in flatten(config.to_dict()).items():
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(x, float) and not math.isfinite(x) for x in numbers):
      raise errors.InputError(f'{field} is {value}; it must be finite.')


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
