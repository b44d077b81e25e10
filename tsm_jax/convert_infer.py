"""What the authors' names and shapes tell about a model, and the way back."""

import re

from tsm_jax import convert_names, errors
from tsm_jax.models import layers, mobilenet_v2, resnet


def kind_of(arrays, names):
  """'imagenet' (an initialisation), 'online' (the demo's form) or 'video'."""
  prefixes = ('base_model.', 'backbone.')
  bare = [k.removeprefix('module.') for k in names]
  if any(k.startswith(prefixes) or '.net.' in k for k in bare):
    return 'video'
  classes = [v.shape[0] for k, v in arrays.items() if is_head(names[k])]
  if not classes or classes[0] == 1000:
    return 'imagenet'
  return 'online' if 'features.1.conv.0.weight' in bare else 'video'


def is_head(name):
  """Whether an official or plain name is of the classifier."""
  return name.startswith(('new_fc.', 'fc.', 'classifier.', 'head.'))


def from_shapes(shapes, kind):
  """The fields that official names and shapes tell."""
  head = [k for k in shapes if is_head(k) and k.endswith('.weight')]
  config = {}
  if head:
    config['num_classes'] = shapes[head[0]][0]
    config['dropout'] = 0.5 if head[0].startswith('new_fc.') else 0.0
  if len(shapes.get('features.0.0.weight', ())) == 4:
    config.update(_infer_mobilenet(shapes))
  elif len(shapes.get('conv1.weight', ())) == 4 and any(
    k.startswith('layer1.') for k in shapes
  ):
    config.update(_infer_resnet(shapes))
  elif len(shapes.get('conv1_7x7_s2.weight', ())) == 4:
    config['name'] = 'bn_inception'
    config['modality'] = _modality(shapes['conv1_7x7_s2.weight'][1])
    config['shift'] = None  # its names are the same with and without
    return config
  else:
    raise errors.InputError(
      f'The weights are of no known network (ResNet, MobileNetV2, '
      f'BNInception); their names begin with {sorted(shapes)[:3]}.'
    )
  if kind == 'imagenet':
    config['shift'] = 'blockres'
    config.pop('shift_every', None)
  if kind == 'online':
    config.update(shift='blockres', direction='past')
  return config


def _infer_resnet(shapes):
  blocks = [
    (int(match[1]), int(match[2]))
    for k in shapes
    if (match := re.match(r'layer(\d)\.(?:net\.)?(\d+)\.', k))
  ]
  sizes = tuple(
    1 + max(index for stage, index in blocks if stage == s)
    for s in sorted({stage for stage, _ in blocks})
  )
  bottleneck = any('.conv3.' in k for k in shapes)
  same = [d for d, form in resnet.DEPTHS.items() if form == (bottleneck, sizes)]
  plain = {convert_names.plain(k): v for k, v in shapes.items()}
  width, channels = plain['conv1.weight'][:2]
  config = {
    'name': 'resnet',
    'depth': same[0] if same else 50 if bottleneck else 18,
    'stage_sizes': () if same else sizes,
    'width': width,
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


def _infer_shift(shapes, sizes):
  """`shift` and `shift_every` from the wrapped layers."""

  def wrapped_by(inner):
    start = r'layer(\d)\.(?:net\.)?(\d+)\.(?:block\.)?'
    matches = (re.match(start + inner, k) for k in shapes)
    return {(int(m[1]) - 1, int(m[2])) for m in matches if m}

  if whole := wrapped_by(r'net\.'):
    if len(whole) < sum(sizes):
      raise errors.InputError(
        f'Only the blocks {sorted(whole)} (stage, index) are shifted as a '
        f"whole, which no value of shift says; 'block' shifts all."
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
    f'each stage, which is all that shift_every can say.'
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
  plain = {convert_names.plain(k): v for k, v in shapes.items()}
  found = {
    i: plain[f'features.{i}.conv.7.bias'][0]
    for i in range(2, 18)
    if f'features.{i}.conv.7.bias' in plain
  }
  for multiplier in (1.0, *(i / 20 for i in range(1, 61))):
    channels = {
      i: mobilenet_v2.rounded(channels * multiplier)
      for i, (_, channels, _) in enumerate(mobilenet_v2.blocks(), start=1)
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
  for modality, count in layers.CHANNELS.items():
    if count == channels:
      return modality
  raise errors.InputError(
    f'The first convolution takes {channels} channels; known are '
    f'{layers.CHANNELS}.'
  )


def from_file_name(file_name, model_name):
  """The fields that only an official file name tells."""
  if re.search(r'[-_]nl[-_]dot[-_]product', file_name):
    raise errors.InputError(
      f'{file_name} has dot-product attention; the non-local blocks here have '
      f'the embedded Gaussian only.'
    )
  config = {}
  if match := re.search(r'_shift(\d+)_', file_name):
    config['fold_div'] = int(match[1])
  place = re.search(r'_BNInception_(?:shift\d+_(block|[01]{12})_)?', file_name)
  if model_name == 'bn_inception' and place:
    config['shift'] = place[1] or 'none'
  if match := re.search(r'_segment(\d+)_|[-_]\d+x1x(\d+)-', file_name):
    config['num_frames'] = int(match[1] or match[2])
  if '_tpool' in file_name:
    config['temporal_pool'] = True
  return config


def official_name(name, config):
  """The authors' name, with prefix and wrappers, of a plain one."""
  # The authors have one network of one direction, the bare one of the demo.
  online = config['name'] == 'mobilenet_v2' and config['direction'] == 'past'
  if name.startswith('head.'):
    return _head_name(name.removeprefix('head.'), config, online)
  prefix = '' if online else 'module.base_model.'
  if match := re.match(r'features\.(\d+)\.conv\.0\.(.*)', name):
    shifted = (
      config['shift'] != 'none'
      and not online
      and mobilenet_v2.is_shifted(int(match[1]))
    )
    net = 'net.' if shifted and match[2] == 'weight' else ''
    return f'{prefix}features.{match[1]}.conv.0.{net}{match[2]}'
  match = re.match(r'layer(\d)\.(\d+)\.(.*)', name)
  if not match:
    return prefix + name
  stage, index, rest = int(match[1]) - 1, int(match[2]), match[3]
  if not rest.startswith('nl.'):
    if config['shift'] == 'block':
      rest = f'net.{rest}'
    elif rest == 'conv1.weight' and _is_shifted(config, index):
      rest = 'conv1.net.weight'
    if config['non_local'] and resnet.has_non_local(stage, index):
      rest = f'block.{rest}'
  pool = '.net' if config['temporal_pool'] and stage == 1 else ''
  return f'{prefix}layer{stage + 1}{pool}.{index}.{rest}'


def _head_name(leaf, config, online):
  if online:
    return f'classifier.{leaf}'
  if config['dropout']:
    return f'module.new_fc.{leaf}'
  name = 'classifier' if config['name'] == 'mobilenet_v2' else 'fc'
  return f'module.base_model.{name}.{leaf}'


def _is_shifted(config, index):
  sizes = tuple(config['stage_sizes']) or resnet.DEPTHS[config['depth']][1]
  return resnet.is_shifted(config['shift'], config['shift_every'], sizes, index)
