"""Models by their configuration."""

from tsm_jax import errors
from tsm_jax.models import resnet, shift


def create_model(config):
  """The Flax module that `config.model` describes.

  Args:
    config: a mapping with the fields of `configs/common.py`'s `model`.

  Returns:
    A module: `model.apply(variables, frames, train=False)` maps frames
    `[B, T, H, W, 3]` (float, normalised) to logits `[B, num_classes]`.

  Raises:
    InputError: if a field has an impossible value; it names field, value and
      choices.
  """
  _check_choice('name', config['name'], ('resnet',))
  _check_choice('depth', config['depth'], tuple(resnet.DEPTHS))
  _check_choice('shift', config['shift'], resnet.SHIFTS)
  _check_choice('direction', config['direction'], shift.DIRECTIONS)
  _check_choice('dtype', config['dtype'], ('float32', 'bfloat16'))
  for field in ('num_classes', 'num_frames', 'width', 'fold_div'):
    if not isinstance(config[field], int) or config[field] < 1:
      raise errors.InputError(
        f'model.{field} is {config[field]!r}; it must be a positive integer.'
      )
  if not 0 <= config['dropout'] < 1:
    raise errors.InputError(
      f'model.dropout is {config["dropout"]!r}; it must be in [0, 1).'
    )
  bottleneck, stage_sizes = resnet.DEPTHS[config['depth']]
  return resnet.ResNet(
    stage_sizes=tuple(config['stage_sizes']) or stage_sizes,
    bottleneck=bottleneck,
    num_classes=config['num_classes'],
    width=config['width'],
    shift=config['shift'],
    direction=config['direction'],
    fold_div=config['fold_div'],
    shift_every=config['shift_every'],
    dropout=config['dropout'],
    dtype=config['dtype'],
  )


def _check_choice(field, value, choices):
  if value not in choices:
    raise errors.InputError(
      f'model.{field} is {value!r}; choose from {choices}.'
    )
