"""Passes of a compiled program that compute nothing, but move features."""

from typing import NamedTuple

from tsm_jax.plan import hlo

KINDS = ('copies', 'transposes', 'rearrangements')
# What moves values, and what may stand beside it: masks, zeros, other names.
_REARRANGING = {'slice', 'pad', 'concatenate', 'select', 'reverse'}
_REARRANGING |= {'dynamic-slice', 'dynamic-update-slice'}
_MOVING = {'copy', 'transpose', *_REARRANGING}
_BESIDE = {'fusion', 'call', 'reshape', 'broadcast', 'iota', 'compare'}
_BESIDE |= {'and', 'or', 'not', *hlo.FREE}


class Move(NamedTuple):
  """One pass over memory that only moves features.

  Attributes:
    kind: one of `KINDS`: 'copies' are of the same shape in another layout,
      'rearrangements' slices, paddings, concatenations and selections.
    num_bytes: that it reads and writes.
    in_loop: whether a loop of the program repeats it.
  """

  kind: str
  num_bytes: int
  in_loop: bool


def find(text):
  """The passes of a program that compute nothing, but move features.

  Features are what has at least three axes longer than 1 and is no weight: no
  argument of the program of a float type has the same axes. A fusion is one
  pass; it counts if nothing in it computes. Copies that run beside other work,
  into the fast memory of a TPU and out of it, are none.

  Args:
    text: `compiled.as_text()`.

  Returns:
    A list of `Move`.
  """
  computations, entry = hlo.parse(text)
  loops, parts = hlo.looped(computations), hlo.parts(computations)
  weights = _weights(computations[entry])
  found = []
  for name, lines in computations.items():
    if name in parts:
      continue
    sizes = {line.name: hlo.shape_bytes(line.shape) for line in lines}
    for line in lines:
      kind = _kind(line, computations)
      features = [
        axes
        for axes in _axes(line.shape)
        if len(axes) > 2 and axes not in weights
      ]
      if kind and features:
        size = hlo.line_traffic(line, sizes)
        found.append(Move(kind, size, name in loops))
  return found


def together(found, repeats=1):
  """Number and bytes of the moves of each kind.

  Args:
    found: of a `Move` each, its fields.
    repeats: how often a loop of the program runs.

  Returns:
    A dict of dicts, `count` and `bytes` by kind, for all `KINDS`.
  """
  table = {kind: {'count': 0, 'bytes': 0} for kind in KINDS}
  for kind, num_bytes, in_loop in found:
    times = repeats if in_loop else 1
    table[kind]['count'] += times
    table[kind]['bytes'] += times * num_bytes
  return table


def _weights(entry):
  """The axes of the program's arguments of a float type."""
  return {
    axes
    for line in entry
    if line.opcode == 'parameter' and line.shape.startswith(('f', 'bf'))
    for axes in _axes(line.shape)
  }


def _axes(shape):
  """The lengths of the axes of each array in a shape, sorted, without 1."""
  return [
    tuple(sorted(int(n) for n in axes.split(',') if n not in ('', '1')))
    for _, axes in hlo.SHAPE.findall(shape)
  ]


def _kind(line, computations):
  """Of a `Move`, or None for an instruction that is none."""
  opcodes = _opcodes(line, computations)
  moving = opcodes & _MOVING
  # What a call holds is looked at by itself.
  if line.opcode == 'call' or not moving or opcodes - _MOVING - _BESIDE:
    return None
  if moving & _REARRANGING:
    return 'rearrangements'
  return 'transposes' if 'transpose' in moving else 'copies'


def _opcodes(line, computations):
  """Of an instruction and of all that it calls."""
  found = {line.opcode}
  for name in hlo.CALLED.findall(line.rest):
    for inner in computations.get(name, ()):
      found |= _opcodes(inner, computations)
  return found
