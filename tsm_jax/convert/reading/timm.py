"""The names that timm gives the weights of MobileNetV2.

Its ResNets have those of torchvision.
"""

import re

from tsm_jax.models import mobilenet_v2

_ENDS = {
  'conv_stem': 'features.0.0',
  'bn1': 'features.0.1',
  'conv_head': 'features.18.0',
  'bn2': 'features.18.1',
}
# Layers of a block, to the index in the authors' list of them. The first block
# has no expansion.
_FIRST = {'conv_dw': 0, 'bn1': 1, 'conv_pw': 3, 'bn2': 4}
_OTHERS = {
  'conv_pw': 0,
  'bn1': 1,
  'conv_dw': 3,
  'bn2': 4,
  'conv_pwl': 6,
  'bn3': 7,
}
_SIZES = [size for _, _, size, _ in mobilenet_v2.STAGES]
_BLOCK = re.compile(r'blocks\.(\d+)\.(\d+)\.(\w+)\.(.+)')


def is_mobilenet_v2(names):
  """Whether weights have timm's names, and the blocks of MobileNetV2.

  Its other networks with such names have squeeze-and-excitation, or other
  numbers of blocks.
  """
  blocks = [match for name in names if (match := _BLOCK.match(name))]
  found = {(int(match[1]), int(match[2])) for match in blocks}
  layers = {match[3] for match in blocks}
  expected = {(s, i) for s, size in enumerate(_SIZES) for i in range(size)}
  return found == expected and layers == {*_FIRST, *_OTHERS}


def official(name):
  """The authors' name of a weight of timm's MobileNetV2."""
  if match := _BLOCK.match(name):
    stage, index, layer, leaf = match.groups()
    number = 1 + sum(_SIZES[: int(stage)]) + int(index)
    layers = _FIRST if number == 1 else _OTHERS
    return f'features.{number}.conv.{layers.get(layer, layer)}.{leaf}'
  layer, _, leaf = name.partition('.')
  return f'{_ENDS.get(layer, layer)}.{leaf}'
