"""Finds the weights in what a file holds, and brings them into float32."""

import re

import numpy as np

from tsm_jax import errors
from tsm_jax.convert import naming

# Where programs put them, the usual place first.
WRAPPERS = (
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'net',
  'network',
  'module',
  'weights',
  'params',
  'state_dict_ema',
  'ema_state_dict',
  'model_ema',
  'ema',
)
_DEPTH = 3  # dicts inside dicts
_MOST_KEYS = 100  # of a dict that holds others
_COUNTERS = ('num_batches_tracked', 'n_averaged')
# Averages of OpenMMLab's hook, whose names have no dots: the weights
# themselves are the averaged ones where it saves.
_BUFFERS = re.compile(r'(module\.)?ema_(backbone|cls_head|neck)_')


def locate(content):
  """The keys that lead to the weights in a nest of dicts.

  Args:
    content: of a file; only its keys are looked at.

  Returns:
    `(path, others)`: a tuple of keys, empty if `content` itself is the mapping
    from name to weight, and the keys of further weights beside them; None
    instead of the path if there are none.
  """
  found = _all(content, _DEPTH)
  if not found:
    return None, []
  path = min(found, key=_rank)
  return path, ['.'.join(other) for other in found if other != path]


def _all(content, depth):
  if not isinstance(content, dict):
    return []
  if any(isinstance(k, str) and k.endswith('.weight') for k in content):
    return [()]
  if not depth or len(content) > _MOST_KEYS:
    return []
  return [
    (key, *rest)
    for key, value in content.items()
    if isinstance(key, str) and not key.startswith(('optim', 'meta'))
    for rest in _all(value, depth - 1)
  ]


def _rank(path):
  return [WRAPPERS.index(k) if k in WRAPPERS else len(WRAPPERS) for k in path]


def float32(mapping, log):
  """The weights as float32 arrays, without counters.

  Args:
    mapping: from name to PyTorch tensor or array.
    log: called with a sentence about what is converted or left out.

  Returns:
    `(arrays, sources)`: the arrays by name without wrappers, and the names in
    `mapping` by these.

  Raises:
    InputError: if some are not of floating point; it names them all.
  """
  arrays, wrong, converted, other = {}, [], {}, []
  sources = naming.unwrapped(mapping, log)
  for name, source in sources.items():
    value = mapping[source]
    if name.rpartition('.')[2] in _COUNTERS:
      continue
    dtype = str(getattr(value, 'dtype', type(value).__name__))
    dtype = dtype.removeprefix('torch.')
    if _BUFFERS.match(name) or not getattr(value, 'shape', ()):
      other.append(str(source))
      continue
    if not dtype.startswith(('float', 'bfloat')):
      wrong.append(f'{source} ({dtype})')
      continue
    try:
      arrays[name] = _array(value)
    except (TypeError, RuntimeError):  # sparse, or without values
      wrong.append(f'{source} ({value.layout} on {value.device})')
    if dtype != 'float32':
      converted.setdefault(dtype, []).append(name)
  if wrong:
    raise errors.InputError(
      'Weights must be plain arrays of floating-point numbers, but these are '
      f'not: {listed(wrong)}.'
    )
  for dtype, names in converted.items():
    log(f'{len(names)} weights of {dtype} are converted to float32.')
  if other:
    log(f'Not weights of the network, and left out: {listed(other)}.')
  return arrays, sources


def _array(value):
  if hasattr(value, 'detach'):  # of PyTorch; NumPy knows no bfloat16
    value = value.detach().float()
  with np.errstate(over='ignore'):  # what is infinite then is refused later
    return np.asarray(value, np.float32)


def listed(names, most=5):
  """The first names, and how many more there are."""
  more = f' and {len(names) - most} more' if len(names) > most else ''
  return errors.printable(', '.join(sorted(names)[:most])) + more
