"""What a file of PyTorch holds, found out without executing any of it.

A pickle is a program. Here it runs with stand-ins for whatever it calls, which
take everything and do nothing: what remains are its dicts, names and sizes.
"""

import functools
import math
import os
import pickle
import zipfile

from tsm_jax import errors

# A file of weights is about as large as they are.
_MOST_TIMES, _MOST_MORE = 8, 2**20
_TORCH = 0x1950A86A20F9469CFC6C  # begins files of PyTorch before 1.6
_ITEM_BYTES = {
  **dict.fromkeys(('Double', 'Long', 'ComplexFloat'), 8),
  **dict.fromkeys(('Float', 'Int'), 4),
  **dict.fromkeys(('Half', 'BFloat16', 'Short'), 2),
  'ComplexDouble': 16,
}


class StandIn(dict):
  """Stands for an object that the pickle would make.

  It is a dict, because most are: the `OrderedDict` of a network's weights.

  Attributes:
    origin: dotted name of what was called.
    state: its attributes as the pickle sets them.
  """

  origin = ''
  state = None
  __hash__ = object.__hash__
  __eq__ = object.__eq__

  def __new__(cls, *args):
    made = super().__new__(cls)
    cls.calls.append((cls.origin, args))
    return made

  def __init__(self, *args):
    super().__init__()

  def __setstate__(self, state):
    self.state = state

  def append(self, item):
    """Of a list or queue."""

  def extend(self, items):
    """Of a list or queue."""

  add = append

  def is_module(self):
    """Whether it is a `torch.nn.Module`, a whole network with its code."""
    return isinstance(self.state, dict) and '_modules' in self.state


class _Reader(pickle._Unpickler):  # the one in C takes memory as it is told to
  def __init__(self, file):
    super().__init__(file, encoding='utf-8', errors='surrogateescape')
    self.storages = {}  # bytes of every storage that tensors are views of
    self.calls = []

  def find_class(self, module, name):
    origin = f'{module}.{name}'
    fields = {'origin': origin, 'calls': self.calls}
    return type('Named', (StandIn,), fields)

  def get_extension(self, code):
    raise pickle.UnpicklingError(f'extension {code}')

  def persistent_load(self, pid):
    if pid[0] == 'module':  # a class, with its source code
      return pid[1]
    kind, storage, key, _, count = pid[:5]
    if kind != 'storage' or not isinstance(count, int):
      raise pickle.UnpicklingError(f'{kind} is no storage')
    name = storage.origin.rpartition('.')[2].removesuffix('Storage')
    self.storages[str(key)] = count * _ITEM_BYTES.get(name, 1)
    return StandIn.__new__(storage)


class NotOfTorchError(ValueError):
  """A pickle, but not one of `torch.save`."""


def inspect(path):
  """The content of a file of `torch.save`, with stand-ins for all objects.

  Raises:
    InputError: if the file claims to hold far more than its size allows, which
      would fill the memory.
    NotOfTorchError: if it is a pickle of something else.
    ValueError: if it is damaged, or no such file.
  """
  try:
    if zipfile.is_zipfile(path):
      return _inspect_zip(path)
    with open(path, 'rb') as file:
      return _inspect_stream(path, file)
  except (errors.InputError, NotOfTorchError):
    raise
  except Exception as error:  # a damaged pickle may raise anything
    raise ValueError(str(error)) from error


def _inspect_zip(path):
  with zipfile.ZipFile(path) as archive:
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    _check_size(path, sum(sizes.values()))
    (name,) = (n for n in sizes if n.endswith('/data.pkl'))
    with archive.open(name) as file:
      reader, content = _load(file)
  folder = name.removesuffix('data.pkl')
  for key, count in reader.storages.items():
    if count > sizes[f'{folder}data/{key}']:  # PyTorch would read beyond it
      raise ValueError(f'storage {key} is cut off')
  _check_size(path, _claimed(reader))
  return content


def _inspect_stream(path, file):
  _, first = _load(file)
  if first != _TORCH:
    raise NotOfTorchError('it is no file of torch.save')
  for _ in range(2):  # versions of the format and of the system
    _load(file)
  reader, content = _load(file)
  _check_size(path, max(sum(reader.storages.values()), _claimed(reader)))
  return content


def _load(file):
  reader = _Reader(file)
  return reader, reader.load()


def _claimed(reader):
  """The bytes of all tensors, and of whatever else is as large as told."""
  count = 0
  for origin, args in reader.calls:
    if origin.startswith('torch._utils._rebuild_tensor'):
      count += 4 * math.prod(args[2])
    elif origin.endswith(('Tensor', 'Storage', 'bytearray')):
      count += (
        4 * math.prod(a for a in args if isinstance(a, int)) if args else 0
      )
  return count


def _check_size(path, count):
  size = os.path.getsize(path)
  if count > _MOST_TIMES * size + _MOST_MORE:
    raise errors.InputError(
      f'{errors.printable(path)} is refused: it has {size:,} bytes, but claims '
      f'to hold {count:,}, which no file of weights does.'
    )


def first_in(content, keys):
  """What lies at a path of keys."""
  return functools.reduce(lambda found, key: found[key], keys, content)
