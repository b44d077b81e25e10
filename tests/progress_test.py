"""Progress is a bar on a terminal, and whole lines in a file."""

import contextlib
import io

import pytest

from tsm_jax import progress


@pytest.fixture
def show(monkeypatch):
  """Shows four steps, each drawn anew, on a file; what was written."""

  def show(file, **kwargs):
    monkeypatch.setattr(progress, '_EVERY', 0.0)
    with contextlib.redirect_stderr(file):
      with progress.bar(total=4, desc='decode', **kwargs) as bar:
        for loss in (4, 3, 2, 1):
          bar.set_postfix_str(f'loss {loss}', refresh=False)
          bar.update()
      return file

  return show


def test_a_file_gets_lines(show):
  text = show(io.StringIO(), delay=0, unit='step').getvalue()
  assert '\r' not in text
  lines = text.splitlines()
  assert len(lines) >= 4 and all(line.startswith('decode: ') for line in lines)
  assert '4/4' in lines[-1] and 'loss 1' in lines[-1]
  assert text.isascii() and text.endswith('\n')


def test_what_is_done_soon_leaves_no_line(show):
  assert show(io.StringIO(), leave=False).getvalue() == ''
  assert show(io.StringIO(), delay=0, disable=True).getvalue() == ''


def test_a_terminal_shows_one_line_anew(show):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  text = show(Terminal(), mininterval=0).getvalue()
  assert text.count('\r') >= 4 and '4/4' in text
