"""Ctrl-C ends a command that starts, whatever it is importing."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support import helpers
from tsm_jax import cli, interrupts

# As libraries in C do that are interrupted while they are imported.
HALF_IMPORTED = """
import os, signal
try:
  os.kill(os.getpid(), signal.SIGINT)
  for _ in range(10**9):
    pass
except KeyboardInterrupt:
  raise ImportError('this library is broken')
"""


def test_while_it_imports(tmp_path):
  (tmp_path / 'jax.py').write_text(HALF_IMPORTED)
  done = subprocess.run(
    [sys.executable, '-m', 'tsm_jax.predict', 'run', 'clip.mp4'],
    env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{helpers.ROOT}'},
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert done.returncode == 130
  assert (done.stdout, done.stderr) == ('', 'Interrupted.\n')


@pytest.fixture
def installed(monkeypatch):
  old = signal.signal(signal.SIGINT, signal.default_int_handler)
  interrupts.install()
  yield
  assert signal.signal(signal.SIGINT, old) is not signal.default_int_handler


@pytest.mark.parametrize('module', ['tsm_jax.predict', 'other.module'])
def test_only_our_commands_are_changed(module, monkeypatch):
  monkeypatch.setattr(sys, 'argv', ['-m', 'x'])
  monkeypatch.setattr(sys, 'orig_argv', ['python', '-m', module, 'tsm_jax'])
  old = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    exec((helpers.ROOT / 'tsm_jax' / '__init__.py').read_text(), {})
    now = signal.getsignal(signal.SIGINT)
  finally:
    signal.signal(signal.SIGINT, old)
  assert (now is signal.default_int_handler) == (module == 'other.module')


@pytest.mark.usefixtures('installed')
def test_in_the_middle_a_command_ends_in_order(capsys):
  ended = []

  @cli.command()
  def main(argv):
    try:
      signal.raise_signal(signal.SIGINT)
    finally:
      ended.append('in order')

  with pytest.raises(SystemExit) as raised:
    main()
  assert raised.value.code == 130 and ended == ['in order']
  assert capsys.readouterr().err == 'Interrupted.\n'
  assert not interrupts.under_way


@pytest.mark.usefixtures('installed')
def test_a_callback_that_swallows_it_is_let_pass(monkeypatch):
  monkeypatch.setattr(interrupts, 'under_way', True)
  passed = []

  class Collected:
    def __del__(self):
      signal.raise_signal(signal.SIGINT)
      passed.append('the end of __del__')

  with pytest.raises(KeyboardInterrupt):
    Collected()  # and gone
    assert passed
    time.sleep(10)


def test_a_program_that_ignores_it_goes_on_to():
  old = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background
  try:
    interrupts.install()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
  finally:
    signal.signal(signal.SIGINT, old)
