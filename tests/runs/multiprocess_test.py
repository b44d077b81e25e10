"""Several processes, started by the command itself, train as one does."""

import csv
import json
import random
import signal
import time

import chex
import numpy as np
import pytest

from support import helpers, several
from tsm_jax.program import predictions
from tsm_jax.runs import checkpoints, stopping
from tsm_jax.stream import agreement

GENTLE = (
  '--config.checkpoint.every_steps=5',
  '--config.base_learning_rate=0.1',
)
KILLS = 2


@pytest.fixture(scope='module')
def one(folder, data_dir, tmp_path_factory):
  """The workdir of a run of 50 steps by one process."""
  workdir = tmp_path_factory.mktemp('one')
  output = several.alone(folder, data_dir, workdir, *GENTLE, epochs=20)
  assert_starts(output)
  return workdir


@pytest.fixture(scope='module')
def two(one, folder, data_dir, tmp_path_factory):
  """How two processes are to train, and their workdir; the seconds it took."""
  options = (
    *GENTLE,
    '--config.checkpoint.every_steps=2',
    f'--config.init_from={one}',
    '--config.model.bn_stats=local',
    '--config.ema_decay=0.5',
    '--config.eval.precise_bn_batches=1',
    '--config.model.direction=past',
    '--join_seconds=30',
  )
  workdir = tmp_path_factory.mktemp('two')
  begin = time.monotonic()
  several.train(folder, data_dir, workdir, 2, *options, epochs=8)
  return options, workdir, time.monotonic() - begin


def assert_starts(output):
  assert '50 steps of 8 clips on 4 cpu device(s)' in output


def slurm(index, port):
  """What Slurm tells a task of two."""
  return {
    'SLURM_JOB_ID': '7',
    'SLURM_STEP_NODELIST': 'localhost',
    'SLURM_NTASKS': '2',
    'SLURM_PROCID': str(index),
    'SLURM_LOCALID': str(index),
    'JAX_COORDINATOR_PORT': str(port),  # not that of another test
  }


@pytest.mark.slow
def test_fewer_and_fewer_processes_train_as_one_does(one, folder, tmp_path):
  """SIGTERM to any one of them saves the same step on all."""
  data_dir, parts = tmp_path / 'data', tmp_path / 'parts'
  # Four processes, who build the dataset, two that Slurm started, and one.
  for count, found, victim, step in ((4, None, 0, 10), (2, slurm, 1, 25)):
    started = several.start(
      folder, data_dir, parts, count, *GENTLE, epochs=20, found=found
    )
    several.await_step(parts, step, started)
    started[victim].send_signal(signal.SIGTERM)
    outputs = several.finish(started, stopping.EXIT_AGAIN, 60)
    (first, _), *others = outputs
    assert_starts(first)
    for output, _ in others:
      assert 'Training' not in output  # one process speaks for all
    saved = checkpoints.restore_model(parts).step
    assert f'SIGTERM: step {saved} is saved' in first
    assert several.last_step(parts) <= saved
  last = several.alone(folder, data_dir, parts, *GENTLE, epochs=20)
  assert 'Continuing' in last
  found, _ = several.assert_trained_alike(parts, one)
  assert found.step == 50


@pytest.mark.slow
def test_two_processes_with_all_options(one, two, folder, data_dir, tmp_path):
  options, workdir, _ = two
  several.alone(folder, data_dir, tmp_path, *options, epochs=8, report=True)
  found, expected = several.assert_trained_alike(workdir, tmp_path)
  assert found.config.ghost_clips == expected.config.ghost_clips == 2
  assert found.meta['initialised_from'] == expected.meta['initialised_from']
  assert found.meta['initialised_from']['step'] == 50
  # One of two processes compares the stream with the clips.
  compared, alone = (
    json.loads((path / agreement.FILE).read_text())
    for path in (workdir, tmp_path)
  )
  assert compared['num_clips'] == compared['equal'] == 4
  assert compared['early'] == alone['early']
  # What every clip got, gathered from both.
  tables = [
    list(csv.DictReader((path / predictions.FILE).read_text().splitlines()))
    for path in (workdir, tmp_path)
  ]
  for rows in zip(*tables, strict=True):
    (*found, logits), (*wanted, others) = (
      [row[name] for name in ('clip', 'label', 'step', 'logits')]
      for row in rows
    )
    assert found == wanted
    logits, others = (np.array(x.split(), float) for x in (logits, others))
    np.testing.assert_allclose(logits, others, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_kills_change_nothing(two, folder, data_dir, tmp_path):
  """A random process of two is killed at random times; both start again."""
  options, whole, seconds = two
  expected = checkpoints.restore_model(whole)

  def start():
    return several.start(folder, data_dir, tmp_path, 2, *options, epochs=8)

  rng = random.Random(0)
  done = 0
  for _ in range(3 * KILLS):
    started = start()
    killed_at = time.monotonic() + rng.uniform(0.5, 2.0) * seconds
    # Not beyond its share of the run, so that there is something left to kill.
    share = expected.step * (done + 1) // (KILLS + 1)
    while (
      time.monotonic() < killed_at
      and several.last_step(tmp_path) < share
      and all(process.poll() is None for process in started)
    ):
      time.sleep(0.005)
    victim = rng.randrange(2)
    started[victim].kill()
    outputs = [process.communicate(timeout=150) for process in started]
    codes = [process.returncode for process in started]
    done += codes[victim] == -signal.SIGKILL
    other = 1 - victim
    # JAX aborts if it sees the end of process 0 before anything else does.
    if codes[other] == -signal.SIGABRT:
      assert 'another task died' in outputs[other][1]
    else:
      assert codes[other] == stopping.EXIT_AGAIN, (codes, outputs[other])
    if done == KILLS:
      break
  assert done == KILLS
  several.finish(start())
  found = checkpoints.restore_model(tmp_path)
  assert found.step == expected.step == 20
  chex.assert_trees_all_equal(found.variables, expected.variables)
  assert several.losses(tmp_path) == several.losses(whole)


@pytest.mark.slow
def test_two_processes_evaluate_stored_videos_as_one(tmp_path):
  folder = helpers.write_folder(tmp_path / 'videos' / 'train', clips=4).parent
  # Five clips: the processes have three and two of them.
  helpers.write_folder(folder / 'val', ('jump',), clips=3)
  helpers.write_folder(folder / 'val', ('run',), clips=2)
  workdir = tmp_path / 'run'
  options = ('--config.data.storage=video', '--config.eval.crops=3')
  run = folder, tmp_path / 'data', workdir
  several.alone(*run, *options, epochs=2)
  results = []
  for evaluate in (
    lambda: [several.alone(*run, *options, '--mode=eval')],
    lambda: several.train(*run, 2, *options, '--mode=eval'),
  ):
    said = ['5 clips' in output for output in evaluate()]
    assert said == [True] + [False] * (len(said) - 1)
    results.append(json.loads((workdir / 'eval_val.json').read_text()))
    (workdir / 'eval_val.json').unlink()
  one, two = results
  np.testing.assert_allclose(two.pop('loss'), one.pop('loss'), rtol=1e-4)
  assert two == one and one['num_clips'] == 5
