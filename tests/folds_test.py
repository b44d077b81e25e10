"""Cross-validation: what the folds find, and that none is trained twice."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

import pytest

from support import commands, helpers, trainings
from tsm_jax import folds
from tsm_jax.program import metrics
from tsm_jax.runs import again, child, stopping

SHORT = '--config.batch_size=6', '--config.epochs=2'
ONE = {'fold': 0, 'clips': 3, 'dataset': 'x', 'top1': 0.5}
_OPEN = """
from tsm_jax import configuration
from tsm_jax.configs import common

def get_config():
  config = configuration.load('quickstart')
  common.leave_open(config, 'label_smoothing')
  return config
"""
# A real process is started in place of a training.
_CHILD = """
import signal, sys, time
def stop(number, frame):
  print('got', number, flush=True)
  sys.exit({status})
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
open({ready!r}, 'w').close()
time.sleep(30)
"""


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp('folds')
  helpers.write_folder(root / 'clips', clips=6, num_frames=5)
  return root


def flags(root, workdir, *more):
  _, _, _, *arguments = commands.training(
    root / 'clips', root / 'data', workdir, *SHORT, *more
  )
  return arguments


def leave_open(workdir):
  """A configuration of one's own that leaves a field to the data."""
  path = workdir / 'own.py'
  path.write_text(_OPEN)
  return f'--config={path}'


@pytest.fixture
def here(monkeypatch):
  """Lets folds be trained in this process; returns the list of their flags."""
  called = []

  def run(command):
    assert command[:3] == [sys.executable, '-m', 'tsm_jax.main']
    called.append(command[3:])
    done = commands.call('main', *command[3:])
    print(done.stderr)
    return done.returncode, []

  trainings.on_devices(monkeypatch, 1)
  monkeypatch.setattr(child, 'run', run)
  return called


def test_folds_are_trained_once_and_summed_up(root, tmp_path, here):
  arguments = flags(
    root, tmp_path, '--config.data.folds=2', leave_open(tmp_path)
  )
  done = commands.call('folds', *arguments)
  assert done.returncode == 0, done.stderr
  found = json.loads((tmp_path / 'folds.json').read_text())
  assert [one['clips'] for one in found['results']] == [6, 6]
  datasets = set()
  for fold, one in enumerate(found['results']):
    run = tmp_path / f'fold-{fold}'
    written = again.last_meta(run)
    assert written['config']['data'].get('fold', 0) == fold
    datasets |= {one['dataset'], written['dataset']}
    assert one['top1'] == metrics.read(run)[-1]['eval/top1']
  assert len(datasets) == 1
  top1 = [one['top1'] for one in found['results']]
  assert found['mean']['top1'] == pytest.approx(sum(top1) / 2)
  assert found['std']['top1'] == pytest.approx(abs(top1[0] - top1[1]) / 2**0.5)
  lines = [line.split() for line in done.stdout.splitlines()]
  cells = [[c for c in line if c not in '│┃'][:3] for line in lines]
  assert ['0', '6', f'{top1[0]:.2%}'] in cells
  assert ['mean', '12', f'{sum(top1) / 2:.2%}'] in cells
  # What is done is not trained again.
  before, count = (tmp_path / 'folds.json').read_text(), len(here)
  again_ = commands.call('folds', *arguments)
  assert again_.stdout.splitlines()[-8:] == done.stdout.splitlines()[-8:]
  assert len(here) == count == 2
  assert (tmp_path / 'folds.json').read_text() == before
  # After the first, the second is missing. All have the choices of the first.
  found['results'].pop()
  (tmp_path / 'folds.json').write_text(json.dumps(found))
  assert '--config.label_smoothing=0.1' in here[1]
  shutil.rmtree(tmp_path / 'fold-1')
  first = tmp_path / 'fold-0' / 'config.json'
  changed = {**json.loads(first.read_text()), 'label_smoothing': 0.25}
  first.write_text(json.dumps(changed))
  assert commands.call('folds', *arguments).returncode == 0
  assert len(here) == 3
  written = again.last_meta(tmp_path / 'fold-1')
  assert written['config']['label_smoothing'] == 0.25
  # A fold that has begun goes on with what it began with.
  (tmp_path / 'folds.json').write_text(json.dumps(found))
  assert commands.call('folds', *arguments).returncode == 0
  assert not [flag for flag in here[3] if 'label_smoothing' in flag]
  # A fold that a model has seen is not taken for one that it has not.
  evaluation = '--mode=eval', '--workdir', str(tmp_path / 'fold-0')
  seen = 'data.fold is 1, but the model was trained with data.fold=0: it has'
  for more, said in ((), False), (('--config.data.fold=1',), True):
    done = commands.call('main', *evaluation, *more)
    assert done.returncode == 0 and (seen in done.stdout) is said, done.stderr
  # Other values are other folds.
  other = commands.call('folds', *arguments, '--config.seed=1')
  assert other.returncode == 2 and 'seed (there 0, now 1)' in other.stderr


def test_wrong_fields_are_sentences(root, tmp_path, here):
  for more, message in (
    ((), 'data.folds is 0; say how many'),
    (('--config.data.folds=1',), 'data.folds is 1; it must be at least 2'),
    (
      ('--config.data.folds=3', '--config.data.fold=1'),
      'all folds are trained',
    ),
    (('--config.data.folds=3', '--config.eval.split=test'), "the split 'val'"),
  ):
    done = commands.call('folds', *flags(root, tmp_path, *more))
    assert done.returncode == 2 and message in done.stderr
  (tmp_path / 'folds.json').write_text('{"results": [1]}')
  done = commands.call('folds', *flags(root, tmp_path, '--config.data.folds=3'))
  assert 'is not what this command has written; remove it' in done.stderr
  assert not here


@pytest.mark.parametrize(
  'number, status, expected',
  [
    (signal.SIGINT, 130, 130),
    (signal.SIGTERM, stopping.EXIT_AGAIN, stopping.EXIT_AGAIN),
    (signal.SIGTERM, 0, 0),  # it came when the training had ended
  ],
)
def test_a_signal_comes_to_the_training_once(
  tmp_path, monkeypatch, number, status, expected
):
  ready = tmp_path / 'ready'
  code = _CHILD.format(status=status, ready=str(ready))
  command = [sys.executable, '-S', '-c', code]

  def interrupt():
    while not ready.exists():
      time.sleep(0.01)
    os.kill(os.getpid(), number)

  threading.Thread(target=interrupt, daemon=True).start()
  old = signal.getsignal(number)
  assert child.run(command) == (status, [number])
  assert signal.getsignal(number) == old
  monkeypatch.setattr(child, 'run', lambda _: (status, [number]))
  monkeypatch.setattr(folds, '_result', lambda *_: dict(ONE))
  monkeypatch.setattr(folds, '_chosen', lambda *_: [])  # none was trained
  done = commands.call(
    'folds', '--config=folder', '--config.data.folds=2', f'--workdir={tmp_path}'
  )
  assert done.returncode == expected
  assert ('the same command continues' in done.stderr) == bool(status)


def test_what_is_killed_or_wrong_is_said(tmp_path):
  for code, status, message in (
    ('import os; os.kill(os.getpid(), 9)', 137, 'was ended by SIGKILL'),
    ('raise SystemExit(2)', 2, 'ended with status 2'),
  ):
    found = child.run([sys.executable, '-S', '-c', code])
    assert found == (status if status == 2 else -9, [])
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(child, 'run', lambda _, found=found: found)
      done = commands.call(
        'folds',
        *('--config=folder', '--config.data.folds=2'),
        f'--workdir={tmp_path}',
      )
    assert done.returncode == status and message in done.stderr
    assert not (tmp_path / 'folds.json').exists()


def test_the_mean_and_the_deviation():
  rows = [
    {'fold': i, 'clips': 1, 'dataset': 'x', 'top1': i / 8} for i in range(5)
  ]
  found = folds.summary(rows)
  assert found['mean'] == {'top1': 0.25}
  assert found['std']['top1'] == pytest.approx(
    (sum((i / 8 - 0.25) ** 2 for i in range(5)) / 4) ** 0.5
  )
  assert found['std']['top1'] == statistics.stdev(i / 8 for i in range(5))


@pytest.mark.slow
def test_real_processes_interrupted_and_continued(root, tmp_path):
  _, _, _, *arguments = commands.training(
    root / 'clips', root / 'data', tmp_path, '--config.data.folds=2'
  )
  command = commands.command('folds', *arguments)
  with subprocess.Popen(
    command,
    cwd=helpers.ROOT,
    env=commands.environment(),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  ) as process:
    while not (tmp_path / 'fold-1' / 'checkpoints').exists():
      assert process.poll() is None
      time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
  assert process.returncode == 130, out
  assert 'the same command continues' in out and 'Traceback' not in out
  done = commands.run(command, timeout=300)
  assert done.returncode == 0, done.stderr
  assert 'Fold 1 of 2' in done.stdout and 'Fold 0 of 2' not in done.stdout
  found = json.loads((tmp_path / 'folds.json').read_text())
  assert len(found['results']) == 2 and found['mean'].keys() >= {'top1', 'top5'}
