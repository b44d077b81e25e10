"""Configurations side by side: `--config`, and one for each `--compare`."""

import copy
import re

from tsm_jax import configuration
from tsm_jax.configuration import flags

FIRST = 'as configured'  # the title of the first column


def configurations(config, changes):
  """`{title: configuration}`; the first is `FIRST`.

  Args:
    config: a ConfigDict.
    changes: for each further column 'field=value', or several after commas.

  Raises:
    InputError: if a field is unknown or a value has another type.
  """
  found = {FIRST: config}
  defaults = configuration.flatten(config.to_dict())
  for change in changes:
    fields = [f'--{part}' for part in re.split(r',(?=[\w.]+=)', change)]
    # A copy keeps the references: the learning rate follows the batch.
    changed = copy.deepcopy(config)
    changed.update_from_flattened_dict(flags.parse_fields(fields, defaults))
    found[change] = changed
  return found
