"""Names of weights: those of other code bases, the authors', and ours.

`official` turns names of other code into the authors' without the prefix
(`layer1.0.conv1.net.weight`), `plain` removes wrappers from these
(`layer1.0.conv1.weight`), and `plain_leaf_name` gives the plain name of a leaf
of our variables.
"""

import re

from tsm_jax import errors
from tsm_jax.convert.reading import timm

# What wraps a network, or a part of it, and leaves its name.
_WRAPPED = ('_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module')
_OUTER = ('module', 'model', 'net', 'network')
_AVERAGES = ('ema', 'ema_model', 'model_ema', 'ema_net', 'averaged_model')
# Where the names of a network begin.
_INNER = re.compile(
  r'base_model|backbone|cls_head|new_fc|fc|head|classifier|features|bn\d'
  r'|conv\d?(_\w+)?|layer\d|inception_\w+|blocks'
)

# The first block of each of OpenMMLab's MobileNetV2 stages, as an index into
# the single list of blocks that torchvision and the authors have.
_MOBILENET_STAGES = (1, 2, 4, 7, 11, 14, 17)

_OPENMMLAB = (
  (r'\.downsample\.conv\.', '.downsample.0.'),
  (r'\.downsample\.bn\.', '.downsample.1.'),
  (r'\.non_local_block\.conv_out\.conv\.', '.nl.W.0.'),
  (r'\.non_local_block\.conv_out\.bn\.', '.nl.W.1.'),
  (r'\.non_local_block\.(\w+)(\.0)?\.conv\.', r'.nl.\1\2.'),
  (r'(^|\.)conv(\d)\.conv\.', r'\1conv\2.'),
  (r'(^|\.)conv(\d)\.bn\.', r'\1bn\2.'),
)
_UNWRAP = (
  (r'^(new_fc|fc|classifier)\.', 'head.'),
  (r'^layer2\.net\.', 'layer2.'),
  (r'^(layer\d\.\d+)\.block\.', r'\1.'),
  (r'^(layer\d\.\d+)\.net\.', r'\1.'),
  (r'\.(conv1|conv\.0)\.net\.', r'.\1.'),
)
# Layers of a MobileNetV2 block: the official index with and without expansion.
_MOBILENET_LAYERS = {
  'expand': (0, None),
  'expand_bn': (1, None),
  'depthwise': (3, 0),
  'depthwise_bn': (4, 1),
  'project': (6, 3),
  'project_bn': (7, 4),
}
_ENDS = {
  'mobilenet_v2': {
    'conv1': 'features.0.0',
    'bn1': 'features.0.1',
    'conv2': 'features.18.0',
    'bn2': 'features.18.1',
  },
  'bn_inception': {'conv1': 'conv1_7x7_s2', 'bn1': 'conv1_7x7_s2_bn'},
  'resnet': {
    'stem_conv1': 'conv1.0',
    'stem_bn1': 'conv1.1',
    'stem_conv2': 'conv1.3',
    'stem_bn2': 'conv1.4',
    'stem_conv3': 'conv1.6',
  },
}
_DOWNSAMPLE = {
  'downsample_conv': 'downsample.0',
  'downsample_bn': 'downsample.1',
  # Behind a mean, which has no weights.
  'avg_downsample_conv': 'downsample.1',
  'avg_downsample_bn': 'downsample.2',
}
_NON_LOCAL = {
  'g': 'g.0',
  'phi': 'phi.0',
  'theta': 'theta',
  'out': 'W.0',
  'out_bn': 'W.1',
}
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}


def unwrapped(names, log):
  """Maps names without the prefixes of wrappers to the names in a source.

  Args:
    names: of the weights of a source.
    log: called with a sentence about what belongs to other networks, which is
      left out.

  Raises:
    InputError: if two weights then have the same name.
  """
  found = {}
  for name in names:
    parts = [part for part in str(name).split('.') if part not in _WRAPPED]
    found.setdefault('.'.join(parts), []).append(name)
  while first := _outermost(found, log):
    bare = {}
    for name, sources in found.items():
      start, _, rest = name.partition('.')
      if start == first and rest:
        bare.setdefault(rest, []).extend(sources)
      elif not rest:  # a counter of the wrapper
        bare.setdefault(name, []).extend(sources)
    found = bare
  for name, sources in found.items():
    if len(sources) > 1:
      raise errors.InputError(f'Two weights are for {errors.printable(name)}.')
  return {name: sources[0] for name, sources in found.items()}


def _outermost(names, log):
  """The part in front of a network's names that is not of them, or ''."""
  firsts = {name.partition('.')[0] for name in names if '.' in name}
  if any(_INNER.fullmatch(first) for first in firsts):
    return ''
  known = [first for first in (*_OUTER, *_AVERAGES) if first in firsts]
  if not known and len(firsts) == 1:
    (first,) = firsts  # any name, if those of a network follow
    inner = (name.split('.')[1] for name in names if '.' in name)
    known = [first] if any(map(_INNER.fullmatch, inner)) else []
  if not known:
    return ''
  if others := firsts - {known[0]}:
    log(
      f'The weights are those of {known[0]!r}; not read: '
      f'{errors.printable(", ".join(sorted(others)[:5]))}.'
    )
  return known[0]


def official(names):
  """Maps the names of any known source to official ones without the prefix."""
  stripped = {
    name: re.sub(r'^base_model\.', '', re.sub(r'^module\.', '', name))
    for name in names
  }
  if any(name.startswith('backbone.') for name in stripped.values()):
    mobilenet = any(
      re.match(r'backbone\.layer\d\.\d+\.conv\.', name)
      for name in stripped.values()
    )
    return {k: _from_openmmlab(v, mobilenet) for k, v in stripped.items()}
  if any(re.match(r'features\.1\.conv\.0\.0\.', v) for v in stripped.values()):
    return {k: _from_torchvision_mobilenet(v) for k, v in stripped.items()}
  if timm.is_mobilenet_v2(stripped.values()):
    return {k: timm.official(v) for k, v in stripped.items()}
  return stripped


def _from_openmmlab(name, mobilenet):
  name = re.sub(r'^cls_head\.fc_cls\.', 'new_fc.', name)
  name = re.sub(r'^backbone\.', '', name)
  if not mobilenet:
    for pattern, replacement in _OPENMMLAB:
      name = re.sub(pattern, replacement, name)
    return name
  if match := re.match(r'conv([12])\.(conv|bn)\.(.*)', name):
    layer, kind, leaf = match.groups()
    return f'features.{0 if layer == "1" else 18}.{int(kind == "bn")}.{leaf}'
  if match := re.match(
    r'layer(\d)\.(\d+)\.conv\.(\d)(\.net)?\.(conv|bn)\.(.*)', name
  ):
    stage, block, layer, net, kind, leaf = match.groups()
    block = _MOBILENET_STAGES[int(stage) - 1] + int(block)
    index = 3 * int(layer) + int(kind == 'bn')
    net = net if net and kind == 'conv' else ''
    return f'features.{block}.conv.{index}{net}.{leaf}'
  return name


def _from_torchvision_mobilenet(name):
  name = re.sub(r'^classifier\.1\.', 'classifier.', name)
  match = re.match(r'(features\.(\d+)\.conv)\.(\d)(?:\.(\d))?\.(\w+)$', name)
  if not match:
    return name
  start, block, layer, part, leaf = match.groups()
  if part:  # a convolution or its norm, inside a triple with its ReLU
    return f'{start}.{3 * int(layer) + int(part)}.{leaf}'
  num_triples = 1 if block == '1' else 2
  return f'{start}.{3 * num_triples + int(layer) - num_triples}.{leaf}'


def plain(name):
  """An official name without the wrappers of shift, pooling and non-local."""
  for pattern, replacement in _UNWRAP:
    name = re.sub(pattern, replacement, name)
  return name


def plain_leaf_name(path, model_name):
  """The plain name of a leaf such as `('layer1_0', 'conv1', 'kernel')`."""
  *modules, leaf = path
  leaf = _LEAVES[leaf]
  first, last = modules[0], modules[-1]
  if match := re.match(r'block(\d+)$', first):
    column = 1 if match[1] == '1' else 0
    index = _MOBILENET_LAYERS[last][column]
    return f'features.{match[1]}.conv.{index}.{leaf}'
  if match := re.match(r'layer(\d)_(\d+)(_nl)?$', first):
    start = f'layer{match[1]}.{match[2]}'
    if match[3]:
      return f'{start}.nl.{_NON_LOCAL[last]}.{leaf}'
    return f'{start}.{_DOWNSAMPLE.get(last, last)}.{leaf}'
  first = _ENDS.get(model_name, {}).get(first, first)
  return f'{first}.{leaf}'
