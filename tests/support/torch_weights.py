"""Small weights as PyTorch would name them."""

import functools
import re

import jax
import numpy as np

from support import golden
from tsm_jax import convert

# The official name of a file of `small`.
NAME = 'TSM_x_RGB_resnet18_shift8_blockres_avg_segment8_e1.pth'
# What a configuration says of `small(2)`.
FIELDS = {
  'depth': 18,
  'stage_sizes': (1,),
  'width': 8,
  'num_frames': 4,
  'dropout': 0.0,
  'num_classes': 2,
}


def save(path, weights):
  """Writes NumPy arrays as PyTorch does; returns the path."""
  import torch

  torch.save({k: torch.tensor(v) for k, v in weights.items()}, path)
  return path


def without_module(weights):
  return {k.removeprefix('module.'): v for k, v in weights.items()}


def assert_same(one, other):
  assert one[0] == other[0]
  jax.tree.map(np.testing.assert_array_equal, one[1], other[1])


def small(num_classes=5):
  """A whole checkpoint that is small: two basic blocks of 8 channels."""
  shapes = {
    k: tuple(8 if n == 64 else n for n in shape)
    for k, shape in golden.shapes('r18_shift', num_classes).items()
    if not re.search(r'layer[234]|layer1\.1', k)
  }
  shapes['module.new_fc.weight'] = (num_classes, 8)
  return golden.weights(shapes)


def tensors(prefix='', dtype=None):
  """`small` as PyTorch's tensors (float32), without the wrapper's prefix."""
  import torch

  return {
    f'{prefix}{name}': torch.tensor(value).to(dtype or torch.float32)
    for name, value in without_module(small()).items()
  }


def read(source, **fields):
  """A file or mapping of `small`, converted; and the lines that it logs."""
  lines = []
  fields = {'stage_sizes': (1,), **fields}
  return convert.from_torch(source, log=lines.append, **fields), lines


@functools.cache
def expected():
  """What `small` is converted to."""
  return convert.from_torch(small(), stage_sizes=(1,))


def official_shapes(name, num_classes=None):
  """The official names; the shapes of a ResNet are those of a narrow one.

  Names and rules are the same for every width; at their full width, networks
  are compared by their recorded logits.
  """
  found = golden.shapes(name, num_classes)
  return golden.narrow(found) if re.match(r'r\d', name) else found


def openmmlab(weights):
  """The names of mmaction2's ResNetTSM for the authors' names."""
  changes = (
    (r'^base_model\.', 'backbone.'),
    (r'^new_fc\.', 'cls_head.fc_cls.'),
    (r'\.nl\.W\.0\.', '.non_local_block.conv_out.conv.'),
    (r'\.nl\.W\.1\.', '.non_local_block.conv_out.bn.'),
    (r'\.nl\.(g|phi)\.0\.', r'.non_local_block.\1.0.conv.'),
    (r'\.nl\.theta\.', '.non_local_block.theta.conv.'),
    (r'\.downsample\.0\.', '.downsample.conv.'),
    (r'\.downsample\.1\.', '.downsample.bn.'),
    (r'\.bn(\d)\.', r'.conv\1.bn.'),
    (r'\.conv(\d)\.((net\.)?weight)$', r'.conv\1.conv.\2'),
  )
  renamed = {}
  for name, value in weights.items():
    for pattern, replacement in changes:
      name = re.sub(pattern, replacement, name)
    renamed[name] = value
  return renamed
