import io
import pickle
import zipfile

import pytest

from support import torch_weights
from tsm_jax import errors
from tsm_jax.convert.reading import pickles

torch = pytest.importorskip('torch')
read = torch_weights.read
NAME = torch_weights.NAME


def compressed(path, content):
  """A file of PyTorch whose zip archive is compressed."""
  stored = io.BytesIO()
  torch.save(content, stored)
  with (
    zipfile.ZipFile(stored) as old,
    zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as new,
  ):
    for entry in old.infolist():
      new.writestr(entry.filename, old.read(entry))


def test_a_small_file_that_would_become_large_is_refused(tmp_path):
  # 40 MB of zeros in 40 KB: what counts is the proportion.
  path = tmp_path / 'bomb.pth'
  compressed(path, {'fc.weight': torch.zeros(1000, 10000)})
  assert path.stat().st_size < 60000
  with pytest.raises(errors.InputError, match=r'claims to hold 40,0\d\d,\d+,'):
    read(path)
  # One number, seen as ten billion.
  for is_zip in (True, False):
    content = {'fc.weight': torch.zeros(1, 1).expand(100000, 100000)}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(
      errors.InputError, match='claims to hold 40,000,000,000'
    ):
      read(path)
  # A compressed file of real weights is one.
  compressed(tmp_path / NAME, torch_weights.tensors())
  torch_weights.assert_same(
    read(tmp_path / NAME)[0],
    torch_weights.expected(),
  )


class Large:
  """Pickled, it takes memory when it is unpickled."""

  def __init__(self, function, *args):
    self.call = function, args

  def __reduce__(self):
    return self.call


@pytest.mark.parametrize('function', [bytearray, torch.Tensor])
def test_what_a_pickle_would_allocate_is_counted(tmp_path, function):
  path = tmp_path / 'bomb.pth'
  torch.save(
    {'fc.weight': torch.ones(2, 2), 'x': Large(function, 10**10)}, path
  )
  with pytest.raises(errors.InputError, match='claims to hold 40,000,000'):
    read(path)


def test_a_storage_that_is_shorter_than_its_tensor_is_damage(tmp_path):
  path = tmp_path / 'x.pth'
  torch.save({'fc.weight': torch.ones(50, 50)}, tmp_path / 'whole.pth')
  with (
    zipfile.ZipFile(tmp_path / 'whole.pth') as old,
    zipfile.ZipFile(path, 'w') as new,
  ):
    for entry in old.infolist():
      data = old.read(entry)
      new.writestr(
        entry.filename, data[:16] if '/data/' in entry.filename else data
      )
  with pytest.raises(errors.InputError, match='truncated'):
    read(path)


def test_looking_into_a_pickle_calls_nothing(tmp_path):
  trace = tmp_path / 'it_ran'
  path = tmp_path / 'x.pth'
  torch.save({'x': Large(open, str(trace), 'w')}, path)
  content = pickles.inspect(path)
  name = f'{open.__module__}.open'  # _io.open, from Python 3.12 on
  assert content['x'].origin == name and not trace.exists()
  path.write_bytes(pickle.dumps({'x': 1}))
  with pytest.raises(ValueError, match=r'no file of torch\.save'):
    pickles.inspect(path)
