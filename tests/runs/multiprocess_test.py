"""Several processes, started by the command itself, as on several hosts."""

import json
import random
import signal
import subprocess
import time

import chex
import numpy as np
import pytest

from support import commands, helpers
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints, stopping
from tsm_jax.stream import agreement


def start(
  folder,
  data_dir,
  workdir,
  count,
  *more,
  epochs=4,
  devices=4,
  found=None,
  each=lambda index: [],
):
  """Starts a training with some devices on `count` processes.

  Args:
    folder: of videos.
    data_dir: of the built dataset.
    workdir: of the run.
    count: of processes.
    *more: arguments.
    epochs: to train.
    devices: of all processes together.
    found: environment of process `index`, a function of it and a port, by which
      the processes find each other; by default they are told by flags.
    each: further arguments of process `index`.

  Returns:
    The processes.
  """
  port = commands.free_port()
  started = []
  for index in range(count):
    arguments = commands.training(
      folder,
      data_dir,
      workdir,
      '--config.batch_size=8',
      f'--config.epochs={epochs}',
      '--config.log_every_steps=1',
      '--config.model.dropout=0.0',
      *more,
      *each(index),
    )
    if count > 1 and not found:
      arguments += [
        f'--coordinator=localhost:{port}',
        f'--num_processes={count}',
        f'--process_id={index}',
      ]
    started.append(
      subprocess.Popen(
        arguments,
        cwd=helpers.ROOT,
        env={
          **commands.environment(),
          'JAX_NUM_CPU_DEVICES': str(devices // count),
          **(found(index, port) if found else {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
    )
  return started


def finish(started, code=0, timeout=300):
  """The standard output and error of each, which must end with a status."""
  try:
    outputs = [process.communicate(timeout=timeout) for process in started]
  except subprocess.TimeoutExpired:
    for process in started:
      process.kill()
    outputs = [process.communicate() for process in started]
    raise AssertionError(f'too late after {timeout} s: {outputs}') from None
  for process, output in zip(started, outputs):
    assert process.returncode == code, ''.join(output)
  return outputs


def train(*args, **kwargs):
  """Trains as `start` says; the standard outputs of all."""
  return [output for output, _ in finish(start(*args, **kwargs))]


def losses(workdir):
  return [
    record['train/loss']
    for record in metrics.read(workdir)
    if 'train/loss' in record
  ]


@pytest.fixture(scope='module')
def one(folder, data_dir, tmp_path_factory):
  """The workdir of a run of 10 steps by one process."""
  workdir = tmp_path_factory.mktemp('one')
  (output,) = train(folder, data_dir, workdir, 1)
  assert_starts(output)
  return workdir


def assert_starts(output):
  assert '10 steps of 8 clips on 4 cpu device(s)' in output
  assert 'top-1' in output  # of 4 clips in one batch of 8


def assert_trained_alike(found, expected):
  """The same losses and parameters in two workdirs; the checkpoints."""
  # Each loss is that of its batch: the same clips, in the same order.
  np.testing.assert_allclose(losses(found), losses(expected), rtol=1e-5)
  found, expected = map(checkpoints.restore_model, (found, expected))
  assert found.step == expected.step
  chex.assert_trees_all_close(
    found.variables, expected.variables, rtol=1e-4, atol=1e-6
  )
  return found, expected


@pytest.mark.slow
def test_four_processes_train_as_one_does(one, folder, tmp_path):
  first, *others = train(folder, tmp_path / 'data', tmp_path, 4)  # built, too
  assert_starts(first)
  for output in others:
    assert 'Training' not in output  # one process speaks for all
  assert_trained_alike(tmp_path, one)


@pytest.mark.slow
def test_two_processes_with_all_options(one, folder, data_dir, tmp_path):
  options = (
    f'--config.init_from={one}',
    '--config.model.bn_stats=local',
    '--config.ema_decay=0.5',
    '--config.eval.precise_bn_batches=1',
    '--config.model.direction=past',
  )
  for count in (1, 2):
    train(folder, data_dir, tmp_path / str(count), count, *options, epochs=2)
  found, expected = assert_trained_alike(tmp_path / '2', tmp_path / '1')
  assert found.config.ghost_clips == expected.config.ghost_clips == 2
  assert found.meta['initialised_from'] == expected.meta['initialised_from']
  assert found.meta['initialised_from']['step'] == 10
  # One of two processes compares the stream with the clips.
  several, alone = (
    json.loads((tmp_path / count / agreement.FILE).read_text())
    for count in ('2', '1')
  )
  assert several['num_clips'] == several['equal'] == 4
  assert several['early'] == alone['early']


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
def test_a_run_goes_on_with_fewer_processes(folder, data_dir, tmp_path):
  """SIGTERM to any one of them saves the same step on all."""
  few = ('--config.checkpoint.every_steps=5', '--config.base_learning_rate=0.1')
  one, parts = tmp_path / 'one', tmp_path / 'parts'
  train(folder, data_dir, one, 1, *few, epochs=20)
  # Four processes, then two that Slurm started, then one.
  for count, found, victim, step in ((4, None, 0, 10), (2, slurm, 1, 25)):
    started = start(
      folder, data_dir, parts, count, *few, epochs=20, found=found
    )
    await_step(parts, step, started)
    started[victim].send_signal(signal.SIGTERM)
    outputs = finish(started, stopping.EXIT_AGAIN, 60)
    saved = checkpoints.restore_model(parts).step
    assert f'SIGTERM: step {saved} is saved' in outputs[0][0]
    assert max(r['step'] for r in metrics.read(parts)) <= saved
  (last,) = train(folder, data_dir, parts, 1, *few, epochs=20)
  assert 'Continuing' in last
  found, _ = assert_trained_alike(parts, one)
  assert found.step == 50


# --- When something goes wrong. ---


KILLS = 6
ENDLESS = ('--config.checkpoint.every_steps=5', '--config.eval.every_epochs=2')


def await_step(workdir, step, started):
  """Waits until a step is logged and there is a checkpoint."""
  deadline = time.monotonic() + 240
  while max((r['step'] for r in metrics.read(workdir)), default=0) < step or (
    not any(p.name.isdigit() for p in workdir.glob('checkpoints/*'))
  ):
    for process in started:
      assert process.poll() is None, process.communicate()
    assert time.monotonic() < deadline, 'the run makes no progress'
    time.sleep(0.01)


def sentence(output):
  """The one line of an error among what libraries print."""
  (line,) = (s for s in output[1].splitlines() if s.startswith('error: '))
  assert 'Traceback' not in output[1]
  return line


@pytest.mark.slow
@pytest.mark.parametrize(
  ('signum', 'victim'), [(signal.SIGKILL, 1), (signal.SIGSTOP, 0)]
)
def test_a_lost_process_ends_the_others(
  signum, victim, folder, data_dir, tmp_path
):
  started = start(
    folder,
    data_dir,
    tmp_path,
    2,
    '--config.stall_seconds=15',
    *ENDLESS,
    epochs=400,
  )
  await_step(tmp_path, 7, started)
  started[victim].send_signal(signum)
  begin = time.monotonic()
  other = started[1 - victim]
  output = other.communicate(timeout=60)
  assert time.monotonic() - begin < 45  # of which 15 are stall_seconds
  started[victim].kill()
  started[victim].communicate()
  assert other.returncode == stopping.EXIT_AGAIN
  assert_says_how_it_ended(1 - victim, output)


def assert_says_how_it_ended(index, output):
  line = sentence(output)
  assert f'Process {index} of 2 ends' in line
  assert 'start all of them again' in line


@pytest.mark.slow
def test_kills_change_nothing(folder, data_dir, tmp_path):
  """A random process of two is killed at random times; both start again."""
  parts = tmp_path / 'parts'
  fields = ('--config.checkpoint.every_steps=2', '--join_seconds=60')
  epochs, steps = 48, 120
  begin = time.monotonic()
  train(folder, data_dir, tmp_path / 'whole', 2, *fields, epochs=epochs)
  seconds = time.monotonic() - begin
  rng = random.Random(0)
  done = 0
  for _ in range(3 * KILLS):
    started = start(folder, data_dir, parts, 2, *fields, epochs=epochs)
    killed_at = time.monotonic() + rng.uniform(0.2, 1.0) * seconds
    # Not beyond its share of the run, so that there is something left to kill.
    share = steps * (done + 1) // (KILLS + 1)
    while (
      time.monotonic() < killed_at
      and max((r['step'] for r in metrics.read(parts)), default=0) < share
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
  train(folder, data_dir, parts, 2, *fields, epochs=epochs)
  expected = checkpoints.restore_model(tmp_path / 'whole')
  found = checkpoints.restore_model(parts)
  assert found.step == expected.step == steps
  chex.assert_trees_all_equal(found.variables, expected.variables)
  assert losses(parts) == losses(tmp_path / 'whole')


def test_processes_that_were_started_differently_say_so(folder, tmp_path):
  started = start(
    folder,
    tmp_path / 'data',
    tmp_path,
    2,
    each=lambda index: [
      f'--config.seed={index}',
      f'--config.epochs={index + 2}',
    ],
  )
  for output in finish(started, 2, 120):
    assert 'Processes 0 and 1 were not started alike' in sentence(output)
    assert 'of: epochs (2.0 and 3.0), seed (0 and 1).' in sentence(output)
  assert not (tmp_path / 'checkpoints').exists()


@pytest.mark.slow
def test_bad_input_of_one_ends_all(folder, tmp_path):
  """Each with its own status, and soon."""
  nowhere = '--config.data.source=/no/such/folder'
  started = start(
    folder,
    tmp_path / 'data',
    tmp_path,
    2,
    each=lambda index: [nowhere] * index,
  )
  outputs = [process.communicate(timeout=120) for process in started]
  assert started[1].returncode == 2, outputs[1]
  assert "data.source is '/no/such/folder'" in sentence(outputs[1])
  # JAX aborts it if it is faster.
  codes = (stopping.EXIT_AGAIN, -signal.SIGABRT)
  assert started[0].returncode in codes, outputs[0]


def test_a_coordinator_that_is_not_there(tmp_path):
  begin = time.monotonic()
  done = commands.run(
    commands.command(
      'main',
      '--config=configs/quickstart.py',
      f'--coordinator=localhost:{commands.free_port()}',
      '--num_processes=2',
      '--process_id=1',
      '--join_seconds=3',
    )
  )
  assert time.monotonic() - begin < 60
  assert done.returncode == stopping.EXIT_AGAIN, done.stderr
  assert 'did not find the others within 3 s' in sentence(
    (done.stdout, done.stderr)
  )


@pytest.mark.slow
def test_four_processes_evaluate_stored_videos_as_one(tmp_path):
  folder = helpers.write_folder(tmp_path / 'videos' / 'train', clips=4).parent
  # Five clips: the processes have two, one, one and one of them.
  helpers.write_folder(folder / 'val', ('jump',), clips=3)
  helpers.write_folder(folder / 'val', ('run',), clips=2)
  data_dir, workdir = tmp_path / 'data', tmp_path / 'run'
  options = ('--config.data.storage=video', '--config.eval.crops=3')
  train(folder, data_dir, workdir, 1, *options, epochs=2)
  results = []
  for count in (1, 4):
    outputs = train(folder, data_dir, workdir, count, *options, '--mode=eval')
    assert ['5 clips' in output for output in outputs] == [
      index == 0 for index in range(count)
    ]
    results.append(json.loads((workdir / 'eval_val.json').read_text()))
    (workdir / 'eval_val.json').unlink()
  one, four = results
  np.testing.assert_allclose(four.pop('loss'), one.pop('loss'), rtol=1e-4)
  assert four == one and one['num_clips'] == 5
