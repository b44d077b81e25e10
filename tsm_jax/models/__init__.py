"""Models by their configuration."""

from tsm_jax import errors
from tsm_jax.models import bn_inception, classifier, mobilenet_v2, resnet, shift

# The fields of `config.model`, written once.
DEFAULTS = {
  'name': 'resnet',  # 'resnet', 'mobilenet_v2', 'bn_inception'
  'depth': 50,  # of a resnet: 18, 34, 50, 101, 152
  'stage_sizes': (),  # blocks per stage; () takes those of the depth
  'width': 64,  # channels of a resnet's stem
  'groups': 1,  # of its 3x3 convolutions: 32 for ResNeXt
  'width_per_group': 64,  # 4 ResNeXt-50, 8 ResNeXt-101, 128 wide ResNet
  'width_multiplier': 1.0,  # of the channels of mobilenet_v2
  'num_classes': 0,  # 0: from the dataset, or from the weights
  'num_frames': 8,  # T, frames per clip
  # 'blockres' (in the residual branch), 'block' (in front of it), 'none' (TSN);
  # bn_inception takes a mask of 12 zeros and ones, too.
  'shift': 'blockres',
  'direction': 'both',  # 'both' (offline), 'past' (online)
  'fold_div': 8,  # one of so many channels moves in each direction
  'shift_every': 0,  # every n-th block of a stage; 0: as published
  'non_local': False,  # attention after every second block of stages 2 and 3
  'temporal_pool': False,  # halves T in front of stage 2
  'modality': 'rgb',  # 'rgb' (3 channels), 'flow' (10), 'rgb_diff' (15)
  'partial_bn': False,  # trains the first BatchNorm only, freezes the others
  # In training, over the whole batch ('global'), the clips of a device
  # ('local', as published) or every ghost_clips clips of the batch ('ghost');
  # 'frozen' are the running ones, which then stay as they are.
  'bn_stats': 'global',
  'ghost_clips': 0,
  'dropout': 0.5,  # an independent mask for every frame
  'dtype': 'float32',  # of the computation: 'float32', 'bfloat16'
  # What the backward pass computes again instead of keeping it in memory:
  # 'none', the inside of every 'block', or of every 'stage' (least memory).
  'remat': 'none',
}
BN_STATS = ('global', 'local', 'ghost', 'frozen')


def set_local_clips(config, batch_size, num_devices):
  """Makes `bn_stats='local'` what it is on these devices, in place.

  A device holds consecutive clips of the batch, so that its statistics are
  those of a ghost batch. From then on they no longer depend on the devices: a
  run that is continued on others can ask for the same ghost batches.

  Args:
    config: the model's, mutable.
    batch_size: clips of the whole batch, or of a micro batch.
    num_devices: that share it evenly.
  """
  if config['bn_stats'] == 'local':
    config['bn_stats'] = 'ghost'
    config['ghost_clips'] = batch_size // num_devices


def create_model(config):
  """The Flax module that `config.model` describes.

  Args:
    config: a mapping with the fields of `DEFAULTS`.

  Returns:
    A module: `model.apply(variables, frames, train=False)` maps frames
    `[B, T, H, W, C]` (float, normalised) to logits `[B, num_classes]`.

  Raises:
    InputError: if a field has an impossible value; it names field, value and
      choices.
  """
  _check_choice(config, 'name', tuple(_BUILDERS))
  _check_choice(config, 'direction', shift.DIRECTIONS)
  _check_choice(config, 'modality', tuple(classifier.CHANNELS))
  _check_choice(config, 'dtype', ('float32', 'bfloat16'))
  _check_choice(config, 'remat', classifier.REMAT)
  _check_choice(config, 'non_local', (False, True))
  _check_choice(config, 'temporal_pool', (False, True))
  _check_choice(config, 'partial_bn', (False, True))
  _check_choice(config, 'bn_stats', BN_STATS)
  _check_positive(config, 'num_classes', 'num_frames', 'fold_div')
  if not 0 <= config['dropout'] < 1:
    raise errors.InputError(
      f'model.dropout is {config["dropout"]!r}; it must be in [0, 1).'
    )
  return _BUILDERS[config['name']](config, _shared(config))


def _shared(config):
  fields = ('num_classes', 'direction', 'fold_div', 'dropout', 'modality')
  shared = {k: config[k] for k in (*fields, 'partial_bn', 'dtype', 'remat')}
  shared['frozen_bn'] = config['bn_stats'] == 'frozen'
  if config['bn_stats'] == 'ghost':
    _check_positive(config, 'ghost_clips')
    shared['ghost_clips'] = config['ghost_clips']
  elif config['bn_stats'] == 'local':
    shared['ghost_clips'] = classifier.UNKNOWN
  return shared


def _resnet(config, shared):
  _check_choice(config, 'shift', resnet.SHIFTS)
  _check_choice(config, 'depth', tuple(resnet.DEPTHS))
  _check_positive(config, 'width', 'groups', 'width_per_group')
  if not _is_count(config['shift_every'], 0):
    raise errors.InputError(
      f'model.shift_every is {config["shift_every"]!r}; it must be a positive '
      f'integer, or 0 for the rule of the released models.'
    )
  bottleneck, stage_sizes = resnet.DEPTHS[config['depth']]
  if not bottleneck:  # basic blocks know no groups
    for field, value in (('groups', 1), ('width_per_group', 64)):
      if config[field] != value:
        raise errors.InputError(
          f'model.{field} is {config[field]}; basic blocks (depth 18 and 34) '
          f'allow only {value}.'
        )
  if config['temporal_pool'] and config['num_frames'] % 2:
    raise errors.InputError(
      f'model.num_frames is {config["num_frames"]}; with model.temporal_pool, '
      f'which halves it, it must be even.'
    )
  fields = ('width', 'groups', 'width_per_group', 'shift', 'shift_every')
  return resnet.ResNet(
    stage_sizes=tuple(config['stage_sizes']) or stage_sizes,
    bottleneck=bottleneck,
    **{k: config[k] for k in (*fields, 'non_local', 'temporal_pool')},
    **shared,
  )


def _mobilenet_v2(config, shared):
  _check_choice(config, 'shift', mobilenet_v2.SHIFTS)
  _check_only_resnet(config)
  if not config['width_multiplier'] > 0:
    raise errors.InputError(
      f'model.width_multiplier is {config["width_multiplier"]!r}; it must be '
      f'positive.'
    )
  return mobilenet_v2.MobileNetV2(
    width_multiplier=config['width_multiplier'],
    shift=config['shift'],
    **shared,
  )


def _bn_inception(config, shared):
  _check_only_resnet(config)
  bn_inception.mask_of(config['shift'])
  return bn_inception.BNInception(shift=config['shift'], **shared)


_BUILDERS = {
  'resnet': _resnet,
  'mobilenet_v2': _mobilenet_v2,
  'bn_inception': _bn_inception,
}


def _check_only_resnet(config):
  for field in ('non_local', 'temporal_pool'):
    if config[field]:
      raise errors.InputError(f'model.{field} is True; only resnet has it.')


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
