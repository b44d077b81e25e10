"""Infers a model's configuration from the authors' names and shapes."""

import re

from tsm_jax import errors
from tsm_jax.convert import checks, naming
from tsm_jax.models import classifier, mobilenet_v2, resnet


def source_kind(arrays, names):
  """'imagenet' (an initialisation), 'online' (the demo's form) or 'video'.

  Args:
    arrays: by their name in the source.
    names: mapping from these names to official ones, see `naming.official`.
  """
  prefixes = ('base_model.', 'backbone.')
  bare = [k.removeprefix('module.') for k in names]
  if any(k.startswith(prefixes) or '.net.' in k for k in bare):
    return 'video'
  classes = [v.shape[0] for k, v in arrays.items() if is_head(names[k])]
  if not classes or classes[0] == 1000:
    return 'imagenet'
  return 'online' if 'features.1.conv.0.weight' in bare else 'video'


def is_head(name):
  """Whether an official or plain name belongs to the classifier."""
  return name.startswith(('new_fc.', 'fc.', 'classifier.', 'head.'))


# For each network, its first convolution and the start of its other names.
_DEEP = 'conv1.0.weight'  # the first convolution of a ResNet's deep stem
_STEMS = {
  'ResNet': ('conv1.weight', ('bn1.', 'layer')),
  'MobileNetV2': ('features.0.0.weight', ('features.',)),
  'BNInception': ('conv1_7x7_s2.weight', ('inception_',)),
}


def from_shapes(shapes, kind, stages_are_given=False):
  """The fields that official names and shapes show.

  Args:
    shapes: by official name.
    kind: from `source_kind`.
    stages_are_given: accepts a ResNet of no published depth.

  Returns:
    A dict with fields of `models.DEFAULTS`.

  Raises:
    InputError: if the weights belong to no known network.
  """
  network = _network(shapes)
  head = [k for k in shapes if is_head(k) and k.endswith('.weight')]
  config = {}
  if head:
    config['num_classes'] = shapes[head[0]][0]
    config['dropout'] = 0.5 if head[0].startswith('new_fc.') else 0.0
  if network == 'BNInception':
    config['name'] = 'bn_inception'
    config['modality'] = _modality(shapes['conv1_7x7_s2.weight'][1])
    config['shift'] = None  # the names are the same with and without it
    return config
  if network == 'MobileNetV2':
    config.update(_infer_mobilenet(shapes))
  else:
    config.update(_infer_resnet(shapes, stages_are_given))
  if kind == 'imagenet':
    config['shift'] = 'blockres'
    config.pop('shift_every', None)
  elif config['shift'] != 'none':
    config['direction'] = 'both'  # the authors' only one
  if kind == 'online':
    config.update(shift='blockres', direction='past')
  return config


def _network(shapes):
  """The network with these names, recognised by its first convolution."""
  checks.refuse_others(shapes, _STEMS)
  for network, (stem, others) in _STEMS.items():
    if not any(k.startswith(others) for k in shapes):
      continue
    if network == 'ResNet' and _DEEP in shapes:
      stem = _DEEP
    if stem not in shapes:
      raise errors.InputError(
        f'The weights are of a {network}, but its first convolution, {stem}, '
        f'is missing.'
      )
    if len(shapes[stem]) == 4:
      return network
  raise errors.InputError(
    f'The weights are of no known network ({", ".join(_STEMS)}); their names '
    f'begin with {sorted(shapes)[:3]}.'
  )


def _infer_resnet(shapes, stages_are_given):
  blocks = [
    (int(match[1]), int(match[2]))
    for k in shapes
    if (match := re.match(r'layer(\d)\.(?:net\.)?(\d+)\.', k))
  ]
  sizes = tuple(
    1 + max((index for stage, index in blocks if stage == s), default=-1)
    for s in range(1, 1 + max((stage for stage, _ in blocks), default=0))
  )
  bottleneck = any('.conv3.' in k for k in shapes)
  same = [d for d, form in resnet.DEPTHS.items() if form == (bottleneck, sizes)]
  if not same and not stages_are_given:
    _refuse_depth(bottleneck, sizes)
  plain = {naming.plain(k): v for k, v in shapes.items()}
  deep = _DEEP in plain
  width = plain['conv1.6.weight' if deep else 'conv1.weight'][0]
  channels = plain[_DEEP if deep else 'conv1.weight'][1]
  config = {
    'name': 'resnet',
    'depth': same[0] if same else 50 if bottleneck else 18,
    'stage_sizes': () if same else sizes,
    'width': width,
    'stem': 'deep' if deep else 'plain',
    'downsample': 'avg'
    if any('.downsample.2.' in k for k in shapes)
    else 'conv',
    'modality': _modality(channels),
    'non_local': any('.nl.' in k for k in shapes),
    'temporal_pool': any(k.startswith('layer2.net.') for k in shapes),
    **_infer_shift(shapes, sizes),
  }
  if bottleneck and 'layer1.0.conv2.weight' in plain:
    inner, per_group = plain['layer1.0.conv2.weight'][:2]
    config['groups'] = inner // per_group
    config['width_per_group'] = per_group * 64 // width
  return config


def _refuse_depth(bottleneck, sizes):
  published = ', '.join(
    f'{depth} has {form[1]}'
    for depth, form in resnet.DEPTHS.items()
    if form[0] == bottleneck
  )
  raise errors.InputError(
    f'The weights have {sizes} {"bottleneck" if bottleneck else "basic"} '
    f'blocks per stage, as no published ResNet ({published}): weights are '
    f'missing, or give stage_sizes={sizes} if that is intended.'
  )


def _infer_shift(shapes, sizes):
  """`shift` and `shift_every`, from the names of wrapped layers."""

  def wrapped_by(inner):
    start = r'layer(\d)\.(?:net\.)?(\d+)\.(?:block\.)?'
    matches = (re.match(start + inner, k) for k in shapes)
    return {(int(m[1]) - 1, int(m[2])) for m in matches if m}

  if whole := wrapped_by(r'net\.'):
    if len(whole) < sum(sizes):
      raise errors.InputError(
        f'Only the blocks {sorted(whole)} (stage, index) are shifted as a '
        f"whole, which no value of shift expresses; 'block' shifts all."
      )
    return {'shift': 'block'}
  found = wrapped_by(r'conv1\.net\.')
  if not found:
    return {'shift': 'none'}
  for every in range(max(sizes) + 1):  # 0, the rule, first
    if found == {
      (stage, index)
      for stage, size in enumerate(sizes)
      for index in range(size)
      if resnet.is_shifted('blockres', every, sizes, index)
    }:
      return {'shift': 'blockres', 'shift_every': every}
  raise errors.InputError(
    f'The shifted blocks {sorted(found)} (stage, index) are not every n-th of '
    f'each stage, which is all that shift_every can express.'
  )


def _infer_mobilenet(shapes):
  shifted = {
    int(match[1])
    for k in shapes
    if (match := re.match(r'features\.(\d+)\.conv\.0\.net\.', k))
  }
  rule = {i for i in range(1, 18) if mobilenet_v2.is_shifted(i)}
  if shifted not in (set(), rule):
    raise errors.InputError(
      f'The shifted blocks {sorted(shifted)} are not those of MobileNetV2 with '
      f'the shift, {sorted(rule)}.'
    )
  plain = {naming.plain(k): v for k, v in shapes.items()}
  found = {
    i: plain[f'features.{i}.conv.7.bias'][0]
    for i in range(2, 18)
    if f'features.{i}.conv.7.bias' in plain
  }
  for multiplier in (1.0, *(i / 20 for i in range(1, 61))):
    channels = {
      i: mobilenet_v2.round_up(channels * multiplier)
      for i, channels in enumerate(mobilenet_v2.block_channels(), start=1)
    }
    if all(channels[i] == found[i] for i in found):
      break
  else:
    raise errors.InputError(
      f'The channels of the blocks, {list(found.values())}, are of no '
      f'width_multiplier up to 3 in steps of 0.05.'
    )
  return {
    'name': 'mobilenet_v2',
    'width_multiplier': multiplier,
    'modality': _modality(plain['features.0.0.weight'][1]),
    'shift': 'blockres' if shifted else 'none',
  }


def _modality(channels):
  for modality, count in classifier.CHANNELS.items():
    if count == channels:
      return modality
  raise errors.InputError(
    f'The first convolution takes {channels} channels; known are '
    f'{classifier.CHANNELS}.'
  )
