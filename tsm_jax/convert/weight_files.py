"""Reads files of weights without executing any of them, and writes them."""

from collections.abc import Mapping
import hashlib
import io
import json
import os
import re
import types
from typing import Any, NamedTuple

from tsm_jax import errors, files
from tsm_jax.convert import file_names
from tsm_jax.convert.reading import file_kinds, pickles, remedy, state_dicts

# What PyTorch says about a pickle that calls something it does not trust.
_NOT_TRUSTED = re.compile(r'GLOBAL ([\w.]+)|(allowlisted|unrecognized) [^\n]*')

SUFFIXES = remedy.SUFFIXES
# Names that the trainers of the authors and of OpenMMLab give their files.
_OF_A_TRAINER = (
  r'(ckpt(\.best)?|(epoch|iter)_\d+|latest|best_.*)\.(pth|pth\.tar)'
)


class Content(NamedTuple):
  """What a file of weights holds.

  Attributes:
    weights: by name, PyTorch's tensors or arrays.
    meta: what else OpenMMLab's trainer writes: `config` or `cfg`, and classes.
    labels: names of the classes, if `write` has written them.
  """

  weights: dict[str, Any]
  meta: Mapping[str, Any] = types.MappingProxyType({})
  labels: list[str] | None = None


def read(path, log):
  """The `Content` of a file; executes nothing in it.

  Args:
    path: of the file.
    log: called with a sentence about further weights that are not read.

  Raises:
    InputError: if there is no such file, or it holds something else; the
      message says what, and how to make a file that can be read.
    ImportError: if the library for such files is not installed.
  """
  shown = errors.printable(path)
  if not os.path.exists(path):
    raise errors.InputError(f'There is no file {shown}.')
  if os.path.isdir(path):
    raise errors.InputError(
      f'{shown} is a folder, neither a file of weights nor a checkpoint of '
      'ours.'
    )
  if not os.path.isfile(path):
    raise errors.InputError(f'{shown} is a pipe or device, not a file.')
  if kind := file_kinds.not_weights(path):
    raise errors.InputError(f'{shown} is {kind}.')
  if program := file_kinds.program(path):
    kind, load, weights = program
    raise errors.InputError(
      f'{shown} is {kind}, a program and not only weights; save the '
      "model's state_dict instead. "
      + remedy.lines(path, f'{load}({str(path)!r})', weights)
    )
  with open(path, 'rb') as file:
    is_safetensors = file_kinds.is_safetensors(file.read(9))
  read_as = _read_safetensors if is_safetensors else _read_pytorch
  return unwrap(read_as(path), shown, log)


def unwrap(content, shown, log):
  """The `Content` of a mapping that may hold the weights inside another one.

  Args:
    content: any object.
    shown: the path of its file, for messages.
    log: called with a sentence about further weights that are not read.
  """
  if not isinstance(content, dict):
    raise errors.InputError(
      f'{shown} holds a {type(content).__name__}, not weights.'
    )
  keys, others = state_dicts.locate(content)
  if keys is None:
    raise errors.InputError(
      f'{shown} holds no weights, but only '
      f'{state_dicts.listed([*map(str, content)]) or "an empty dict"}.'
    )
  if others:
    log(
      f'The weights are those of {".".join(keys) or "the file itself"}; not '
      f'read: {state_dicts.listed(others)}.'
    )
  found = Content(pickles.first_in(content, keys))
  if not keys:
    return found
  meta, labels = content.get('meta'), content.get('labels')
  return found._replace(
    meta=meta if isinstance(meta, dict) else {}, labels=_names_or_none(labels)
  )


def _names_or_none(labels):
  is_list = isinstance(labels, list) and all(isinstance(x, str) for x in labels)
  return labels if is_list and labels else None


def _read_safetensors(path):
  library = _library(path, True)
  try:
    with library.safe_open(path, 'np') as file:
      labels = json.loads((file.metadata() or {}).get('labels', 'null'))
    from safetensors import numpy

    return {'state_dict': numpy.load_file(path), 'labels': labels}
  except Exception as error:
    raise _unreadable(path) from error


def _read_pytorch(path):
  library = _library(path, False)
  try:
    inert = pickles.inspect(path)
  except errors.InputError:
    raise
  except pickles.NotOfTorchError as error:
    raise errors.InputError(
      f'{errors.printable(path)} is a pickle of Python and no file of PyTorch; '
      'reading it would run code from the file. '
      + remedy.lines(
        path,
        f'numpy.load({str(path)!r}, allow_pickle=True)',
        '{k: torch.as_tensor(v) for k, v in content.items()}',
      )
    ) from error
  except ValueError as error:
    raise _unreadable(path) from error
  try:
    with open(path, 'rb') as file:  # by its name, PyTorch would guess the form
      return library.load(file, map_location='cpu', weights_only=True)
  except Exception as error:
    match = _NOT_TRUSTED.search(str(error))
    if not match:
      # PyTorch's own message advises loading such a file without protection.
      raise _unreadable(path) from error
    raise errors.InputError(
      f'{errors.printable(path)} is refused: it holds more than tensors, and '
      f'rebuilding {match[1] or match[0]} would run code from the file. '
      + remedy.lines(
        path,
        f"torch.load({str(path)!r}, map_location='cpu', weights_only=False)",
        remedy.expression(inert),
      )
    ) from error


def _unreadable(path):
  return errors.InputError(
    f'{errors.printable(path)} cannot be read; it is truncated or no '
    'checkpoint.'
  )


def official_name(path):
  """The name that may state fields which are not in the weights.

  Trainers write `FOLDER/ckpt.pth.tar` or `FOLDER/epoch_50.pth`, where the
  folder has the telling name.
  """
  folder, name = os.path.split(os.path.abspath(path))
  folder = os.path.basename(folder)
  if re.fullmatch(_OF_A_TRAINER, name):
    return folder
  return (
    folder if file_names.tells(folder) and not file_names.tells(name) else name
  )


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


def write(path, arrays, labels, bare=False):
  """Writes arrays atomically, in the format of the suffix.

  Args:
    path: of the file.
    arrays: a mapping from name to array.
    labels: names of the classes.
    bare: whether a PyTorch file holds the mapping itself; otherwise it holds a
      dict with the mapping as `state_dict`, and the `labels`.
  """
  if str(path).endswith('.safetensors'):
    _library(path, True)
    from safetensors import numpy

    metadata = {'labels': json.dumps(labels)}
    files.write(path, numpy.save(arrays, metadata))
    return
  library = _library(path, False)
  state = {k: library.from_numpy(v.copy()) for k, v in arrays.items()}
  content = io.BytesIO()
  whole = {'state_dict': state, 'labels': list(labels)}
  library.save(state if bare else whole, content)
  files.write(path, content.getvalue())


def _library(path, is_safetensors):
  """The module that reads such a file, imported only when it is needed."""
  try:
    if is_safetensors:
      import safetensors

      return safetensors
    import torch
  except ImportError as error:
    raise ImportError(
      f'{errors.printable(path)} is read by {error.name}: pip install '
      "'tsm_jax[torch]'."
    ) from error
  return torch
