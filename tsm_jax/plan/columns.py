"""Configurations side by side: the flags `--config` and `--compare`."""

import copy
import re
import sys

from absl import flags
from ml_collections import config_flags

from tsm_jax import cli
from tsm_jax.runs import identity

FIRST = 'as configured'  # the title of the first column


def new_flags(argv):
  """The flags `--config` and `--compare`, apart from those of other commands.

  Args:
    argv: the flags of a command line, without the program.

  Returns:
    A `flags.FlagValues`, to which others can be added.
  """
  values = flags.FlagValues()
  config_flags.DEFINE_config_file(
    'config',
    None,
    'A file of configs/, with its arguments after a colon.',
    flag_values=values,
    sys_argv=['', *argv],
  )
  flags.mark_flag_as_required('config', values)
  flags.DEFINE_multi_string(
    'compare',
    [],
    'One more column: field=value, or several separated by commas.',
    flag_values=values,
  )
  return values


def parse(values, argv, text):
  """Parses `argv` into `values`.

  Ends the program with status 2 and one sentence if a flag is wrong, and with
  status 0 after `--help`, which prints `text` and all flags.
  """
  if {'--help', '-h'}.intersection(argv):
    print(f'{text}\nFlags:\n{values.get_help()}')
    sys.exit()
  cli.parse_flags(['', *argv], values)


def configurations(values):
  """`{title: configuration}` of parsed flags; the first is `FIRST`.

  Raises:
    InputError: if a field is unknown or a value has another type.
  """
  config = values.config
  found = {FIRST: config}
  defaults = identity.flatten(config.to_dict())
  for change in values.compare:
    fields = [f'--{part}' for part in re.split(r',(?=[\w.]+=)', change)]
    # A copy keeps the references: the learning rate follows the batch.
    changed = copy.deepcopy(config)
    changed.update_from_flattened_dict(cli.parse_fields(fields, defaults))
    found[change] = changed
  return found
