"""Compiled programs are kept: for whom, where, and what damage does."""

import os
import pathlib
import subprocess
import sys
import time
import warnings

import jax
import pytest

from support import commands, helpers, trainings
from tsm_jax import compilation_cache

# A small program with a constant of its own.
CODE = """
from tsm_jax import compilation_cache
compilation_cache.switch_on()
import jax
events = []
jax.monitoring.register_event_listener(lambda name, **more: events.append(name))
print(jax.jit(lambda x: x * 3 + 4)(1.0))
print(jax.config.jax_compilation_cache_dir)
print(events.count('/jax/compilation_cache/cache_misses'))
"""


def environment(tmp_path, **more):
  """Of a user who has set nothing."""
  found = commands.environment()
  for name in list(found):
    if 'CACHE' in name:
      del found[name]
  return {
    **found,
    'XDG_CACHE_HOME': str(tmp_path / 'cache'),
    **more,
  }


def start(tmp_path, code=CODE, **more):
  return subprocess.Popen(
    [sys.executable, '-c', code],
    cwd=helpers.ROOT,
    env=environment(tmp_path, **more),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def run(tmp_path, code=CODE, **more):
  """What a small program tells.

  Returns:
    The folder that JAX uses, the number of programs that it compiled and kept,
    and what is on standard error.
  """
  process = start(tmp_path, code, **more)
  out, err = process.communicate()
  assert process.returncode == 0, err
  answer, place, compiled = out.splitlines()
  assert answer == '7.0'
  return place, int(compiled), err


def programs(tmp_path):
  return sorted((tmp_path / 'cache' / 'tsm_jax' / 'programs').glob('*/*'))


def test_the_second_start_of_a_run_compiles_nothing(
  folder, data_dir, tmp_path, tmp_path_factory
):
  losses, kept, missed = [], [], []
  for name, more in (
    ('cold', {}),
    ('warm', {}),
    ('off', {'JAX_ENABLE_COMPILATION_CACHE': 'false'}),
  ):
    workdir = tmp_path_factory.mktemp(name)
    done = subprocess.run(
      commands.training(
        folder,
        data_dir,
        workdir,
        '--config.epochs=2',
        '--config.eval.every_epochs=1',
        '--config.log_every_steps=1',
      ),
      cwd=helpers.ROOT,
      env=environment(
        tmp_path, JAX_DEBUG_LOG_MODULES='jax._src.compiler', **more
      ),
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, done.stderr
    missed.append(done.stderr.count('PERSISTENT COMPILATION CACHE MISS'))
    losses.append(trainings.losses(workdir))
    kept.append(programs(tmp_path))
  # What is compiled is kept.
  assert kept[0] and kept[0] == kept[1] == kept[2]
  assert missed[0] > 1 and missed[1:] == [0, 0]
  assert len(losses[0]) == 4 and losses[0] == losses[1] == losses[2]


def test_programs_are_in_the_cache_of_the_user(tmp_path, monkeypatch):
  place, compiled, err = run(tmp_path)
  assert compiled and not err
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  assert place == str(compilation_cache.folder())
  assert {path.parent for path in programs(tmp_path)} == {
    compilation_cache.folder()
  }
  assert os.stat(place).st_mode & 0o077 == 0
  assert run(tmp_path) == (place, 0, '')


@pytest.mark.parametrize(
  'name, value, used',
  [
    ('JAX_COMPILATION_CACHE_DIR', 'elsewhere', 'elsewhere'),
    ('JAX_ENABLE_COMPILATION_CACHE', 'false', 'None'),
  ],
)
def test_settings_of_jax_hold(tmp_path, name, value, used):
  if used == 'elsewhere':
    value = used = str(tmp_path / 'elsewhere')
  assert run(tmp_path, **{name: value})[0] == used
  assert not programs(tmp_path)


@pytest.fixture
def switch_on(tmp_path, monkeypatch, capsys):
  """What a user's process gets, in this one, which compiles nothing then.

  Returns:
    A function of nothing. It returns the folder that JAX would use, and what is
    on standard error.
  """
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  # Stays as it is for the other tests, as does what is kept.
  monkeypatch.setenv('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '1')
  monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)
  ours = jax.config.jax_compilation_cache_dir

  def call():
    jax.config.update('jax_compilation_cache_dir', None)
    try:
      compilation_cache.switch_on()
      return jax.config.jax_compilation_cache_dir, capsys.readouterr().err
    finally:
      jax.config.update('jax_compilation_cache_dir', ours)

  return call


def test_a_place_that_cannot_be_used_is_a_sentence(tmp_path, switch_on):
  (tmp_path / 'cache').write_text('a file')
  place, err = switch_on()
  assert place is None
  (line,) = err.splitlines()
  assert line.startswith(f"Compiled programs are not kept, as '{tmp_path}")
  assert line.endswith('; JAX_COMPILATION_CACHE_DIR names another folder.')


@pytest.mark.parametrize('above', [0, 1, 2])
@pytest.mark.parametrize('mode', [0o770, 0o707])
def test_a_folder_that_others_may_change_is_not_used(above, mode, switch_on):
  place, err = switch_on()
  assert place and not err
  os.chmod([place, *pathlib.Path(place).parents][above], mode)
  place, err = switch_on()
  assert place is None and 'other users may change it' in err


def test_a_link_to_another_folder_is_not_used(tmp_path, switch_on):
  place = pathlib.Path(switch_on()[0])
  place.rename(tmp_path / 'elsewhere')
  place.symlink_to(tmp_path / 'elsewhere')
  place, err = switch_on()
  assert place is None and 'is a link' in err


def test_a_user_without_a_home_keeps_nothing(monkeypatch, switch_on):
  def expanduser(path):
    raise RuntimeError('Could not determine home directory.')

  monkeypatch.setattr(pathlib.Path, 'expanduser', expanduser)
  place, err = switch_on()
  assert place is None and err.count('\n') == 1
  assert 'Could not determine home directory' in err


def test_half_a_program_is_written_again(tmp_path):
  run(tmp_path)
  whole = {path: path.stat().st_size for path in programs(tmp_path)}
  for left in (0, 100):
    for path in whole:
      os.truncate(path, left)
    assert run(tmp_path) == (str(path.parent), len(whole), '')
    assert {p: p.stat().st_size for p in programs(tmp_path)} == whole
  assert run(tmp_path)[1:] == (0, '')


def test_several_processes_may_start_at_once(tmp_path):
  started = [start(tmp_path) for _ in range(4)]
  for process in started:
    out, err = process.communicate()
    assert process.returncode == 0 and out.startswith('7.0'), err
    assert 'Error' not in err
  assert run(tmp_path)[1:] == (0, '')


def test_programs_that_nobody_uses_are_removed(tmp_path):
  now = time.time()
  for name, age in (('old', 1.1), ('used', 0.9)):
    path = tmp_path / 'version' / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('')
    os.utime(path, (now - age * compilation_cache.UNUSED,) * 2)
  empty = tmp_path / 'other' / 'autotuning'
  empty.mkdir(parents=True)
  os.utime(empty, (now - 2 * compilation_cache.UNUSED,) * 2)
  compilation_cache.remove_unused(tmp_path)
  left = sorted(path.name for path in tmp_path.rglob('*'))
  assert left == ['other', 'used', 'version']


def test_processors_differ_by_their_instructions():
  text = 'processor: 0\nmodel name : A 1\ncpu MHz : 2000\nflags : sse avx fma\n'
  found = compilation_cache.instructions(text)
  assert found == ['1 A', 'avx fma sse']
  for same in (
    text.replace('2000', '3100'),
    text.replace('avx fma', 'fma avx'),
    text + text.replace('processor: 0', 'processor: 1'),
  ):
    assert compilation_cache.instructions(same) == found
  other = text.replace('avx', 'avx avx512f')
  assert compilation_cache.instructions(other) != found
  assert compilation_cache.instructions('Features: fp asimd') == ['asimd fp']


def test_an_import_switches_nothing_on():
  code = (
    'import tsm_jax.train, tsm_jax.predict, tsm_jax.main, jax; '
    'print(jax.config.jax_compilation_cache_dir)'
  )
  env = {k: v for k, v in os.environ.items() if 'JAX_COMPILATION' not in k}
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=helpers.ROOT,
    env=env,
    capture_output=True,
    text=True,
  )
  assert done.stdout == 'None\n'
  assert jax.config.jax_compilation_cache_dir  # the tests have one of theirs
