"""The fields of a model's configuration, their defaults and their rules."""

import difflib

from tsm_jax import errors
from tsm_jax.models import (
  bn_inception,
  classifier,
  mobilenet_v2,
  resnet,
  shift,
  shift_forms,
)

DEFAULTS = {
  'name': 'resnet',  # 'resnet', 'mobilenet_v2', 'bn_inception'
  'depth': 50,  # of a resnet: 18, 34, 50, 101, 152
  'stage_sizes': (),  # blocks per stage; () takes those of the depth
  'width': 64,  # channels of a resnet's stem
  'stem': 'plain',  # of a resnet: 'plain', 'deep' (the d of ResNet-50-d)
  'downsample': 'conv',  # of its strided blocks: 'conv', 'avg' (of ResNet-50-d)
  'groups': 1,  # of its 3x3 convolutions: 32 for ResNeXt
  'width_per_group': 64,  # 4 ResNeXt-50, 8 ResNeXt-101, 128 wide ResNet
  'width_multiplier': 1.0,  # of the channels of mobilenet_v2
  'num_classes': 0,  # 0: from the dataset, or from the weights
  'num_frames': 8,  # T, frames per clip
  # 'blockres' (in the residual branch), 'block' (in front of it), 'none' (TSN);
  # bn_inception also takes a mask of 12 zeros and ones.
  'shift': 'blockres',
  'direction': 'both',  # 'both' (offline), 'past' (online)
  # How the shift is written, which changes no number: 'select', 'pad',
  # 'concatenate', 'roll', 'fused' (with the 1x1 behind it); 'auto': what is
  # fastest on the devices.
  'shift_form': 'auto',
  'fold_div': 8,  # 1 / fold_div of the channels move in each direction
  'shift_every': 0,  # every n-th block of a stage; 0: as published
  'non_local': False,  # attention after every second block of stages 2 and 3
  'temporal_pool': False,  # halves T in front of stage 2
  'modality': 'rgb',  # 'rgb' (3 channels), 'flow' (10), 'rgb_diff' (15)
  'partial_bn': False,  # trains the first BatchNorm only, freezes the others
  # Batch statistics in training: over the whole batch ('global'), the clips of
  # each device ('local', as published) or groups of ghost_clips clips
  # ('ghost'). 'frozen' uses the running ones, which then stay as they are.
  'bn_stats': 'global',
  'ghost_clips': 0,
  'dropout': 0.5,  # every frame draws its own mask
  # What is trained, and the logits of a clip. 'mean', as published: the loss of
  # the mean over the frames. 'frames': the mean of the losses of every frame
  # from consensus_from (1: the first) on, whose mean the clip's logits are.
  'consensus': 'mean',
  'consensus_from': 1,
  'dtype': 'float32',  # of the computation: 'float32', 'bfloat16'
  # Activations that the backward pass recomputes instead of storing them:
  # 'none', those inside every 'block', or every 'stage' (least memory).
  'remat': 'none',
}
CHOICES = {
  'name': ('resnet', 'mobilenet_v2', 'bn_inception'),
  'direction': shift.DIRECTIONS,
  'shift_form': shift_forms.FORMS,
  'modality': tuple(classifier.CHANNELS),
  'dtype': ('float32', 'bfloat16'),
  'stem': resnet.STEMS,
  'downsample': resnet.DOWNSAMPLES,
  'remat': classifier.REMAT,
  'consensus': ('mean', 'frames'),
  'non_local': (False, True),
  'temporal_pool': (False, True),
  'partial_bn': (False, True),
  'bn_stats': ('global', 'local', 'ghost', 'frozen'),
}


def complete(config):
  """The configuration with every field, as a dict.

  Args:
    config: a mapping with some of the fields of `DEFAULTS`.

  Raises:
    InputError: if a field is unknown; it names the nearest one.
  """
  check_names(config)
  return {**DEFAULTS, **config}


def check_names(fields):
  """Raises InputError if a name is no field of a model's configuration."""
  for name in fields:
    if name not in DEFAULTS:
      (near,) = difflib.get_close_matches(name, DEFAULTS, 1, 0)
      raise errors.InputError(
        f"There is no field 'model.{name}'; did you mean 'model.{near}'?"
      )


def check(config):
  """Raises InputError if a field has an impossible value.

  Args:
    config: with all fields; those that `config['name']` does not use are only
      checked where they would otherwise be ignored silently.
  """
  for field, choices in CHOICES.items():
    _check_choice(config, field, choices)
  _check_positive(
    config, 'num_classes', 'num_frames', 'fold_div', 'consensus_from'
  )
  if not 0 <= config['dropout'] < 1:
    raise errors.InputError(
      f'model.dropout is {config["dropout"]!r}; it must be in [0, 1).'
    )
  if config['bn_stats'] == 'ghost':
    _check_positive(config, 'ghost_clips')
  _check_consensus(config)
  if config['name'] == 'resnet':
    _check_resnet(config)
    return
  for field in ('non_local', 'temporal_pool', 'stem', 'downsample'):
    if config[field] != DEFAULTS[field]:
      raise errors.InputError(
        f'model.{field} is {config[field]!r}; only resnet has it.'
      )
  if config['name'] == 'mobilenet_v2':
    _check_choice(config, 'shift', mobilenet_v2.SHIFTS)
    if not config['width_multiplier'] > 0:
      raise errors.InputError(
        f'model.width_multiplier is {config["width_multiplier"]!r}; it must be '
        f'positive.'
      )
  elif config['name'] == 'bn_inception':
    bn_inception.shift_mask(config['shift'])


def local_to_ghost(config, batch_size, num_devices):
  """The configuration with `bn_stats='local'` as ghost batches.

  A device holds consecutive clips of the batch, so that its statistics are
  those of a ghost batch of `batch_size // num_devices` clips. Unlike 'local',
  this does not depend on the devices: a run can go on elsewhere.

  Args:
    config: a mapping; it is not changed.
    batch_size: clips of the whole batch, or of a micro batch.
    num_devices: number of devices that share it evenly.

  Returns:
    A dict, equal to `config` unless `bn_stats` is 'local'.
  """
  config = dict(config)
  if config['bn_stats'] == 'local':
    config['bn_stats'] = 'ghost'
    config['ghost_clips'] = batch_size // num_devices
  return config


def _check_consensus(config):
  first, frames = config['consensus_from'], config['num_frames']
  if config['consensus'] == 'mean' and first != 1:
    raise errors.InputError(
      f'model.consensus_from is {first}, but model.consensus is '
      "'mean', which takes all frames; choose 'frames', or leave it at 1."
    )
  if first > frames:
    raise errors.InputError(
      f'model.consensus_from is {first}, but a clip has {frames} frames '
      '(model.num_frames); choose one of them.'
    )
  if config['consensus'] == 'frames' and config['temporal_pool']:
    raise errors.InputError(
      "model.consensus is 'frames', but with model.temporal_pool=True the "
      "frames do not stay apart; choose 'mean'."
    )


def _check_resnet(config):
  _check_choice(config, 'shift', resnet.SHIFTS)
  _check_choice(config, 'depth', tuple(resnet.DEPTHS))
  _check_positive(config, 'width', 'groups', 'width_per_group')
  if config['stem'] == 'deep' and config['width'] % 2:
    raise errors.InputError(
      f"model.width is {config['width']}; with model.stem='deep', whose first "
      'convolutions have half of it, it must be even.'
    )
  if not _is_count(config['shift_every'], 0):
    raise errors.InputError(
      f'model.shift_every is {config["shift_every"]!r}; it must be a positive '
      f'integer, or 0 for the rule of the released models.'
    )
  bottleneck, _ = resnet.DEPTHS[config['depth']]
  if not bottleneck:  # basic blocks have no groups
    for field in ('groups', 'width_per_group'):
      if config[field] != DEFAULTS[field]:
        raise errors.InputError(
          f'model.{field} is {config[field]}; basic blocks (depth 18 and 34) '
          f'allow only {DEFAULTS[field]}.'
        )
  if config['temporal_pool'] and config['num_frames'] % 2:
    raise errors.InputError(
      f'model.num_frames is {config["num_frames"]}; with model.temporal_pool, '
      f'which halves it, it must be even.'
    )


def _check_choice(config, field, choices):
  if config[field] not in choices:
    raise errors.InputError(
      f'model.{field} is {config[field]!r}; choose from {choices}.'
    )


def _check_positive(config, *fields):
  for field in fields:
    if not _is_count(config[field], 1):
      raise errors.InputError(
        f'model.{field} is {config[field]!r}; it must be a positive integer.'
      )


def _is_count(value, least):
  return type(value) is int and value >= least
