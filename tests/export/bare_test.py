"""An export on a machine that has nothing of ours, nor JAX."""

import json
import shutil
import subprocess
import venv

import pytest

from support import colours, commands, helpers, leaving

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def films(tmp_path_factory):
  """Two files of a frame rate and size that fit nothing."""
  root = tmp_path_factory.mktemp('films')
  parts = ((0.5, 'idle'), (1.5, 'red'), (1, 'idle'), (1, 'blue'), (0.5, 'idle'))
  long = colours.write_video(root / 'long.mp4', parts, 24)
  short = helpers.write_video(root / 'short.avi', 33, (70, 98), fps=25)
  return long, short


@pytest.fixture(scope='module', params=['litert', 'onnx'])
def format(request):
  return request.param


@pytest.fixture(scope='module')
def exports(format, folder, data_dir, tmp_path_factory):
  """`(workdir, folder)` of a step and of a clip."""
  root, found = tmp_path_factory.mktemp(format), {}
  for what, direction in (('step', 'past'), ('clip', 'both')):
    workdir = leaving.save(
      root / what, folder, data_dir, model__direction=direction
    )
    out = root / f'{what}_out'
    done = commands.call('export', workdir, out, f'--format={format}')
    assert done.returncode == 0, done.stderr
    found[what] = workdir, out
  return found


@pytest.fixture(scope='module')
def python(exports, tmp_path_factory):
  """Of an environment with what requirements.txt names, and no more."""
  root = tmp_path_factory.mktemp('bare')
  _, out = exports['step']
  venv.create(root / 'venv', symlinks=True, with_pip=True)
  python = root / 'venv' / 'bin' / 'python'
  pip = [python, '-m', 'pip', 'install', '-q', '-r', out / 'requirements.txt']
  subprocess.run(pip, check=True)
  for name in ('jax', 'tsm_jax', 'PIL', 'av'):
    lacking = subprocess.run([python, '-Ic', f'import {name}'])
    assert lacking.returncode == 1, name
  return python


def answer(python, out, *arguments):
  # Elsewhere, so that nothing of this machine is found by chance.
  done = subprocess.run(
    [python, out / 'run.py', *arguments, '--json'],
    capture_output=True,
    text=True,
    cwd='/',
    env={},
  )
  assert done.returncode == 0, done.stderr
  return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_answers_as_predict(exports, python, films, tmp_path):
  workdir, out = exports['step']
  moved, num_events = shutil.copytree(out, tmp_path / 'moved'), 0
  for film in films:
    done = commands.call('predict', workdir, film, '--stream', '--json')
    expected = [json.loads(line) for line in done.stdout.splitlines()]
    found = answer(python, moved, film)
    num_events += len(found)
    for event, other in zip(found, expected, strict=True):
      score = other.pop('score')
      assert event.pop('score') == pytest.approx(score, abs=1e-3)
      assert event == pytest.approx(other)
  assert num_events
  workdir, out = exports['clip']
  for film in films:
    done = commands.call('predict', workdir, film, '--json', '--top=1')
    ((best,),) = [x['predictions'] for x in json.loads(done.stdout)]
    (found,) = answer(python, out, film)
    assert found['label'] == best['label']
    assert found['probability'] == pytest.approx(best['probability'], abs=1e-3)
