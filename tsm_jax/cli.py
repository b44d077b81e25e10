"""Flags whose mistakes are explained in one sentence."""

import ast
import difflib
import pathlib
import re
import runpy
import sys

from absl import flags

from tsm_jax import errors


def parse_flags(argv, values=flags.FLAGS):
  """`absl.app.run`'s parser; ends with status 2 and a sentence on bad flags.

  Args:
    argv: of the program; `--config` is a config file flag.
    values: the flags, by default those of all modules.

  Returns:
    What is left of `argv`.
  """
  _check_config_file(argv)
  try:
    rest = values(argv)
    if len(rest) > 1:
      fail(f'Unknown argument {rest[1]!r}; every argument is a --flag.')
    return rest
  except AttributeError as error:  # how a locked config refuses a field
    fail(_unknown_field(argv) or ' '.join(str(error).split()))
  except flags.Error as error:
    # An exception inside a config file comes with its traceback as text.
    reasons = re.findall(r'^ *\w*Error: (.+)$', str(error), re.MULTILINE)
    fail(reasons[-1] if reasons else ' '.join(str(error).split()))


def fail(message):
  """Prints a sentence and ends the program with status 2."""
  print(f'error: {message}', file=sys.stderr)
  sys.exit(2)


def show(*tables):
  """Prints tables of rich; a file or pipe has room for whole names."""
  from rich import console

  terminal = console.Console()
  if not terminal.is_terminal:
    terminal.width = 1000
  for table in tables:
    terminal.print(table)


def parse_fields(arguments, defaults):
  """Fields from arguments `--field=value`, of the types of their defaults.

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
      near = difflib.get_close_matches(name, defaults, 1, 0)
      raise errors.InputError(
        f'There is no field {name!r}; did you mean {near[0]!r}?'
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


def _config_argument(argv):
  """The config file named by the last `--config`, and its arguments."""
  values = re.findall(r'--?config[= ](\S+)', ' '.join(argv))
  path, _, arg = values[-1].partition(':') if values else ('', '', '')
  return path, arg or None


def _check_config_file(argv):
  path, _ = _config_argument(argv)
  if path and not pathlib.Path(path).exists():
    others = sorted(str(p) for p in pathlib.Path(path).parent.glob('*.py'))
    fail(
      f'--config is {path!r}, but there is no such file'
      + (f'; choose from {", ".join(others)}.' if others else '.')
    )


def _unknown_field(argv):
  """A sentence on the first `--config.field` that the config does not have."""
  path, arg = _config_argument(argv)
  fields = list(_fields(runpy.run_path(path)['get_config'](arg)))
  for argument in argv:
    match = re.match(r'--?config\.([\w.]+)', argument)
    if match and match[1] not in fields:
      name = match[1]
      same_end = [f for f in fields if f.rpartition('.')[2] == name]
      near = same_end or difflib.get_close_matches(name, fields, 1, 0)
      return f'The config has no field {name!r}; did you mean {near[0]!r}?'
  return None


def _fields(config, prefix=''):
  for name, value in config.items():
    if hasattr(value, 'items'):
      yield from _fields(value, f'{prefix}{name}.')
    else:
      yield prefix + name
