"""A configuration that a run wrote: `--config runs/folder/config.json`.

Its fields are those of the run, with what the data and the devices decided.
"""

from tsm_jax import configuration, errors, files
from tsm_jax.configs import common

# They follow other fields, unless they were set.
FOLLOWING = ('learning_rate', 'eval.batch_size')
# What was done before there was a field, where that is not its default.
BEFORE = {'data.holdout_rule': 'hash'}


def get_config(path):
  """The configuration in a file, see `thaw`.

  Raises:
    InputError: if there is no such file, or it holds anything else.
  """
  return thaw(files.read_json(path), path)


def before():
  """The configuration of a run that is older than all fields it may lack."""
  config = common.get_config('')
  configuration.change(config, BEFORE)
  return config


def thaw(written, where):
  """A configuration out of its JSON.

  The learning rate follows the batch again, if it did when that was written.

  Args:
    written: a dict. A field that is not there is as in `before`.
    where: it was read from, for messages.

  Returns:
    A ConfigDict with all fields of `common.get_config`.

  Raises:
    InputError: if it lacks a name, or a field is unknown or of another type.
  """
  name = written.get('name')
  if not isinstance(name, str):
    raise errors.InputError(
      f'{where} is no configuration: name is {name!r}; it must be a text.'
    )
  config = before()
  fields = configuration.flatten(written)
  following = {f: fields.pop(f) for f in FOLLOWING if f in fields}
  try:
    configuration.change(config, fields)
    now = configuration.flatten(config.to_dict())
    configuration.change(
      config, {f: value for f, value in following.items() if now[f] != value}
    )
  except errors.InputError as error:
    raise errors.InputError(f'{where}: {error}') from error
  return config
