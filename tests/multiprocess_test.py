"""Several processes, started by the command itself, as on several hosts."""

import json
import signal
import socket
import subprocess
import time

import chex
import helpers
import main_test
import numpy as np
import pytest

from tsm_jax import checkpoints, metrics, processes


def free_port():
  with socket.socket() as server:
    server.bind(('localhost', 0))
    return server.getsockname()[1]


def start(
  folder, data_dir, workdir, count, *more, epochs=4, devices=4, found=None
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

  Returns:
    The processes.
  """
  port = free_port()
  started = []
  for index in range(count):
    arguments = main_test.training(
      folder,
      data_dir,
      workdir,
      '--config.batch_size=8',
      f'--config.epochs={epochs}',
      '--config.log_every_steps=1',
      '--config.model.dropout=0.0',
      *more,
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
          **main_test.environment(),
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
  outputs = [process.communicate(timeout=timeout) for process in started]
  for process, output in zip(started, outputs):
    assert process.returncode == code, output
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


def test_two_processes_train_as_one_does(folder, tmp_path):
  data_dir = tmp_path / 'data'
  (one,) = train(folder, data_dir, tmp_path / 'one', 1)
  first, second = train(folder, data_dir, tmp_path / 'two', 2)
  for output in (one, first):
    assert '10 steps of 8 clips on 4 cpu device(s)' in output
    assert 'top-1' in output  # of 4 clips in one batch of 8
  assert 'Training' not in second  # one process speaks for all
  np.testing.assert_allclose(
    losses(tmp_path / 'two'), losses(tmp_path / 'one'), rtol=1e-5
  )
  expected = checkpoints.restore_model(tmp_path / 'one')
  found = checkpoints.restore_model(tmp_path / 'two')
  assert found.step == expected.step == 10
  chex.assert_trees_all_close(
    found.variables, expected.variables, rtol=1e-4, atol=1e-6
  )
  # Two processes made the checkpoint, one goes on with it.
  (alone,) = train(folder, data_dir, tmp_path / 'two', 1)
  assert 'This run finished at step 10' in alone


@pytest.mark.slow
def test_the_options_of_training_too(folder, tmp_path):
  data_dir = tmp_path / 'data'
  train(folder, data_dir, tmp_path / 'first', 1)
  options = (
    f'--config.init_from={tmp_path / "first"}',
    '--config.model.bn_stats=local',
    '--config.ema_decay=0.5',
    '--config.eval.precise_bn_batches=1',
  )
  train(folder, data_dir, tmp_path / 'one', 1, *options, epochs=2)
  train(folder, data_dir, tmp_path / 'two', 2, *options, epochs=2)
  np.testing.assert_allclose(
    losses(tmp_path / 'two'), losses(tmp_path / 'one'), rtol=1e-5
  )
  expected = checkpoints.restore_model(tmp_path / 'one')
  found = checkpoints.restore_model(tmp_path / 'two')
  assert found.config.ghost_clips == expected.config.ghost_clips == 2
  assert found.meta['initialised_from'] == expected.meta['initialised_from']
  assert found.meta['initialised_from']['step'] == 10
  chex.assert_trees_all_close(
    found.variables, expected.variables, rtol=1e-4, atol=1e-6
  )


# --- When something goes wrong. ---


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


@pytest.mark.parametrize('victim', [0, 1])
def test_sigterm_to_one_saves_on_all(victim, folder, tmp_path):
  data_dir = tmp_path / 'data'
  started = start(folder, data_dir, tmp_path, 2, *ENDLESS, epochs=400)
  await_step(tmp_path, 7, started)
  started[victim].send_signal(signal.SIGTERM)
  outputs = finish(started, processes.EXIT_AGAIN, 60)
  step = checkpoints.restore_model(tmp_path).step
  assert f'SIGTERM: step {step} is saved' in outputs[0][0]
  assert max(r['step'] for r in metrics.read(tmp_path)) <= step


@pytest.mark.parametrize('victim', [0, 1])
@pytest.mark.parametrize('signum', [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_process_ends_the_others(signum, victim, folder, tmp_path):
  data_dir = tmp_path / 'data'
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
  (output,) = finish([started[1 - victim]], processes.EXIT_AGAIN, 60)
  print('ended after', time.monotonic() - begin, output)
  started[victim].kill()
  started[victim].communicate()
  line = sentence(output)
  assert f'Process {1 - victim} of 2 ends' in line
  assert 'start all of them again' in line


def test_a_coordinator_that_is_not_there(tmp_path):
  begin = time.monotonic()
  done = main_test.run(
    main_test.command(
      'main',
      '--config=configs/quickstart.py',
      f'--coordinator=localhost:{free_port()}',
      '--num_processes=2',
      '--process_id=1',
      '--join_seconds=3',
    )
  )
  assert time.monotonic() - begin < 60
  assert done.returncode == processes.EXIT_AGAIN, done.stderr
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


def test_half_an_address_is_refused(tmp_path):
  done = main_test.run(
    main_test.command(
      'main', '--config=configs/quickstart.py', '--coordinator=localhost:1'
    )
  )
  assert done.returncode == 2
  assert 'belong together' in done.stderr
