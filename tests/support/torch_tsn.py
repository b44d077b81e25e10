"""The networks of the authors as modules of PyTorch, to load weights strictly.

Written from the paper and the names of the checkpoints alone: the names of the
modules are those of the files.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from support import torch_resnet


class Shift(nn.Module):
  """`net` behind the shift of two eighths of the channels (`fold_div` 8)."""

  def __init__(self, net, num_frames, fold_div):
    super().__init__()
    self.net, self.num_frames, self.fold_div = net, num_frames, fold_div

  def forward(self, x):
    return self.net(torch_resnet.shift(x, self.num_frames, self.fold_div))


class Pool(nn.Module):
  """`net` behind the pooling of time."""

  def __init__(self, net, num_frames):
    super().__init__()
    self.net, self.num_frames = net, num_frames

  def forward(self, x):
    x = torch_resnet.unfold(x, self.num_frames).transpose(1, 2)
    x = F.max_pool3d(x, (3, 1, 1), (2, 1, 1), (1, 0, 0)).transpose(1, 2)
    return self.net(x.flatten(0, 1))


class Attention(nn.Module):
  """The embedded Gaussian over clips `[B, C, T, H, W]`."""

  def __init__(self, channels):
    super().__init__()
    inner = channels // 2
    self.theta = nn.Conv3d(channels, inner, 1)
    for name in ('g', 'phi'):
      conv, pool = nn.Conv3d(channels, inner, 1), nn.MaxPool3d((1, 2, 2))
      self.add_module(name, nn.Sequential(conv, pool))
    self.W = nn.Sequential(
      nn.Conv3d(inner, channels, 1), nn.BatchNorm3d(channels)
    )

  def forward(self, x):
    queries, keys, values = (
      f(x).flatten(2) for f in (self.theta, self.phi, self.g)
    )
    weights = torch.einsum('bcq,bck->bqk', queries, keys).softmax(-1)
    y = torch.einsum('bqk,bck->bcq', weights, values)
    return x + self.W(y.unflatten(2, x.shape[2:]))


class Attending(nn.Module):
  """`block`, followed by attention."""

  def __init__(self, block, channels, num_frames):
    super().__init__()
    self.block, self.nl = block, Attention(channels)
    self.num_frames = num_frames

  def forward(self, x):
    clips = torch_resnet.unfold(self.block(x), self.num_frames)
    return self.nl(clips.transpose(1, 2)).transpose(1, 2).flatten(0, 1)


class Block(nn.Module):
  """A residual block of torchvision's, basic or bottleneck."""

  def __init__(self, channels, inner, out, stride, groups, bottleneck):
    super().__init__()
    layers = [(channels, inner, 3, stride, 1), (inner, out, 3, 1, 1)]
    if bottleneck:
      layers = [
        (channels, inner, 1, 1, 1),
        (inner, inner, 3, stride, groups),
        (inner, out, 1, 1, 1),
      ]
    self.count = len(layers)
    for i, layer in enumerate(layers, start=1):
      self.add_module(f'conv{i}', conv(*layer))
      self.add_module(f'bn{i}', nn.BatchNorm2d(layer[1]))
    self.downsample = None
    if stride > 1 or channels != out:
      self.downsample = nn.Sequential(
        conv(channels, out, 1, stride), nn.BatchNorm2d(out)
      )

  def forward(self, x):
    y = x
    for i in range(1, self.count + 1):
      y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))
      y = F.relu(y) if i < self.count else y
    return F.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
  """Features of frames; `groups` and `base` are ResNeXt's and wide ResNet's."""

  def __init__(self, sizes, bottleneck, width, groups=1, base=64):
    super().__init__()
    self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
    channels, self.channels = width, {}
    for stage, size in enumerate(sizes, start=1):
      planes = width * 2 ** (stage - 1)
      inner, out = planes, planes
      if bottleneck:
        inner, out = int(planes * base / 64) * groups, 4 * planes
      blocks = []
      for index in range(size):
        stride = 2 if stage > 1 and index == 0 else 1
        blocks.append(Block(channels, inner, out, stride, groups, bottleneck))
        channels = self.channels[stage] = out
      self.add_module(f'layer{stage}', nn.Sequential(*blocks))

  def forward(self, x):
    x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
    for stage in (1, 2, 3, 4):
      x = getattr(self, f'layer{stage}')(x)
    return x.mean((2, 3))


class Inverted(nn.Module):
  """A block of MobileNetV2; `conv` is one flat list as the authors have it."""

  def __init__(self, channels, out, stride, expansion):
    super().__init__()
    hidden = channels * expansion
    layers = [conv(hidden, hidden, 3, stride, hidden), nn.BatchNorm2d(hidden)]
    layers += [nn.ReLU6(), conv(hidden, out, 1), nn.BatchNorm2d(out)]
    if expansion != 1:
      norm = nn.BatchNorm2d(hidden)
      layers = [conv(channels, hidden, 1), norm, nn.ReLU6(), *layers]
    self.conv = nn.Sequential(*layers)
    self.adds = stride == 1 and channels == out

  def forward(self, x):
    return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
  """Features of frames, of `inputs` channels."""

  def __init__(self, multiplier, inputs):
    super().__init__()
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2))
    table += ((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    stem = nn.Sequential(conv(inputs, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU6())
    features, channels = [stem], 32
    for expansion, wide, count, stride in table:
      for index in range(count):
        out = math.ceil(wide * multiplier / 8) * 8
        features.append(
          Inverted(channels, out, 1 if index else stride, expansion)
        )
        channels = out
    self.channels = math.ceil(1280 * max(1, multiplier) / 8) * 8
    last = nn.Sequential(
      conv(channels, self.channels, 1),
      nn.BatchNorm2d(self.channels),
      nn.ReLU6(),
    )
    self.features = nn.Sequential(*features, last)

  def forward(self, x):
    return self.features(x).mean((2, 3))


class TSN(nn.Module):
  """Clip logits of frames `[B, T, H, W, C]`, over a network of features."""

  def __init__(self, base_model, features, num_classes=5):
    super().__init__()
    self.base_model = base_model
    self.new_fc = nn.Linear(features, num_classes)

  def forward(self, frames):
    x = frames.permute(0, 1, 4, 2, 3)
    logits = self.new_fc(self.base_model(x.flatten(0, 1)))
    return logits.unflatten(0, (len(frames), -1)).mean(1)


def conv(channels, out, size, stride=1, groups=1):
  return nn.Conv2d(
    channels, out, size, stride, size // 2, groups=groups, bias=False
  )


def of_resnet(
  sizes, bottleneck, num_frames, width=8, groups=1, base=64, **inserted
):
  """A `TSN` over a ResNet with shift, attention and pooling; see `_insert`."""
  net = ResNet(sizes, bottleneck, width, groups, base)
  features = net.channels[4]
  _insert(net, num_frames, **inserted)
  return nn.DataParallel(TSN(net, features)).eval()


def _insert(net, num_frames, place='blockres', every=1, attend=(), pool=False):
  """Shifts every `every`-th block, attends behind blocks (stage, index)."""
  for stage in (1, 2, 3, 4):
    frames = num_frames // 2 if pool and stage > 1 else num_frames
    blocks = getattr(net, f'layer{stage}')
    for index, block in enumerate(blocks):
      if place == 'block':
        blocks[index] = Shift(block, frames, 8)
      elif place == 'blockres' and index % every == 0:
        block.conv1 = Shift(block.conv1, frames, 8)
      if (stage, index) in attend:
        channels = net.channels[stage]
        blocks[index] = Attending(blocks[index], channels, frames)
  if pool:
    net.layer2 = Pool(net.layer2, num_frames)


def of_mobilenet(num_frames, fold_div=8, shift=True, multiplier=1.0, inputs=3):
  """A `TSN` over a MobileNetV2."""
  net = MobileNetV2(multiplier, inputs)
  for block in net.features[1:-1]:
    if shift and block.adds:
      block.conv[0] = Shift(block.conv[0], num_frames, fold_div)
  return nn.DataParallel(TSN(net, net.channels)).eval()
