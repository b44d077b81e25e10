"""Clips in PyTorch, in the official form: zeros and slice assignment.

The shift is that of the paper's code in its own words: a tensor of zeros, to
which the moved and the other channels are assigned. The networks are those of
`torch_networks`, with the same weights, batch, BatchNorm and optimiser as ours.
"""

import contextlib

import torch
from torch import nn
from torch.nn import functional as F

from tsm_jax import errors
from tsm_jax.bench import random_weights
from tsm_jax.bench.clips import programs
from tsm_jax.bench.rivals import torch_networks
from tsm_jax.models import shift as shifts
from tsm_jax.program import optim

# What these do not do; everything else is either done, or changes no speed.
ONLY = {
  'optimizer.kind': ('sgd',),
  'accumulation': (1,),
  'ema_decay': (0,),
  'mixup_alpha': (0,),
  'cutmix_alpha': (0,),
  'erase_probability': (0,),
  'data.multi_label': (False,),
  'data.channel_order': ('rgb',),
  'model.consensus': ('mean',),
  'model.bn_stats': ('global', 'local'),
  'model.remat': ('none',),
}


class Clips(nn.Module):
  """From clips, uint8 `[B, T, S, S, 3]`, to logits `[B, K]`.

  Args:
    network: from `torch_networks.create`.
    config: its whole configuration.
    memory_format: of the features.
  """

  def __init__(self, network, config, memory_format=torch.contiguous_format):
    super().__init__()
    data, self.fields = config.data, dict(config.model)
    self.network, self.memory_format = network, memory_format
    self.divisor = data.divisor
    for name in ('mean', 'std'):
      values = torch.tensor(tuple(data[name]), dtype=torch.float32)
      self.register_buffer(name, values.reshape(-1, 1, 1))

  def forward(self, frames):
    x = frames.flatten(0, 1).permute(0, 3, 1, 2).float() / self.divisor
    x = ((x - self.mean) / self.std).contiguous(
      memory_format=self.memory_format
    )
    logits = self.network(x, self.shift)  # [B * T, K]
    return logits.float().unflatten(0, (len(frames), -1)).mean(1)

  def shift(self, x):
    """Of `[B * T, C, H, W]`, from the next and the previous frames."""
    fold = shifts.fold_channels(x.shape[1], self.fields['fold_div'])
    clips = x.unflatten(0, (-1, self.fields['num_frames']))
    y, first = torch.zeros_like(clips), 0
    if self.fields['direction'] == 'both':
      y[:, :-1, :fold] = clips[:, 1:, :fold]
      first = fold
    last = first + fold
    y[:, 1:, first:last] = clips[:, :-1, first:last]
    y[:, :, last:] = clips[:, :, last:]
    return y.flatten(0, 1)


def check(config, mode, platform):
  """Raises InputError if this would not be the work that JAX does.

  Args:
    config: a whole configuration.
    mode: one of `contests.MODES`.
    platform: on which JAX runs.
  """
  if platform not in ('cpu', 'gpu'):
    raise errors.InputError(
      f'JAX runs on {platform!r} here, where PyTorch as it is installed does '
      "not; choose from ('cpu', 'gpu')."
    )
  if platform == 'gpu' and not torch.cuda.is_available():
    raise errors.InputError(
      f'JAX runs on a GPU here, but PyTorch {torch.__version__} finds none.'
    )
  if platform == 'cpu' and config.model.dtype != 'float32':
    raise errors.InputError(
      f'model.dtype is {config.model.dtype!r}, which is autocast in PyTorch; '
      'it is measured on a GPU only.'
    )
  for field, choices in ONLY.items() if mode == 'training' else ():
    section, _, name = field.rpartition('.')
    value = (config[section] if section else config)[name]
    if value not in choices:
      raise errors.InputError(
        f'{field} is {value!r}; PyTorch here does {choices} only.'
      )


def runner(config, mode, platform, channels_last=False, compiled=False):
  """A network with its work, ready to run; as `programs.runner`.

  Args:
    config: a whole configuration, with `model.num_classes`.
    mode: one of `contests.MODES`.
    platform: 'cpu' or 'gpu'; on a GPU, `model.dtype='bfloat16'` is autocast.
    channels_last: the layout of features and kernels.
    compiled: whether by `torch.compile`.

  Returns:
    A function that does the work once, waits, and returns the logits `[B, K]`
    or the loss, a tensor.

  Raises:
    InputError: if the network, or the work, has no equal here.
  """
  check(config, mode, platform)
  torch.set_float32_matmul_precision('high')  # JAX takes TF32 as well
  device = torch.device('cuda' if platform == 'gpu' else 'cpu')
  format = torch.channels_last if channels_last else torch.contiguous_format
  variables = random_weights.trained(config).variables
  network = torch_networks.create(config.model, variables)
  module = Clips(network, config, format).to(device, memory_format=format)
  batch = programs.random_clips(config)
  frames, label = (
    torch.from_numpy(batch[name]).to(device) for name in ('frames', 'label')
  )
  call = torch.compile(module) if compiled else module
  casts = contextlib.nullcontext
  if config.model.dtype == 'bfloat16':
    casts = _autocast
  if mode == 'inference':
    return _waiting(device, lambda: _infer(call, frames, casts))
  optimizer = create_optimizer(module.train(), config)
  return _waiting(
    device, lambda: _train(call, (frames, label.long()), optimizer, casts)
  )


def create_optimizer(module, config):
  """A function that moves the parameters, as `optim.create_optimizer` does."""
  groups = {}
  for owner in module.modules():
    for name, value in owner.named_parameters(recurse=False):
      kind = 'bias' if name == 'bias' else 'weight'
      if isinstance(owner, nn.BatchNorm2d):
        kind = 'norm'
      elif isinstance(owner, nn.Linear):
        kind = f'head_{kind}'
      groups.setdefault(kind, []).append(value)
  how, rate = config.optimizer, config.learning_rate
  sgd = torch.optim.SGD(
    [
      {
        'params': values,
        'lr': rate
        * optim.GROUPS[kind][0]
        * (how.head_scale if kind.startswith('head') else 1),
        'weight_decay': how.weight_decay * optim.GROUPS[kind][1],
      }
      for kind, values in groups.items()
    ],
    momentum=how.momentum,
  )
  sgd.clip_norm, sgd.smoothing = how.clip_norm, config.label_smoothing
  return sgd


def _autocast():
  return torch.autocast('cuda', torch.bfloat16)


def _infer(module, frames, casts):
  with torch.no_grad(), casts():
    return module(frames)


def _train(module, batch, optimizer, casts):
  """One step; the loss in front of it."""
  frames, label = batch
  optimizer.zero_grad()
  with casts():
    logits = module(frames)
  loss = F.cross_entropy(logits, label, label_smoothing=optimizer.smoothing)
  loss.backward()
  if optimizer.clip_norm:
    values = [p for group in optimizer.param_groups for p in group['params']]
    nn.utils.clip_grad_norm_(values, optimizer.clip_norm)
  optimizer.step()
  return loss.detach()


def _waiting(device, work):
  """A function that waits for the device as well."""

  def run():
    found = work()
    if device.type == 'cuda':
      torch.cuda.synchronize()
    return found

  return run
