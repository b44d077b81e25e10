"""Files of weights, read without executing any of them."""

import functools
import hashlib
import os
import re

import numpy as np

from tsm_jax import errors

# What PyTorch says of a pickle that would call something it does not trust.
_NOT_TRUSTED = re.compile(r'GLOBAL ([\w.]+)|(allowlisted|unrecognized) [^\n]*')


def read(path):
  """The mapping from name to weight in a file; executes nothing of it."""
  if not os.path.exists(path):
    raise errors.InputError(f'There is no file {path}.')
  load = _loader(path)
  try:
    content = load(path)
  except Exception as error:
    if match := _NOT_TRUSTED.search(str(error)):
      raise errors.InputError(
        f'{path} is refused: it holds more than tensors, and to rebuild '
        f'{match[1] or match[0]} would run code of the file.'
      ) from error
    # Not PyTorch's own words, which advise to load such a file unprotected.
    raise errors.InputError(
      f'{path} cannot be read; it is truncated or no checkpoint.'
    ) from error
  if isinstance(content, dict) and isinstance(content.get('state_dict'), dict):
    content = content['state_dict']
  if not isinstance(content, dict):
    raise errors.InputError(
      f'{path} holds a {type(content).__name__}, not weights.'
    )
  return content


def sha256(path):
  """The hash of a file's content, as text."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def _loader(path):
  """The function that reads such a file; its library is wanted only here."""
  try:
    if str(path).endswith('.safetensors'):
      import safetensors.numpy

      return safetensors.numpy.load_file
    import torch
  except ImportError as error:
    raise ImportError(
      f"{path} is read by {error.name}: pip install 'tsm_jax[torch]'."
    ) from error
  return functools.partial(torch.load, map_location='cpu', weights_only=True)


def float32_arrays(mapping):
  """Float32 arrays by name; counters of batches are left out."""
  arrays, wrong = {}, []
  for name, value in mapping.items():
    name = str(name)
    if name.endswith('num_batches_tracked'):
      continue
    dtype = str(getattr(value, 'dtype', type(value).__name__))
    if dtype.removeprefix('torch.') == 'float32':
      arrays[name] = np.asarray(value)
    else:
      wrong.append(f'{name} ({dtype})')
  if wrong:
    raise errors.InputError(
      f'Weights must be float32; convert these first: {", ".join(wrong)}.'
    )
  return arrays
