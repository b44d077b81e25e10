"""How every command reads its flags, and how it ends."""

import argparse
import functools
import re
import sys

from tsm_jax import configuration, errors


def command(interrupted='Interrupted.'):
  """Makes `main(argv)` a command, which explains in a sentence why it fails.

  What a user can put right (an InputError, a package that is missing, a file
  that cannot be read or written) ends the program with status 2, Ctrl-C with
  status 130.

  Args:
    interrupted: printed after Ctrl-C.

  Returns:
    A decorator. The decorated `main` returns the status, or None for 0.
  """

  def decorate(main):
    @functools.wraps(main)
    def run(argv=None):
      try:
        return main(argv)
      except (errors.InputError, ImportError, OSError) as error:
        if getattr(error, 'name', None) and error.name.startswith('tsm_jax'):
          raise  # a mistake of ours
        fail(error)
      except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        sys.exit(130)

    return run

  return decorate


def fail(message):
  """Prints a sentence and ends the program with status 2."""
  print(f'error: {message}', file=sys.stderr)
  sys.exit(2)


def quiet_libraries():
  """Lets no library log an error that it also raises; `command` prints that."""
  from absl import logging

  logging.use_absl_handler()
  logging.set_verbosity(logging.FATAL)


def at_least(least):
  """The type of a flag that is a whole number of at least `least`."""

  def number(text):
    if int(text) < least:
      raise argparse.ArgumentTypeError(
        f'is {text}; it must be at least {least}'
      )
    return int(text)

  number.__name__ = 'int'  # argparse names it when the text is not a number
  return number


class Parser(argparse.ArgumentParser):
  """Flags, spelled with underscores; dashes are understood, too.

  A mistake is an InputError, which suggests the nearest flag or the choices.
  """

  def __init__(self, module, **kwargs):
    kwargs.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
    super().__init__(
      prog=f'python -m tsm_jax.{module}', allow_abbrev=False, **kwargs
    )
    self._takes_config = False

  def add_switch(self, name, help):
    """Adds the flags `--name`, and `--no_name` for False, the default."""
    self.add_argument(f'--{name}', action='store_true', help=help)
    self.add_argument(
      f'--no_{name}',
      f'--no{name}',
      dest=name,
      action='store_false',
      help=argparse.SUPPRESS,
    )

  def add_config(self, unless=lambda args: False):
    """Adds `--config`, which becomes a ConfigDict, and `--config.FIELD`.

    Args:
      unless: tells from the other arguments that none is needed.
    """
    self._takes_config, self._needs_no_config = True, unless
    self.add_argument(
      '--config',
      metavar='FILE[:ARGUMENTS]',
      help='a recipe of configs/ by its name, or a file',
    )
    self.add_argument(
      '--config.FIELD',
      metavar='VALUE',
      dest='_',
      default=argparse.SUPPRESS,
      help='a field of the configuration',
    )

  def add_compare(self):
    """Adds `--compare`, for `plan.columns`."""
    self.add_argument(
      '--compare',
      action='append',
      default=[],
      metavar='FIELD=VALUE',
      help='one more column; several fields after commas',
    )

  def parse_known_args(self, args=None, namespace=None):
    args = normalized(sys.argv[1:] if args is None else args)
    overrides = []
    if self._takes_config:
      overrides, args = _split_overrides(args)
    found, rest = super().parse_known_args(args, namespace)
    if self._takes_config and (
      found.config or not self._needs_no_config(found)
    ):
      if not found.config:
        raise errors.InputError(
          '--config is missing; give the path of a file, or choose from '
          f'{", ".join(configuration.recipes())}.'
        )
      found.config = _load(found.config, overrides)
    return found, rest

  def parse_args(self, args=None, namespace=None):
    found, rest = self.parse_known_args(args, namespace)
    if rest:
      raise errors.InputError(self._unknown(rest[0]))
    return found

  def _unknown(self, argument):
    name = argument.partition('=')[0]
    if not name.startswith('--'):
      return f'Unknown argument {argument!r}; every argument is a --flag.'
    flags = [
      flag
      for action in self._actions
      for flag in action.option_strings
      if action.help != argparse.SUPPRESS
    ]
    near = errors.nearest(name, flags)
    return f'There is no flag {name}; did you mean {near}?'

  def error(self, message):
    raise errors.InputError(_sentence(message))


def _sentence(message):
  """What argparse says, as the other messages are."""
  for pattern, sentence in (
    (
      r'argument (\S+): invalid choice: (.+) \(choose from (.+)\)',
      r'\1 is \2; choose from \3.',
    ),
    (
      r'argument (\S+): invalid (\w+) value: (.+)',
      r'\1 is \3; it must be of type \2.',
    ),
    (r'argument (\S+): expected (.+)', r'\1 needs \2.'),
    (r'argument (\S+): (is .+)', r'\1 \2.'),  # of `at_least`
    (r'the following arguments are required: (.+)', r'Missing: \1.'),
  ):
    if re.fullmatch(pattern, message):
      return re.sub(pattern, sentence, message)
  return f'{message}.'


def normalized(argv):
  """Arguments whose flags are spelled with two dashes and underscores.

  >>> normalized(['--full-resolution', '-config=my-config.py', 'a-b'])
  ['--full_resolution', '--config=my-config.py', 'a-b']
  """
  found = []
  for position, argument in enumerate(argv):
    if argument == '--':
      return [*found, *argv[position:]]
    name, equals, value = argument.partition('=')
    if re.fullmatch(r'--?[a-zA-Z][\w.-]+', name):
      name = '--' + name.lstrip('-').replace('-', '_')
    found.append(name + equals + value)
  return found


def _split_overrides(argv):
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


def _load(name, overrides):
  """The configuration of `--config`, changed by its `--config.FIELD`."""
  from absl import flags
  from ml_collections import config_flags

  config = configuration.load(name, called='--config')
  known = configuration.flatten(config.to_dict())
  for override in overrides:
    field = re.match(r'--(?:no)?config\.([^=]+)', override)
    if field and not any(
      f'{name}.'.startswith(f'{field[1]}.') for name in known
    ):
      raise errors.InputError(configuration.unknown_field(field[1], known))
  values = flags.FlagValues()
  argv = ['', *overrides]
  try:
    config_flags.DEFINE_config_dict(
      'config', config, flag_values=values, sys_argv=argv
    )
    values(argv)
  except flags.Error as error:
    raise errors.InputError(' '.join(str(error).split())) from error
  return values.config


def show(*tables):
  """Prints tables of rich; a file or pipe has room for whole names."""
  from rich import console

  terminal = console.Console()
  if not terminal.is_terminal:
    terminal.width = 1000
  for table in tables:
    terminal.print(table)
