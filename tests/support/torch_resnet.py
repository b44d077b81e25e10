"""The networks of the authors in PyTorch's functions, to compare with.

Written from the paper and the names of the checkpoints alone, and driven by
these names: a layer whose weight has `.net.` in its name is shifted, a block
with `.nl.` is followed by attention.
"""

import re

import torch
from torch.nn import functional as F


def logits(weights, frames, fold_div=8):
  """Clip logits of a ResNet.

  Args:
    weights: arrays by official name without `module.`.
    frames: `[B, T, H, W, C]` array.
    fold_div: of the shift.
  """
  w = {k: torch.tensor(v) for k, v in weights.items()}
  return forward(w, frames, fold_div).numpy()


def forward(tensors, frames, fold_div=8, train=False):
  """As `logits`, of tensors, by the batch's statistics with `train`.

  `train` may be a function that tells that for a norm by its name.
  """
  w = {k.removeprefix('base_model.'): v for k, v in tensors.items()}
  w['train'] = train if callable(train) else lambda name: train
  batch_size, num_frames = frames.shape[:2]
  x = torch.tensor(frames).permute(0, 1, 4, 2, 3).flatten(0, 1)
  if 'conv1.0.weight' in w:  # ResNet-D, as timm numbers its layers
    for index, stride in ((0, 2), (3, 1)):
      x = F.conv2d(x, w[f'conv1.{index}.weight'], stride=stride, padding=1)
      x = F.relu(norm(x, w, f'conv1.{index + 1}'))
    x = F.conv2d(x, w['conv1.6.weight'], padding=1)
  else:
    x = F.conv2d(x, w['conv1.weight'], stride=2, padding=3)
  x = F.max_pool2d(F.relu(norm(x, w, 'bn1')), 3, 2, 1)
  for stage in (1, 2, 3, 4):
    start = f'layer{stage}.'
    if any(k.startswith('layer2.net.') for k in w) and stage == 2:
      start = 'layer2.net.'
      x = unfold(x, num_frames).transpose(1, 2)
      x = F.max_pool3d(x, (3, 1, 1), (2, 1, 1), (1, 0, 0)).transpose(1, 2)
      x, num_frames = x.flatten(0, 1), x.shape[1]
    pattern = re.escape(start) + r'(\d+)\.'
    indices = {int(m[1]) for k in w if (m := re.match(pattern, k))}
    for index in sorted(indices):
      x = block(
        x, w, f'{start}{index}.', stage > 1 and index == 0, num_frames, fold_div
      )
  x = x.mean((2, 3))
  head = 'new_fc' if 'new_fc.weight' in w else 'fc'
  x = F.linear(x, w[f'{head}.weight'], w[f'{head}.bias'])
  return x.reshape(batch_size, num_frames, -1).mean(1)


def block(x, w, start, strided, num_frames, fold_div):
  attends = f'{start}nl.g.0.weight' in w
  inner = f'{start}block.' if attends else start
  if any(k.startswith(f'{inner}net.') for k in w):
    inner = f'{inner}net.'
    x = shift(x, num_frames, fold_div)
  y, first = x, f'{inner}conv1.weight'
  if f'{inner}conv1.net.weight' in w:
    y, first = shift(x, num_frames, fold_div), f'{inner}conv1.net.weight'
  stride = 2 if strided else 1
  bottleneck = f'{inner}conv3.weight' in w
  names = [first, f'{inner}conv2.weight', f'{inner}conv3.weight']
  for i, name in enumerate(names[: 3 if bottleneck else 2]):
    kernel = w[name]
    y = F.conv2d(
      F.relu(y) if i else y,
      kernel,
      stride=stride if i == (1 if bottleneck else 0) else 1,
      padding=kernel.shape[2] // 2,
      groups=y.shape[1] // kernel.shape[1],
    )
    y = norm(y, w, f'{inner}bn{i + 1}')
  if f'{inner}downsample.2.weight' in w:  # behind a mean
    if stride == 2:
      x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
    x = F.conv2d(x, w[f'{inner}downsample.1.weight'])
    x = norm(x, w, f'{inner}downsample.2')
  elif f'{inner}downsample.0.weight' in w:
    x = F.conv2d(x, w[f'{inner}downsample.0.weight'], stride=stride)
    x = norm(x, w, f'{inner}downsample.1')
  x = F.relu(x + y)
  return non_local(x, w, f'{start}nl.', num_frames) if attends else x


def non_local(x, w, start, num_frames):
  clips = unfold(x, num_frames).transpose(1, 2)  # [B, C, T, H, W]

  def conv(x, name):
    return F.conv3d(x, w[f'{start}{name}.weight'], w[f'{start}{name}.bias'])

  def pooled(x):
    return F.max_pool3d(x, (1, 2, 2)).flatten(2)

  scale = w.get('attention_scale', 1)
  scores = (
    scale * conv(clips, 'theta').flatten(2).mT @ pooled(conv(clips, 'phi.0'))
  )
  y = (scores.softmax(-1) @ pooled(conv(clips, 'g.0')).mT).mT
  y = y.reshape(y.shape[0], -1, *clips.shape[2:])
  clips = clips + norm(conv(y, 'W.0'), w, f'{start}W.1')
  return clips.transpose(1, 2).flatten(0, 1)


def shift(x, num_frames, fold_div):
  clips = unfold(x, num_frames)
  fold = clips.shape[2] // fold_div
  y = clips.clone()
  y[:, :, : 2 * fold] = 0
  y[:, :-1, :fold] = clips[:, 1:, :fold]
  y[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
  return y.flatten(0, 1)


def unfold(x, num_frames):
  return x.reshape(-1, num_frames, *x.shape[1:])


def norm(x, w, name):
  return F.batch_norm(
    x,
    w[f'{name}.running_mean'],
    w[f'{name}.running_var'],
    w[f'{name}.weight'],
    w[f'{name}.bias'],
    training=w['train'](name),
  )
