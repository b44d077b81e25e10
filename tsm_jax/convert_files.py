"""Files of weights, read without executing any of them."""

import os
import re

import numpy as np


def read(path):
  """The mapping from name to weight in a file; executes nothing of it."""
  if str(path).endswith('.safetensors'):
    import safetensors.numpy

    load = safetensors.numpy.load_file
  else:
    import torch

    def load(path):
      return torch.load(path, map_location='cpu', weights_only=True)

  if not os.path.exists(path):
    raise ValueError(f'There is no file {path}.')
  try:
    content = load(path)
  except Exception as error:
    reason = str(error).split('\n')[0]
    if 'Unsupported' in str(error):
      raise ValueError(
        f'{path} is refused: it holds more than tensors, which only code in it '
        f'could rebuild, and that is never run ({_unsupported(error)}).'
      ) from error
    raise ValueError(
      f'{path} cannot be read, it may be truncated or no checkpoint: {reason}'
    ) from error
  if isinstance(content, dict) and isinstance(content.get('state_dict'), dict):
    content = content['state_dict']
  if not isinstance(content, dict):
    raise ValueError(f'{path} holds a {type(content).__name__}, not weights.')
  return content


def _unsupported(error):
  match = re.search(r'Unsupported[^\n]*', str(error))
  return match[0].strip()[:120]


def float32_arrays(mapping):
  """Float32 arrays by name; counters of batches are left out."""
  arrays, wrong = {}, []
  for name, value in mapping.items():
    if name.endswith('num_batches_tracked'):
      continue
    dtype = str(getattr(value, 'dtype', type(value).__name__))
    if dtype.removeprefix('torch.') == 'float32':
      arrays[name] = np.asarray(value)
    else:
      wrong.append(f'{name} ({dtype})')
  if wrong:
    raise ValueError(
      f'Weights must be float32; convert these first: {", ".join(wrong)}.'
    )
  return arrays
