"""Every field of a configuration, checked once and then resolved.

A wrong field is reported before data is built for hours. The rules of a field
are where it is used; this is the one place that applies them all.
"""

from tsm_jax import configuration, errors, models, sharding
from tsm_jax.configs import warm_up
from tsm_jax.data import defaults
from tsm_jax.data.input import augment, balance, pipeline, preprocess, records
from tsm_jax.data.sources import lists
from tsm_jax.program import eval_variables, multi_label, optim

MAX_EPOCHS = 1e9  # so that steps are numbers


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
  check_data(config)
  preprocess.Preprocessing.from_config(config)
  check_pixels(config)
  records.Views.from_config(config)
  augment.check(config)
  balance.check_mode(config.data.balance)
  multi_label.check(config)
  pipeline.check_threads(config.data)
  optim.create_schedule(
    learning_rate=config.learning_rate,
    steps_per_epoch=1,
    epochs=config.epochs,
    **{**config.schedule, 'warmup_epochs': warm_up.epochs(config)},
  )
  optim.check(config.optimizer)
  eval_variables.create_ema(config.ema_decay)


def check_numbers(config):
  """Raises InputError unless every number of a run is in its range."""
  configuration.check_finite(config)
  infinity = float('inf')
  for field, low, high in (
    ('seed', 0, 2**63 - 1),
    ('batch_size', 1, infinity),
    ('accumulation', 1, infinity),
    ('learning_rate', 0, infinity),
    ('label_smoothing', 0, 1),
    ('stall_seconds', 0, infinity),  # 0: no limit
    ('optimizer.momentum', 0, 1),
    ('optimizer.weight_decay', 0, infinity),
    ('optimizer.clip_norm', 0, infinity),  # 0: no clipping
    ('optimizer.head_scale', 0, infinity),
    ('eval.every_epochs', 0, infinity),  # 0: only at the end
    ('eval.patience', 0, infinity),  # 0: the whole run
    ('eval.precise_bn_batches', 0, infinity),
    ('checkpoint.every_steps', 1, infinity),
    ('checkpoint.keep', 1, infinity),
    ('checkpoint.keep_best', 0, infinity),
  ):
    value = _get(config, field)
    if not low <= value <= high:
      bounds = f'from {low} to {high}' if high < infinity else f'at least {low}'
      raise errors.InputError(f'{field} is {value}; it must be {bounds}.')
  for field in ('epochs', 'log_every_steps'):
    value = _get(config, field)
    if not value > 0:
      raise errors.InputError(f'{field} is {value}; it must be above 0.')
  if config.epochs > MAX_EPOCHS:
    raise errors.InputError(
      f'epochs is {config.epochs:g}; it must be at most {MAX_EPOCHS:g}.'
    )


def check_pixels(config):
  """Raises InputError for a mean that no pixel has, or no deviation.

  With those of pixels up to 255, and a divisor of 255, all frames would look
  the same to the network.
  """
  data = config.data
  most = 255 / data.divisor
  least = -most if config.model.modality == 'rgb_diff' else 0
  for field, fits, wanted in (
    ('mean', lambda x: least <= x <= most, f'from {least:g} to {most:g}'),
    ('std', lambda x: x > 0, 'above 0'),
  ):
    if not all(isinstance(x, (int, float)) and fits(x) for x in data[field]):
      raise errors.InputError(
        f'data.{field} is {tuple(data[field])}; with data.divisor='
        f'{data.divisor:g} each value must be {wanted}.'
      )


def check_data(config):
  """Raises InputError for what would fail only after the data is built."""
  if config.eval.split not in lists.SPLITS.values():
    raise errors.InputError(
      f'eval.split is {config.eval.split!r}; choose from '
      f'{", ".join(dict.fromkeys(lists.SPLITS.values()))}.'
    )
  if config.eval.patience and not config.eval.every_epochs:
    raise errors.InputError(
      f'eval.patience is {config.eval.patience}, but eval.every_epochs is 0: '
      'without evaluations before the end, nothing can end a run sooner; set '
      'both or none.'
    )
  defaults.Splits.from_fields(config.data)
  micro_batch = config.batch_size // config.accumulation
  ghost_clips = config.model.ghost_clips
  if config.model.bn_stats == 'ghost' and micro_batch % ghost_clips:
    raise errors.InputError(
      f'model.ghost_clips is {ghost_clips}, which does not divide the batch of '
      f'{micro_batch} clips.'
    )


def _get(config, field):
  for name in field.split('.'):
    config = config[name]
  return config


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
  multi_label.check(config)
  micro_batch = config.batch_size // config.accumulation
  config.model.update(
    models.config.local_to_ghost(config.model, micro_batch, mesh.size)
  )
  return config
