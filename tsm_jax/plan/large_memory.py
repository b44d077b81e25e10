"""What a compiled program reads from the large memory of a TPU, and writes.

A TPU computes on a small fast memory. Its compiler keeps arrays there between
operations, if it is allowed some effort, and copies others there ahead of their
use. XLA's count has all of it, what is copied in slices several times, so that
it tells little about time.
"""

import math
import re

from tsm_jax.plan import hlo

_ARRAY = re.compile(r'\b[a-z]\w*\[([\d,]*)\](?:\{([\d,]*):?([^{}]*)\})?')
_TILE = re.compile(r'T\(([\d,]+)\)')
_SPACE = re.compile(r'S\((\d+)\)')


def traffic(text):
  """Bytes that a program reads from the large memory and writes to it.

  What is there has no memory space in its layout (the fast memory is `S(1)`).
  Sizes are those of whole tiles, as XLA's are. A loop's body counts once, and
  operands and results of a fusion count once and whole, which is too much where
  it takes or writes a slice of them.

  Args:
    text: `compiled.as_text()`, of a program for a TPU.
  """
  computations, _ = hlo.parse(text)
  parts = hlo.parts(computations)
  return sum(
    _traffic(lines) for name, lines in computations.items() if name not in parts
  )


def _traffic(lines):
  sizes = {line.name: _arrays(line.shape) for line in lines}
  total = 0
  for line in lines:
    if line.opcode in (*hlo.FREE, *hlo.CALLS) or _is_name(line):
      continue
    # An asynchronous operation reads at its start and has written at its end.
    if not line.opcode.endswith('-done'):
      total += sum(_read(line, sizes[x]) for x in hlo.operands(line))
    if not line.opcode.endswith('-start'):
      total += _large(sizes[line.name])
  return total


def _is_name(line):
  """Whether an instruction says that slices are one array, where they lie."""
  return 'custom_call_target="ConcatBitcast"' in line.rest


def _read(line, operand):
  if line.opcode == 'slice-start' and _large(operand):
    return _arrays(line.shape)[1][0]  # ((operand), slice, context)
  return _large(operand)


def _large(arrays):
  return sum(size for size, space in arrays if not space)


def _arrays(shape):
  """`[(bytes with padding, memory space), ...]` of the text of a shape."""
  return [
    (_tiled_bytes(match), int((_SPACE.findall(match[3] or '') or ['0'])[0]))
    for match in _ARRAY.finditer(shape)
  ]


def _tiled_bytes(match):
  """Bytes of an array of whole tiles; the last sides of a tile are minor."""
  sides = [int(n) for n in match[1].split(',') if n]
  minor_first = [int(n) for n in (match[2] or '').split(',') if n]
  if tile := _TILE.search(match[3] or ''):
    tile = [int(n) for n in reversed(tile[1].split(','))]
    for axis, length in zip(minor_first, tile):
      sides[axis] = math.ceil(sides[axis] / length) * length
  name = match[0].partition('[')[0]
  return hlo.shape_bytes(f'{name}[{",".join(map(str, sides))}]')
