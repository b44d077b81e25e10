import contextlib
import pathlib
import resource
import shutil

import pytest

from support import helpers
from tsm_jax.data import build
from tsm_jax.data.store import dataset


def fails(capsys, *args):
  with pytest.raises(SystemExit) as caught:
    build.main([str(arg) for arg in args])
  assert caught.value.code == 2
  return capsys.readouterr().err


def test_the_need_of_disk_is_told_and_about_right(tmp_path, capsys):
  root = helpers.write_hmdb51(tmp_path, clips=12, num_frames=60)
  args = ['hmdb51', '--manual_dir', str(root), '--data_dir', str(tmp_path)]
  build.main([*args, '--quality', '100'])
  lines = capsys.readouterr().out.splitlines()
  needed, unit = lines[1].split('It needs about ')[1].split()[:2]
  assert unit in ('kB,', 'MB,') and lines[1].endswith('GB are free.')
  path = path_in(lines)
  found = sum(p.stat().st_size for p in path.glob('*.array_record*'))
  needed = float(needed) * {'kB,': 1e3, 'MB,': 1e6}[unit]
  assert 0.8 < needed / found < 1.1


def test_a_disk_that_is_too_small_is_refused(tmp_path, capsys, monkeypatch):
  root = helpers.write_hmdb51(tmp_path, clips=12)
  monkeypatch.setattr(
    shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(0, 0, 9000)
  )
  args = ('hmdb51', '--manual_dir', root, '--data_dir', tmp_path / 'data')
  message = fails(capsys, *args)
  assert "data' has 9.0 kB free, and the dataset needs about" in message
  assert not list((tmp_path / 'data').rglob('*.array_record*'))


@contextlib.contextmanager
def no_file_beyond(size):
  """As on a full disk, the system refuses to write more bytes to a file."""
  before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_disk_that_fills_leaves_no_half_dataset(tmp_path, capsys):
  root = helpers.write_hmdb51(tmp_path / 'hmdb', clips=8, num_frames=20)
  args = ('hmdb51', '--manual_dir', root, '--data_dir', tmp_path / 'data')
  with no_file_beyond(50_000):
    message = fails(capsys, *args)
  assert message.splitlines()[-1].startswith('error: ')
  assert "data' took no more: File too large;" in message
  left = [p for p in (tmp_path / 'data').rglob('*') if p.is_file()]
  assert [p.suffix for p in left] == ['.lock']  # nothing of the first shard
  build.main([str(arg) for arg in args])
  path = path_in(capsys.readouterr().out.splitlines())
  assert len(dataset.open(path).split('train')) == 16


def path_in(lines):
  return pathlib.Path(lines[-1].partition('source=')[2])
