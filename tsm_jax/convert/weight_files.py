"""Reads files of weights without executing any of them, and writes them."""

import functools
import hashlib
import io
import os
import re
import zipfile

import numpy as np

from tsm_jax import errors, files

# What PyTorch says about a pickle that calls something it does not trust.
_NOT_TRUSTED = re.compile(r'GLOBAL ([\w.]+)|(allowlisted|unrecognized) [^\n]*')

SUFFIXES = ('.pth', '.pth.tar', '.pt', '.safetensors')


def read(path):
  """Reads the mapping from name to weight; executes nothing in the file.

  Raises:
    InputError: if there is no such file, or it holds something else.
    ImportError: if the library for such files is not installed.
  """
  if not os.path.exists(path):
    raise errors.InputError(f'There is no file {path}.')
  if os.path.isdir(path):
    raise errors.InputError(
      f'{path} is a folder, neither a file of weights nor a checkpoint of ours.'
    )
  if _is_program(path):
    raise errors.InputError(
      f'{path} is a TorchScript archive, a program and not only weights; save '
      f"the model's state_dict instead."
    )
  load = _loader(path)
  try:
    content = load(path)
  except Exception as error:
    if match := _NOT_TRUSTED.search(str(error)):
      raise errors.InputError(
        f'{path} is refused: it holds more than tensors, and rebuilding '
        f'{match[1] or match[0]} would run code from the file.'
      ) from error
    # PyTorch's own message advises loading such a file without protection.
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
  except zipfile.BadZipFile:  # reading it will fail with the reason
    return False


def official_name(path):
  """The name that may state fields which are not in the weights.

  The authors' trainer writes `FOLDER/ckpt.pth.tar`, where the folder has the
  official name.
  """
  folder, name = os.path.split(os.path.abspath(path))
  if re.fullmatch(r'ckpt(\.best)?\.pth\.tar', name):
    return os.path.basename(folder)
  return name


def sha256(path):
  """The SHA-256 of a file's content, in hexadecimal."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def check_new(path):
  """Raises InputError unless a new file of weights can have this path."""
  if not str(path).endswith(SUFFIXES):
    raise errors.InputError(
      f'OUT is {str(path)!r}; a checkpoint of ours becomes a file whose name '
      f'ends with one of {", ".join(SUFFIXES)}.'
    )
  if files.path(path).exists():
    raise errors.InputError(
      f'{str(path)!r} exists already; choose another place.'
    )


def write(path, arrays, bare=False):
  """Writes arrays atomically, in the format of the suffix.

  Args:
    path: of the file.
    arrays: a mapping from name to array.
    bare: whether a PyTorch file holds the mapping itself; otherwise it holds a
      dict with the mapping as `state_dict`.
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
  """The module that reads such a file, imported only when it is needed."""
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
  """The mapping as float32 arrays by name, without counters of batches.

  Raises:
    InputError: if some weights are not float32; it names them all.
  """
  arrays, wrong = {}, []
  for name, value in mapping.items():
    name = str(name)
    if name.endswith('num_batches_tracked'):
      continue
    dtype = str(getattr(value, 'dtype', type(value).__name__))
    if dtype.removeprefix('torch.') == 'float32':
      # NumPy takes no PyTorch parameter that requires a gradient.
      detach = getattr(value, 'detach', lambda value=value: value)
      arrays[name] = np.asarray(detach())
    else:
      wrong.append(f'{name} ({dtype})')
  if wrong:
    raise errors.InputError(
      f'Weights must be float32; convert these first: {", ".join(wrong)}.'
    )
  return arrays
