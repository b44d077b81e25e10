"""`tsm-jax NAME ...`, which is the same as `python -m tsm_jax.NAME ...`."""

import os
import pathlib
import runpy
import signal
import subprocess
import sys
import warnings

import pytest

from support import helpers
from tsm_jax import __main__ as console


def test_it_knows_every_command():
  found = set()
  for path in (helpers.ROOT / 'tsm_jax').rglob('*.py'):
    if '\n@cli.command(' in path.read_text():
      path = path.relative_to(helpers.ROOT / 'tsm_jax').with_suffix('')
      name = '.'.join(path.parts).removesuffix('.__main__')
      found.add(name)
  assert set(console.COMMANDS) == found - {'__main__'}


@pytest.fixture
def call(monkeypatch, capsys):
  """Calls the command; its status and what it printed on both streams."""

  def call(*arguments):
    monkeypatch.setattr(sys, 'argv', ['tsm-jax', *arguments])
    with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
      warnings.simplefilter('ignore', RuntimeWarning)  # it is imported already
      console.main()
    return ended.value.code or 0, *capsys.readouterr()

  handler = signal.getsignal(signal.SIGINT)  # a program sets its own
  yield call
  signal.signal(signal.SIGINT, handler)


def test_it_lists_the_commands(call):
  status, listed, _ = call('--help')
  assert status == 0 and call()[1] == listed
  for name in console.COMMANDS:
    assert f'\n  {name} ' in listed
  status, _, message = call('predcit', 'x')
  assert status == 2 and message.startswith("error: NAME is 'predcit'; choose")


def test_it_runs_a_command_with_its_arguments(call, tmp_path):
  status, _, message = call('report', str(tmp_path))
  assert status == 2
  assert message.startswith(f"error: '{tmp_path}' holds no metrics.jsonl")
  status, listed, _ = call('report', '--help')
  assert status == 0 and '--out' in listed


def test_windows_is_told_of_wsl(monkeypatch):
  monkeypatch.setattr(sys, 'platform', 'win32')
  package = pathlib.Path(helpers.ROOT / 'tsm_jax' / '__init__.py')
  with pytest.raises(ImportError, match=r'Windows.*install WSL2 \(wsl --inst'):
    runpy.run_path(str(package))


def test_a_line_is_in_a_log_as_soon_as_it_is_said(tmp_path):
  code = """
import os
from tsm_jax import cli

@cli.command()
def main(argv=None):
  print('said')
  os._exit(0)  # what is kept back until the end is lost

main()
"""
  usual = {k: v for k, v in os.environ.items() if k != 'PYTHONUNBUFFERED'}
  with (tmp_path / 'log').open('w') as log:
    command = [sys.executable, '-c', code]
    subprocess.run(command, cwd=helpers.ROOT, env=usual, stdout=log, check=True)
  assert (tmp_path / 'log').read_text() == 'said\n'
