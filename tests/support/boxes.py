"""The boxes of MP4 and QuickTime files, changed by hand."""

import struct

_PATH = ('moov', 'trak', 'mdia', 'minf', 'dinf', 'dref')


def refer(data, path):
  """A film whose pictures are at the same place of another file.

  Args:
    data: of a film of one track, its index after its pictures.
    path: absolute, of the other file.
  """
  data = data.replace(b'mdat', b'skip')  # what is there does not matter
  starts, position, end = [], 0, len(data)
  for name in _PATH:
    while data[position + 4 : position + 8] != name.encode():
      position += struct.unpack_from('>I', data, position)[0]
      assert position < end
    starts.append(position)
    position += 8
  start = starts[-1]
  (size,) = struct.unpack_from('>I', data, start)
  changed = bytearray(data[:start] + _dref(path) + data[start + size :])
  for parent in starts[:-1]:
    (old,) = struct.unpack_from('>I', data, parent)
    struct.pack_into('>I', changed, parent, old - size + len(_dref(path)))
  return bytes(changed)


def _dref(path):
  """The box that names where pictures are, by an alias of a Macintosh."""
  text = path.encode() + b'\0' * (len(path) % 2)
  alias = bytes(150)  # volume, name and levels, which are not stated
  alias += struct.pack('>HH', 2, len(path)) + text  # 2: the absolute path
  alias += struct.pack('>HH', 0xFFFF, 0)
  entry = struct.pack('>I4sI', 12 + len(alias), b'alis', 0) + alias
  return struct.pack('>I4sII', 16 + len(entry), b'dref', 0, 1) + entry
