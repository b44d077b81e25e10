"""Several processes, started by the command itself, as on several hosts."""

import json
import socket
import subprocess

import chex
import helpers
import main_test
import numpy as np
import pytest

from tsm_jax import checkpoints, metrics


def free_port():
  with socket.socket() as server:
    server.bind(('localhost', 0))
    return server.getsockname()[1]


def train(folder, data_dir, workdir, count, *more, epochs=4):
  """Trains on `count` processes; the outputs of all."""
  return start(
    count,
    main_test.training(
      folder,
      data_dir,
      workdir,
      '--config.batch_size=8',
      f'--config.epochs={epochs}',
      '--config.log_every_steps=1',
      '--config.model.dropout=0.0',
      *more,
    ),
  )


def start(count, arguments):
  """Runs a command with four devices on `count` processes; their outputs."""
  port = free_port()
  processes = []
  for index in range(count):
    address = []
    if count > 1:
      address = [
        f'--coordinator=localhost:{port}',
        f'--num_processes={count}',
        f'--process_id={index}',
      ]
    processes.append(
      subprocess.Popen(
        [*arguments, *address],
        cwd=helpers.ROOT,
        env=main_test.environment() | {'JAX_NUM_CPU_DEVICES': str(4 // count)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
    )
  outputs = [process.communicate(timeout=300) for process in processes]
  for process, (_, errors) in zip(processes, outputs):
    assert process.returncode == 0, errors
  return [output for output, _ in outputs]


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
    arguments = main_test.training(
      folder, data_dir, workdir, '--config.batch_size=4', *options
    )
    outputs = start(count, [*arguments, '--mode=eval'])
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
