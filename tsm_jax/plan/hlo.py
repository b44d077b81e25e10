"""What a compiled program sends and moves, read from its HLO text."""

import math
import re
from typing import NamedTuple

KINDS = (
  'all-reduce',
  'reduce-scatter',
  'all-gather',
  'all-to-all',
  'collective-permute',
)
_HEAD = re.compile(r'^(?:ENTRY )?%?([\w.\-]+) \(.*\{$')
_LINE = re.compile(r'^\s+(?:ROOT )?%?([\w.\-]+) = (.+?) ([a-z][\w\-]*)\((.*)$')
SHAPE = re.compile(r'\b([a-z]\w*)\[([\d,]*)\]')
CALLED = re.compile(r'(?:calls|to_apply|body|condition)=%?([\w.\-]+)')
# What these call is a computation of its own.
CALLS = ('while', 'conditional', 'call')
# These move nothing; they only name arrays that exist.
FREE = ('parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast')


class Instruction(NamedTuple):
  """One line of a computation; `shape` and `rest` are its text."""

  name: str
  shape: str
  opcode: str
  rest: str


class Collective(NamedTuple):
  """One collective operation.

  Attributes:
    kind: one of `KINDS`.
    num_bytes: of the whole array: the result of an all-gather, the operand of
      a reduce-scatter.
    group: number of devices that exchange data with each other.
    in_loop: whether a loop of the program repeats it.
  """

  kind: str
  num_bytes: int
  group: int
  in_loop: bool

  @property
  def sent_bytes(self):
    """The least bytes that each device sends, along a ring.

    For `n` bytes and a group of `g`: `2 n (g - 1) / g` for an all-reduce, half
    of it for the others, `n` for a permutation.
    """
    if self.kind == 'collective-permute':
      return self.num_bytes
    rounds = 2 if self.kind == 'all-reduce' else 1
    return rounds * self.num_bytes * (self.group - 1) / self.group


def parse(text):
  """`({computation: [Instruction, ...]}, name of the entry computation)`."""
  computations, entry = {}, None
  for line in text.splitlines():
    if head := _HEAD.match(line):
      lines = computations[head[1]] = []
      entry = head[1] if line.startswith('ENTRY') else entry
    elif (match := _LINE.match(line)) and computations:
      lines.append(Instruction(*match.groups()))
  return computations, entry


def looped(computations):
  """The names of the computations that some loop repeats."""
  called = {
    name: {c for line in lines for c in CALLED.findall(line.rest)}
    for name, lines in computations.items()
  }
  reached, waiting = set(), []
  for lines in computations.values():
    for line in lines:
      if line.opcode == 'while':
        waiting += CALLED.findall(line.rest)
  while waiting:
    name = waiting.pop()
    if name not in reached:
      reached.add(name)
      waiting += called.get(name, ())
  return reached


def parts(computations):
  """The names of the computations that are a part of one instruction."""
  return {
    called
    for lines in computations.values()
    for line in lines
    if line.opcode not in CALLS
    for called in CALLED.findall(line.rest)
  }


def collectives(text, num_devices):
  """The collective operations of a program.

  Args:
    text: `compiled.as_text()`.
    num_devices: on which it runs.

  Returns:
    A list of `Collective`.
  """
  computations, _ = parse(text)
  loops = looped(computations)
  found, channels = [], set()
  for name, lines in computations.items():
    for line in lines:
      kind = line.opcode.removesuffix('-start')
      if kind not in KINDS:
        continue
      channel = re.search(r'channel_id=(\d+)', line.rest)
      # An asynchronous operation appears in parts that share a channel.
      if channel and channel[1] in channels:
        continue
      channels.add(channel and channel[1])
      group = _group(line.rest, num_devices)
      size = shape_bytes(line.shape)
      if line.opcode.endswith('-start'):
        size = _started_bytes(line.shape)
      if kind == 'reduce-scatter':
        size *= group
      if name.startswith('all-reduce-scatter'):  # how a TPU writes it
        kind = 'reduce-scatter'
      found.append(Collective(kind, size, group, name in loops))
  return found


def traffic(text):
  """Bytes that the entry's operations read and write, each once.

  An estimate for where XLA gives none: no cache, and a loop's body counts once.
  """
  computations, entry = parse(text)
  lines = computations[entry]
  sizes = {line.name: shape_bytes(line.shape) for line in lines}
  total = 0
  for line in lines:
    if line.opcode not in FREE:
      total += line_traffic(line, sizes)
  return total


def line_traffic(line, sizes):
  """Bytes that an instruction reads and writes; `sizes` are those by name."""
  return sizes[line.name] + sum(sizes[x] for x in operands(line))


def operands(line):
  """The names of what an instruction takes."""
  return re.findall(r'%([\w.\-]+)', line.rest.partition(')')[0])


def has_loop(text):
  """Whether the program has a loop, whose body XLA's costs count once."""
  return any(
    line.opcode == 'while'
    for lines in parse(text)[0].values()
    for line in lines
  )


def shape_bytes(shape):
  """Bytes of all arrays in the text of a shape, without padding."""
  return sum(_array_bytes(*array) for array in SHAPE.findall(shape))


def _started_bytes(shape):
  """Of the pair (operands, results) that an asynchronous start returns."""
  arrays = [_array_bytes(*array) for array in SHAPE.findall(shape)]
  return max(arrays, default=0)


def _array_bytes(dtype, dimensions):
  bits = 8 if dtype == 'pred' else int((re.findall(r'\d+', dtype) or ['0'])[0])
  count = math.prod(int(n) for n in dimensions.split(',') if n)
  return -(-bits * count // 8)


def _group(rest, num_devices):
  """Devices of one group, from one of the three ways to write groups."""
  if match := re.search(r'replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}', rest):
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", match[1]))
    return math.prod(int(sizes[a]) for a in re.findall(r"'(\w+)'", match[2]))
  if match := re.search(r'replica_groups=\[\d+,(\d+)\]', rest):
    return int(match[1])
  if match := re.search(r'replica_groups=\{\{([\d,]+)\}', rest):
    return match[1].count(',') + 1
  return num_devices
