"""What a file is that somebody took for weights, by its first bytes."""

import re
import struct
import zipfile

_SIGNATURES = (
  (b'\x1f\x8b', 'compressed with gzip; unpack it with gunzip'),
  (b'BZh', 'compressed with bzip2; unpack it with bunzip2'),
  (b'\xfd7zXZ\0', 'compressed with xz; unpack it with unxz'),
  (b'\x28\xb5\x2f\xfd', 'compressed with zstd; unpack it with unzstd'),
  (b'Rar!', 'a RAR archive; unpack it and give the file in it'),
  (b'7z\xbc\xaf', 'a 7z archive; unpack it and give the file in it'),
  (
    b'\x89HDF',
    'HDF5, as Keras writes it; only files of PyTorch and safetensors are read',
  ),
  (
    b'version https://git-lfs',
    'a pointer of Git LFS and not the file itself; fetch that with git lfs '
    'pull',
  ),
  (b'\x93NUMPY', 'one array of NumPy; weights need their names'),
)
_PAGE = re.compile(rb'\s*(<!doctype|<html|<\?xml|<head|<!--)', re.IGNORECASE)
_TAR = slice(257, 262)  # the place of 'ustar'


def not_weights(path):
  """What a file is instead of weights, with a remedy, or ''."""
  with open(path, 'rb') as file:
    start = file.read(512)
  if not start:
    return 'empty (0 bytes); its download or copy has failed'
  for signature, kind in _SIGNATURES:
    if start.startswith(signature):
      return kind
  if _PAGE.match(start):
    return (
      'a web page and not the file itself; the address was that of a page, or '
      'asked for a login. Download it in a browser'
    )
  if start[_TAR] == b'ustar':
    return 'a tar archive; unpack it and give the file in it'
  if start.startswith(b'PK'):
    return _not_pytorch(path) if zipfile.is_zipfile(path) else ''
  if not is_safetensors(start) and _is_text(start):
    return f'a text, which begins with {start[:40].decode()!r}'
  return ''


def is_safetensors(start):
  """Whether a file with these first bytes is one of safetensors."""
  if len(start) < 9 or start[8:9] != b'{':
    return False
  (size,) = struct.unpack('<Q', start[:8])
  return size < 2**27


# The programs that PyTorch writes, by a part of them: what they are, and Python
# that loads them and finds their weights.
_PROGRAMS = {
  '/constants.pkl': (
    'a TorchScript archive',
    'torch.jit.load',
    'content.state_dict()',
  ),
  '/archive_version': (
    'an archive of torch.export',
    'torch.export.load',
    'content.state_dict',
  ),
}


def program(path):
  """`(kind, load, weights)` of a program, see `_PROGRAMS`; else None."""
  names = _names(path) if zipfile.is_zipfile(path) else ()
  for part, found in _PROGRAMS.items():
    if any(name.endswith(part) for name in names):
      return found
  return None


def _names(path):
  with zipfile.ZipFile(path) as archive:
    return archive.namelist()


def _not_pytorch(path):
  """What a zip file is if it is none of PyTorch, or ''."""
  try:
    names = _names(path)
  except (zipfile.BadZipFile, ValueError):  # reading it fails with the reason
    return ''
  parts = ('/data.pkl', *_PROGRAMS)
  if any(name.endswith(parts) for name in names):
    return ''
  if names and all(name.endswith('.npy') for name in names):
    return (
      'an npz file of NumPy; give its arrays by numpy.load(path) to '
      'convert.from_torch in Python'
    )
  if inside := [n for n in names if n.endswith(('.pth', '.pt', '.tar'))]:
    return f'a zip archive; unpack it and give {inside[0]!r} in it'
  return 'a zip archive without weights of PyTorch'


def _is_text(start):
  try:
    text = start.decode()
  except UnicodeDecodeError as error:
    if error.start < len(start) - 4:  # not just cut in a character
      return False
    text = start[: error.start].decode()
  return text.isprintable() or not re.search(r'[\x00-\x08\x0e-\x1f]', text)
