"""What a configuration leaves open, chosen by the data and the device.

A field that is None is open. What is chosen here is for clips of one's own; the
published recipes leave nothing open. No choice looks at names, but for flips at
those of classes.
"""

import copy

from tsm_jax import configuration, errors
from tsm_jax.data.choosing import decisions
from tsm_jax.data.choosing.decisions import Choice, Facts  # noqa: F401

FIELDS = tuple(decisions.BY_FIELD)  # that can be left open


def open_fields(config):
  """The names of the fields that are None.

  >>> from ml_collections import config_dict
  >>> config = config_dict.ConfigDict({'model': {'depth': None}, 'seed': 0})
  >>> open_fields(config)
  ['model.depth']
  """
  sections = {'': config, **{k: v for k, v in config.items() if _nested(v)}}
  return [
    f'{section}.{name}'.lstrip('.')
    for section, fields in sections.items()
    for name, value in fields.items()
    if value is None and not _follows(section, name)
  ]


def _nested(value):
  return hasattr(value, 'items')


def _follows(section, name):
  """Whether a field is None because another one is that it follows."""
  return not section and name == 'learning_rate'


def require(config, *fields):
  """Raises InputError if one of `fields` is open: no run has chosen it."""
  for field in sorted(set(open_fields(config)) & set(fields)):
    raise errors.InputError(
      f'{field} is None: a run chooses what suits its data. Give it a value, '
      'or --config RUN/config.json of a run.'
    )


def choose(config, facts):
  """Values for the fields that a configuration leaves open.

  Args:
    config: a configuration, see `configs/common.py`; it is not changed.
    facts: `Facts`.

  Returns:
    `(config, choices)`: a copy in which nothing is open and what follows other
    fields still does, and a dict from field to `Choice`.

  Raises:
    InputError: if a field is open that nothing here chooses, or a number is not
      finite.
  """
  configuration.check_finite(config)
  config, choices = copy.deepcopy(config), {}
  opened = open_fields(config)
  for field in opened:
    if field not in decisions.BY_FIELD:
      raise errors.InputError(f'{field} is None; give it a value.')
  for field, decide in decisions.BY_FIELD.items():
    if field in opened:
      choices[field] = choice = decide(config, facts)
      configuration.change(config, {field: choice.value})
  return config, choices


def seconds_on_cpu(config, clips):
  """About how long all epochs take two cores of a CPU, in seconds."""
  return (
    config.epochs * clips * decisions.step_cost(config) / decisions.CPU_SPEED
  )
