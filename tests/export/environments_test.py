"""The converters' environments, and the processes that run in them."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tsm_jax import errors
from tsm_jax.export import environments, process


def test_the_cache_is_where_caches_are(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert environments.cache() == tmp_path / 'tsm_jax' / 'converters'
  monkeypatch.delenv('XDG_CACHE_HOME')
  monkeypatch.setenv('HOME', '/home/me')
  home = pathlib.Path('/home/me/.cache')
  assert environments.cache() == home / 'tsm_jax' / 'converters'


def test_a_cache_that_cannot_be_made(monkeypatch, tmp_path):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  with pytest.raises(errors.InputError, match='set XDG_CACHE_HOME to another'):
    environments.find('onnx')


@pytest.mark.parametrize(
  ('python', 'message'),
  [
    ('no/such/python', "'no/such/python', which does not run as a Python"),
    ('/bin/echo', "'/bin/echo', which does not run as a Python"),
    (sys.executable, 'lacks litert-converter, litert-quantizer; install by: '),
  ],
)
def test_a_given_python_that_will_not_do(python, message):
  with pytest.raises(errors.InputError, match=message):
    environments.find('litert', python)


def test_a_given_python_is_found_from_other_folders(monkeypatch, tmp_path):
  (tmp_path / 'python').symlink_to(sys.executable)
  (tmp_path / 'else').mkdir()
  monkeypatch.chdir(tmp_path)
  monkeypatch.setitem(environments.NEEDED, 'onnx', ('numpy',))
  monkeypatch.setattr(environments, '_pinned', lambda format: {'numpy': '2'})
  monkeypatch.setattr(
    environments,
    '_ask',
    lambda python: ([*sys.version_info[:2]], {'numpy': '2'}),
  )
  found = environments.find('onnx', './python')
  assert found.python == str(tmp_path / 'python')
  monkeypatch.setenv('XDG_CACHE_HOME', 'cache')
  assert environments.cache().is_relative_to(tmp_path / 'cache')


def test_a_cache_that_others_may_change_is_not_run(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  place = environments._place('onnx')
  (place / 'bin').mkdir(parents=True)
  (place / 'bin' / 'python').symlink_to('/bin/false')
  for folder in (place, environments.cache()):
    folder.chmod(0o777)
    with pytest.raises(errors.InputError, match='may be changed by other us'):
      environments.find('onnx')
    folder.chmod(0o755)


def test_the_whole_list_of_an_environment_is_pinned():
  for format, needed in environments.NEEDED.items():
    lines = environments.constraints(format).read_text().splitlines()
    pinned = [x.split('==') for x in lines if not x.startswith('#')]
    assert all(len(x) == 2 for x in pinned)
    assert set(needed) <= {name for name, _ in pinned}


def test_what_a_process_says_last(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text('import sys\nprint(sys.argv[1:])\nraise ValueError("no")\n')
  lines = []
  found = process.run(sys.executable, [script, 'a', 'b'], lines.append)
  assert found == (1, 'ValueError: no')
  assert lines[0] == "['a', 'b']"


def test_a_process_ends_with_the_one_that_started_it(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(
    'import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n'
  )
  code = (
    'import sys\nfrom tsm_jax.export import process\n'
    'process.run(sys.executable, [sys.argv[1]], lambda x: print(x, flush=True))'
  )
  with subprocess.Popen(
    [sys.executable, '-c', code, script], stdout=subprocess.PIPE, text=True
  ) as parent:
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 30
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
      assert time.monotonic() < end
      time.sleep(0.01)


@pytest.mark.slow
def test_nothing_is_left_of_an_environment_that_cannot_be_made(
  monkeypatch, tmp_path
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setenv('PIP_NO_INDEX', '1')
  monkeypatch.delenv('PIP_FIND_LINKS', raising=False)
  monkeypatch.setenv('PIP_CONFIG_FILE', os.devnull)
  log = []
  with pytest.raises(errors.InputError, match='cannot be made: ') as e:
    environments.find('litert', log=log.append)
  assert 'absl-py' in str(e.value) and 'Check the network' in str(e.value)
  assert 'Making the Python environment' in log[0]
  (lock,) = environments.cache().iterdir()
  assert lock.suffix == '.lock'


def test_the_converter_has_the_package_that_exports(tmp_path):
  ours, installed = (tmp_path / name for name in ('checkout', 'installed'))
  for folder in (ours, installed):
    (folder / 'tsm_jax').mkdir(parents=True)
    (folder / 'tsm_jax' / '__init__.py').write_text('')
    (folder / 'other.py').write_text('')
  script = tmp_path / 'script.py'
  script.write_text(f"""
import sys
sys.path.insert(0, {str(environments.FOLDER)!r})
import to_onnx
to_onnx.find({str(ours)!r}, [{str(installed)!r}])
import other, tsm_jax
print(tsm_jax.__file__, other.__file__)
""")
  status, last = process.run(sys.executable, [script])
  assert status == 0, last
  assert last == f'{ours}/tsm_jax/__init__.py {installed}/other.py'
