"""The networks in PyTorch, and the step of a stream, to compare with.

Written from the paper and the names of the authors' files. A network takes the
frames and a function that shifts features, so that it is one for streams and
for clips. As in the authors' online demo, a step takes the current frame and
the caches, and gives the logits and the next caches: the first eighth of the
channels in front of every shift.
"""

import functools
import re

import torch
from torch import nn
from torch.nn import functional as F

from tsm_jax import convert, errors, models
from tsm_jax.models import mobilenet_v2, resnet

# These fields of a model can only have their default here.
MISSING = ('stem', 'downsample', 'groups', 'width_per_group', 'non_local')
MISSING += ('temporal_pool', 'modality', 'partial_bn')


class Step(nn.Module):
  """From a frame as it is stored, and caches, to probabilities and caches.

  Args:
    network: `ResNet` or `MobileNetV2`.
    image_size: side of the centre that the network sees, in pixels.
    mean: of the channels, after a division by 255.
    std: of the channels.
  """

  def __init__(self, network, image_size, mean, std):
    super().__init__()
    self.network, self.image_size = network, image_size
    self.register_buffer('mean', torch.tensor(mean).reshape(-1, 1, 1))
    self.register_buffer('std', torch.tensor(std).reshape(-1, 1, 1))

  def forward(self, frame, caches):
    """uint8 `[H, W, 3]` to `[1, K]`; caches are lists of `[1, C, h, w]`."""
    top, left = ((side - self.image_size) // 2 for side in frame.shape[:2])
    frame = frame[top:, left:][: self.image_size, : self.image_size]
    x = frame.permute(2, 0, 1).float() / 255
    caches, new = iter(caches), []

    def shift(x):
      x, cache = shift_step(x, next(caches))
      new.append(cache)
      return x

    logits = self.network(((x - self.mean) / self.std)[None], shift)
    return logits.softmax(1), new


class ResNet(nn.Module):
  """From frames `[N, 3, H, W]` and a function that shifts, to logits."""

  def __init__(self, sizes, bottleneck, width, num_classes, is_shifted):
    super().__init__()
    self.conv1, self.bn1 = _conv(3, width, 7, 2), nn.BatchNorm2d(width)
    channels = width
    self.stages = len(sizes)
    for stage, size in enumerate(sizes, start=1):
      inner = width * 2 ** (stage - 1)
      blocks = nn.ModuleList()
      for index in range(size):
        stride = 2 if stage > 1 and index == 0 else 1
        block = ResidualBlock(channels, inner, stride, bottleneck)
        block.shifted = is_shifted(index)
        blocks.append(block)
        channels = blocks[-1].channels
      self.add_module(f'layer{stage}', blocks)
    self.dropout = nn.Dropout()
    self.fc = nn.Linear(channels, num_classes)

  def forward(self, x, shift):
    x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
    for stage in range(self.stages):
      for block in getattr(self, f'layer{stage + 1}'):
        x = block(x, shift)
    return self.fc(self.dropout(x.mean((2, 3))))


class ResidualBlock(nn.Module):
  """A basic block or a bottleneck; `shifted` says whether its branch is."""

  def __init__(self, channels, inner, stride, bottleneck):
    super().__init__()
    self.shifted = True
    self.channels = 4 * inner if bottleneck else inner
    layers = [(channels, inner, 3, stride), (inner, inner, 3)]
    if bottleneck:
      layers = [(channels, inner, 1), (inner, inner, 3, stride)]
      layers.append((inner, self.channels, 1))
    self.count = len(layers)
    for number, layer in enumerate(layers, start=1):
      self.add_module(f'conv{number}', _conv(*layer))
      self.add_module(f'bn{number}', nn.BatchNorm2d(layer[1]))
    self.downsample = None
    if stride > 1 or channels != self.channels:
      self.downsample = nn.Sequential(
        _conv(channels, self.channels, 1, stride),
        nn.BatchNorm2d(self.channels),
      )

  def forward(self, x, shift):
    y = shift(x) if self.shifted else x
    for number in range(1, self.count + 1):
      conv, norm = (getattr(self, f'{name}{number}') for name in ('conv', 'bn'))
      y = norm(conv(y))
      if number < self.count:
        y = F.relu(y)
    return F.relu(y + (self.downsample(x) if self.downsample else x))


class MobileNetV2(nn.Module):
  """As `ResNet`; blocks with an identity are shifted."""

  def __init__(self, multiplier, num_classes, shifted):
    super().__init__()
    self.shifted = shifted
    features, channels = [nn.Sequential(*_layer(3, 32, 3, 2))], 32
    for expansion, width, count, stride in mobilenet_v2.STAGES:
      for index in range(count):
        out = mobilenet_v2.round_up(width * multiplier)
        block = channels, out, 1 if index else stride, expansion
        features.append(InvertedResidual(*block))
        channels = out
    last = mobilenet_v2.round_up(1280 * max(1, multiplier))
    features.append(nn.Sequential(*_layer(channels, last, 1)))
    self.features = nn.ModuleList(features)
    self.dropout = nn.Dropout()
    self.fc = nn.Linear(last, num_classes)

  def forward(self, x, shift):
    for block in self.features:
      if getattr(block, 'adds', False):
        x = x + block.conv(shift(x) if self.shifted else x)
      else:
        x = block(x)
    return self.fc(self.dropout(x.mean((2, 3))))


class InvertedResidual(nn.Module):
  """Expansion, depthwise 3x3 and projection, a flat list as the authors' is."""

  def __init__(self, channels, out, stride, expansion):
    super().__init__()
    hidden = channels * expansion
    layers = _layer(channels, hidden, 1) if expansion > 1 else []
    layers += _layer(hidden, hidden, 3, stride, hidden)
    layers += _layer(hidden, out, 1)[:-1]
    self.conv = nn.Sequential(*layers)
    self.adds = stride == 1 and channels == out

  def forward(self, x):
    return self.conv(x)


def shift_step(x, cache):
  """The first channels of the frame before, and those of this as a cache."""
  fold = cache.shape[1]
  return torch.cat((cache, x[:, fold:]), 1), x[:, :fold]


def check(config):
  """Raises InputError if no network here is that of a configuration.

  Args:
    config: all fields of the model.
  """
  if config.name not in ('resnet', 'mobilenet_v2'):
    raise errors.InputError(
      f'model.name is {config.name!r}, of which there is no network in PyTorch '
      "here; choose from ('resnet', 'mobilenet_v2')."
    )
  if config.shift not in ('blockres', 'none'):
    raise errors.InputError(
      f'model.shift is {config.shift!r}; the network in PyTorch here takes '
      "('blockres', 'none')."
    )
  for field in MISSING:
    if config[field] != models.DEFAULTS[field]:
      raise errors.InputError(
        f'model.{field} is {config[field]!r}; the network in PyTorch here '
        f'takes {models.DEFAULTS[field]!r} only.'
      )


def create(config, variables):
  """The network of a configuration of ours with its weights.

  Args:
    config: all fields of the model.
    variables: 'params' and 'batch_stats'.

  Returns:
    `ResNet` or `MobileNetV2`, in evaluation.

  Raises:
    InputError: if there is no such network here.
  """
  check(config)
  if config.name == 'mobilenet_v2':
    shifted = config.shift != 'none'
    network = MobileNetV2(config.width_multiplier, config.num_classes, shifted)
  else:
    bottleneck, sizes = resnet.DEPTHS[config.depth]
    sizes = tuple(config.stage_sizes) or sizes
    which = functools.partial(
      resnet.is_shifted, config.shift, config.shift_every, sizes
    )
    size = bottleneck, config.width, config.num_classes
    network = ResNet(sizes, *size, which)
  state = convert.to_torch(config, variables, log=lambda _: None)
  network.load_state_dict(
    {
      _name(name): torch.from_numpy(value.copy())
      for name, value in state.items()
    }
  )
  network.dropout.p = config.dropout
  return network.eval()


def _name(official):
  """Of a weight here; the authors' head has three names."""
  name = official.removeprefix('module.').removeprefix('base_model.')
  return re.sub('^(new_fc|classifier)', 'fc', name.replace('.net.', '.'))


def _conv(channels, out, kernel, stride=1, groups=1):
  return nn.Conv2d(
    channels, out, kernel, stride, kernel // 2, groups=groups, bias=False
  )


def _layer(channels, *args):
  return [_conv(channels, *args), nn.BatchNorm2d(args[0]), nn.ReLU6()]
