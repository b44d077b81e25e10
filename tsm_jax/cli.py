"""How every command reads its flags, and how it ends."""

import argparse
import functools
import os
import re
import sys
import traceback

from tsm_jax import configuration, errors, interrupts
from tsm_jax.configuration import flags


def command(interrupted='Interrupted.'):
  """Makes `main(argv)` a command, which explains in a sentence why it fails.

  What a user can put right (an InputError, a package that is missing, a file
  that cannot be read or written, a device that is not there) ends the program
  with status 2, Ctrl-C with status 130.

  Args:
    interrupted: printed after Ctrl-C.

  Returns:
    A decorator. The decorated `main` returns the status, or None for 0.
  """

  def decorate(main):
    @functools.wraps(main)
    def run(argv=None):
      interrupts.under_way = True
      if hasattr(sys.stdout, 'reconfigure'):  # a line in a log is not kept back
        sys.stdout.reconfigure(line_buffering=True)
      try:
        return main(argv)
      except (errors.InputError, ImportError, OSError) as error:
        if getattr(error, 'name', None) and error.name.startswith('tsm_jax'):
          raise  # a mistake of ours
        fail(error)
      except (AssertionError, RuntimeError) as error:
        if not _lacks_device(error):
          raise
        reason = str(error).partition(' (set ')[0]
        fail(
          f'JAX_PLATFORMS is {os.environ.get("JAX_PLATFORMS", "")!r}, but JAX '
          'finds no such device; unset it to use what there is here.'
          f'{reason and f" JAX says: {reason}"}'
        )
      except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        sys.exit(interrupts.STATUS)
      finally:
        interrupts.under_way = False

    return run

  return decorate


def _lacks_device(error):
  """Whether JAX found no device of the platform that it was told to use."""
  *_, (frame, _) = traceback.walk_tb(error.__traceback__)
  return frame.f_globals.get('__name__') == 'jax._src.xla_bridge'


def fail(message):
  """Prints a sentence and ends the program with status 2."""
  lines = f'error: {message}'.split('\n')  # some end with lines of Python
  print('\n'.join(map(errors.printable, lines)), file=sys.stderr)
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

    What is parsed also gets `recipe`, what was given, and `asked`, the names of
    the fields that were set, by a flag or an argument of the file. If none is
    given nor needed, `config` is None, and `overrides` has the flags.

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
      overrides, args = flags.split_flags(args)
    found, rest = super().parse_known_args(args, namespace)
    if self._takes_config:
      self._read_config(found, overrides)
    return found, rest

  def _read_config(self, found, overrides):
    """Puts the configuration in the place of the name of its file."""
    found.recipe, found.overrides = found.config, overrides
    if found.config:
      found.config, found.asked = flags.from_flags(found.config, overrides)
    elif found.config == '' or not self._needs_no_config(found):
      raise errors.InputError(
        '--config is missing; give the path of a file, or choose from '
        f'{", ".join(configuration.recipes())}.'
      )

  def parse_args(self, args=None, namespace=None):
    found, rest = self.parse_known_args(args, namespace)
    if rest:
      raise errors.InputError(self._unknown(rest[0]))
    return found

  def _unknown(self, argument):
    name = argument.partition('=')[0]
    if not name.startswith('--'):
      return f'Unknown argument {argument!r}; every argument is a --flag.'
    known = [
      flag
      for action in self._actions
      for flag in action.option_strings
      if action.help != argparse.SUPPRESS
    ]
    near = errors.nearest(name, known)
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


def show(*tables):
  """Prints tables of rich; a file or pipe has room for whole names."""
  from rich import console

  terminal = console.Console()
  if not terminal.is_terminal:
    terminal.width = 1000
  for table in tables:
    terminal.print(table)


def show_rows(columns, rows):
  """Prints a table of texts as they are; rich takes brackets for styles."""
  from rich import table, text

  shown = table.Table(*columns)
  for row in rows:
    shown.add_row(*(text.Text(errors.printable(cell)) for cell in row))
  show(shown)
