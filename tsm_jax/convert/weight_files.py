"""Files of weights, written, and read without executing any of them."""

import functools
import hashlib
import io
import os
import re
import zipfile

import numpy as np

from tsm_jax import errors, files

# What PyTorch says of a pickle that would call something it does not trust.
_NOT_TRUSTED = re.compile(r'GLOBAL ([\w.]+)|(allowlisted|unrecognized) [^\n]*')

SUFFIXES = ('.pth', '.pth.tar', '.pt', '.safetensors')


def read(path):
  """The mapping from name to weight in a file; executes nothing of it."""
  if not os.path.exists(path):
    raise errors.InputError(f'There is no file {path}.')
  if os.path.isdir(path):
    raise errors.InputError(
      f'{path} is a folder, neither a file of weights nor a checkpoint of ours.'
    )
  if _is_program(path):
    raise errors.InputError(
      f'{path} is a TorchScript archive, a program and not only weights; save '
      f'the state_dict of the model instead.'
    )
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


def _is_program(path):
  """Whether a file was written by `torch.jit.save`."""
  try:
    with zipfile.ZipFile(path) as archive:
      return any(n.endswith('/constants.pkl') for n in archive.namelist())
  except zipfile.BadZipFile:  # which is found out where it is read
    return False


def name_of(path):
  """The name that may tell what is not in the weights.

  The authors' trainer writes `FOLDER/ckpt.pth.tar`, where the folder has the
  official name.
  """
  folder, name = os.path.split(os.path.abspath(path))
  if re.fullmatch(r'ckpt(\.best)?\.pth\.tar', name):
    return os.path.basename(folder)
  return name


def sha256(path):
  """The hash of a file's content, as text."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def check_new(path):
  """Raises InputError unless a file of weights can be written there."""
  if not str(path).endswith(SUFFIXES):
    raise errors.InputError(
      f'OUT is {str(path)!r}; a checkpoint of ours becomes a file, whose name '
      f'ends with one of {", ".join(SUFFIXES)}.'
    )
  if files.path(path).exists():
    raise errors.InputError(
      f'{str(path)!r} exists already; choose another place.'
    )


def write(path, arrays, bare=False):
  """Writes arrays by name, whole or not at all, as the suffix says.

  Args:
    path: of the file.
    arrays: by name.
    bare: whether a file of PyTorch has them as they are, not as `state_dict`.
  """
  library = _library(path)
  if str(path).endswith('.safetensors'):
    files.write(path, library.save(arrays))
    return
  state = {k: library.from_numpy(v.copy()) for k, v in arrays.items()}
  content = io.BytesIO()
  library.save(state if bare else {'state_dict': state}, content)
  files.write(path, content.getvalue())


def _loader(path):
  """The function that reads such a file."""
  library = _library(path)
  if str(path).endswith('.safetensors'):
    return library.load_file
  return functools.partial(library.load, map_location='cpu', weights_only=True)


def _library(path):
  """The module for such a file; it is wanted only here."""
  try:
    if str(path).endswith('.safetensors'):
      import safetensors.numpy

      return safetensors.numpy
    import torch
  except ImportError as error:
    raise ImportError(
      f"{path} is read by {error.name}: pip install 'tsm_jax[torch]'."
    ) from error
  return torch


def float32_arrays(mapping):
  """Float32 arrays by name; counters of batches are left out."""
  arrays, wrong = {}, []
  for name, value in mapping.items():
    name = str(name)
    if name.endswith('num_batches_tracked'):
      continue
    dtype = str(getattr(value, 'dtype', type(value).__name__))
    if dtype.removeprefix('torch.') == 'float32':
      # A parameter of PyTorch that wants a gradient is no array as it is.
      detach = getattr(value, 'detach', lambda value=value: value)
      arrays[name] = np.asarray(detach())
    else:
      wrong.append(f'{name} ({dtype})')
  if wrong:
    raise errors.InputError(
      f'Weights must be float32; convert these first: {", ".join(wrong)}.'
    )
  return arrays
