"""An export is whole, or not there."""

import os
import signal

import pytest

from tsm_jax import errors
from tsm_jax.export import card, folder


def fill(path, text='new', *names):
  """What an export leaves, without a model."""
  for name in (card.LABELS, *names):
    (path / name).write_text(text)
  listed = ', '.join(f'"{name}": {{}}' for name in (card.LABELS, *names))
  (path / card.FILE).write_text(f'{{"files": {{{listed}}}}}')


def names(path):
  return sorted(x.name for x in path.iterdir())


def test_it_has_its_name_once_it_is_complete(tmp_path):
  out = tmp_path / 'deep' / 'out'
  with folder.made(out) as unfinished:
    assert unfinished.parent == out.parent and not out.exists()
    fill(unfinished)
  assert names(out.parent) == ['out']
  assert names(out) == [card.FILE, card.LABELS]
  with folder.made(out) as unfinished:
    fill(unfinished, 'later')
    (out / '__pycache__').mkdir()  # of its run.py
    (out / '__pycache__' / 'run.cpython-311.pyc').write_bytes(b'x')
    assert (out / card.LABELS).read_text() == 'new'
  assert (out / card.LABELS).read_text() == 'later'
  assert names(out.parent) == ['out']


@pytest.mark.parametrize(
  'end',
  [
    lambda: 1 / 0,
    lambda: os.kill(os.getpid(), signal.SIGTERM),
    lambda: os.kill(os.getpid(), signal.SIGINT),
  ],
)
def test_what_fails_leaves_what_was_there(tmp_path, end):
  for before in (False, True):
    out = tmp_path / f'out{before}'
    if before:
      out.mkdir()
      fill(out, 'old')
    handler = signal.getsignal(signal.SIGTERM)
    kinds = (ZeroDivisionError, SystemExit, KeyboardInterrupt)
    with pytest.raises(kinds), folder.made(out) as unfinished:
      fill(unfinished)
      end()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert names(tmp_path) == ['outTrue'] * before
  assert (out / card.LABELS).read_text() == 'old'


def test_two_at_once_leave_each_other_alone(tmp_path):
  """Even of one number, as in two containers that share a folder."""
  out = tmp_path / 'out'
  with folder.made(out) as first:
    fill(first, 'first')
    with folder.made(out) as second:
      fill(second, 'second')
    assert (out / card.LABELS).read_text() == 'second'
  assert (out / card.LABELS).read_text() == 'first'
  assert names(tmp_path) == ['out']


def test_the_old_one_comes_back_if_the_new_one_cannot(tmp_path, monkeypatch):
  out = tmp_path / 'out'
  out.mkdir()
  fill(out, 'old')
  with pytest.raises(OSError), folder.made(out) as unfinished:
    unfinished.rmdir()  # so that it cannot be named
  assert (out / card.LABELS).read_text() == 'old'
  assert names(tmp_path) == ['out']


def test_a_folder_by_other_names(tmp_path, monkeypatch):
  out = tmp_path / 'out'
  out.mkdir()
  (tmp_path / 'link').symlink_to(out)
  with folder.made(tmp_path / 'link') as unfinished:
    fill(unfinished)
  assert names(tmp_path) == ['link', 'out']
  assert (tmp_path / 'link').is_symlink()
  monkeypatch.chdir(out)
  with folder.made('.') as unfinished:
    fill(unfinished, 'later')
  assert (out / card.LABELS).read_text() == 'later'


def test_a_folder_of_something_else_is_kept(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'thesis.txt').write_text('x')
  (tmp_path / 'b').mkdir()
  fill(tmp_path / 'b')
  (tmp_path / 'b' / 'notes.txt').write_text('x')
  (tmp_path / 'c').write_text('x')
  for name, message in (
    ('a', "/a holds 'thesis.txt', which is of no export"),
    ('b', "/b holds 'notes.txt', which is of no export"),
    ('c', '/c is a file'),
    ('gs://there/d', 'is in a bucket'),
  ):
    out = name if ':' in name else tmp_path / name
    with pytest.raises(errors.InputError, match=message):
      folder.check(out)
  (tmp_path / 'd').mkdir()
  folder.check(tmp_path / 'd')
