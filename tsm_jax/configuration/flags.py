"""Flags of a command that set fields of a configuration."""

import ast
import re

from tsm_jax import configuration, errors
from tsm_jax.configuration import given


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
  config = configuration.load(name, called='--config')
  path, argument = configuration.split(name)
  by_argument = given.fields(path, argument) if argument else set()
  config, asked = override(config, overrides)
  return config, by_argument | asked


def override(config, overrides):
  """A configuration that is changed by `--config.FIELD`.

  Args:
    config: a ConfigDict, which may be changed, too.
    overrides: from `split_flags`.

  Returns:
    The ConfigDict, and the set of the names of the fields that were set.

  Raises:
    InputError: if a field does not exist, or a value has the wrong type.
  """
  from absl import flags
  from ml_collections import config_flags

  known = configuration.flatten(config.to_dict())
  matches = (re.match(r'--(?:no)?config\.([^=]+)', o) for o in overrides)
  asked = [match[1] for match in matches if match]
  for field in asked:
    if not any(f'{name}.'.startswith(f'{field}.') for name in known):
      raise errors.InputError(configuration.unknown_field(field, known))
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
