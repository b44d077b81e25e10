"""Every field of a configuration, checked once and then resolved.

A wrong field is reported before data is built for hours. The rules of a field
are where it is used; this is the one place that applies them all.
"""

from tsm_jax import errors, models, sharding
from tsm_jax.data.input import augment, pipeline, preprocess, records
from tsm_jax.program import eval_variables, optim


def check(config, mesh):
  """Raises InputError for the first field with an impossible value.

  Args:
    config: a configuration, see `configs/common.py`.
    mesh: from `sharding.create_mesh`.
  """
  sharding.check_batch_size(
    'batch_size', config.batch_size, mesh, config.accumulation
  )
  sharding.check_batch_size('eval.batch_size', config.eval.batch_size, mesh)
  check_numbers(config)
  # The number of classes comes from the data.
  models.create_model({**config.model, 'num_classes': 1})
  preprocess.Preprocessing.from_config(config)
  records.Views.from_config(config)
  augment.check(config)
  pipeline.check_threads(config.data)
  optim.create_schedule(
    learning_rate=config.learning_rate,
    steps_per_epoch=1,
    epochs=config.epochs,
    **{**config.schedule, 'warmup_epochs': optim.warmup_epochs(config)},
  )
  eval_variables.create_ema(config.ema_decay)


def check_numbers(config):
  """Raises InputError unless the numbers that bound a run make sense."""
  for field in ('epochs', 'log_every_steps'):
    if config[field] <= 0:
      raise errors.InputError(
        f'{field} is {config[field]}; it must be above 0.'
      )
  if config.stall_seconds < 0:
    raise errors.InputError(
      f'stall_seconds is {config.stall_seconds}; it must be at least 0 (0: no '
      'limit).'
    )
  for section, field, least in (
    ('eval', 'precise_bn_batches', 0),
    ('checkpoint', 'every_steps', 1),
    ('checkpoint', 'keep', 1),
    ('checkpoint', 'keep_best', 0),
  ):
    if config[section][field] < least:
      raise errors.InputError(
        f'{section}.{field} is {config[section][field]}; it must be at least '
        f'{least}.'
      )


def resolve(config, mesh, num_classes, options=None):
  """The configuration with all that data and devices decide.

  `model.bn_stats='local'`, the statistics of a device's clips, becomes ghost
  batches of as many clips: a device holds consecutive clips of the batch. The
  result no longer depends on the devices, so that the run can continue on
  others with the same ghost batches.

  Args:
    config: a configuration; it is not changed.
    mesh: from `sharding.create_mesh`.
    num_classes: number of classes of the dataset.
    options: how the dataset was stored, from `Dataset.options`; by default the
      fields stay.

  Returns:
    A copy of the configuration, its references resolved.

  Raises:
    InputError: if `model.num_classes` is neither 0 nor `num_classes`.
  """
  config = config.copy_and_resolve_references()
  if config.model.num_classes not in (0, num_classes):
    raise errors.InputError(
      f'model.num_classes is {config.model.num_classes}, but the dataset has '
      f'{num_classes} classes; leave it at 0 to take them from the dataset.'
    )
  config.model.num_classes = num_classes
  config.data.update(options or {})
  micro_batch = config.batch_size // config.accumulation
  config.model.update(
    models.config.local_to_ghost(config.model, micro_batch, mesh.size)
  )
  return config
