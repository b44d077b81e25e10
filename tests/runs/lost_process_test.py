"""Several processes of which one is wrong or gone: all end, and say why."""

import signal
import time

import pytest

from support import commands, several
from tsm_jax.runs import stopping


@pytest.mark.slow
@pytest.mark.parametrize(
  ('signum', 'victim'), [(signal.SIGKILL, 1), (signal.SIGSTOP, 0)]
)
def test_a_lost_process_ends_the_others(
  signum, victim, folder, data_dir, tmp_path
):
  started = several.start(
    folder,
    data_dir,
    tmp_path,
    2,
    '--config.stall_seconds=20',
    '--config.checkpoint.every_steps=5',
    '--config.eval.every_epochs=2',
    epochs=400,
  )
  several.await_step(tmp_path, 7, started)
  started[victim].send_signal(signum)
  begin = time.monotonic()
  other = started[1 - victim]
  output = other.communicate(timeout=60)
  assert time.monotonic() - begin < 50  # of which 20 are stall_seconds
  started[victim].kill()
  started[victim].communicate()
  assert other.returncode == stopping.EXIT_AGAIN
  several.assert_says_how_it_ended(1 - victim, output)


def test_processes_that_were_started_differently_say_so(folder, tmp_path):
  started = several.start(
    folder,
    tmp_path / 'data',
    tmp_path,
    2,
    each=lambda index: [
      f'--config.seed={index}',
      f'--config.epochs={index + 2}',
    ],
  )
  for output in several.finish(started, 2, 120):
    assert 'Processes 0 and 1 were not started alike' in several.sentence(
      output
    )
    assert 'of: epochs (2.0 and 3.0), seed (0 and 1).' in several.sentence(
      output
    )
  assert not (tmp_path / 'checkpoints').exists()


@pytest.mark.slow
def test_bad_input_of_one_ends_all(folder, tmp_path):
  """Each with its own status, and soon."""
  nowhere = '--config.data.source=/no/such/folder'
  started = several.start(
    folder,
    tmp_path / 'data',
    tmp_path,
    2,
    each=lambda index: [nowhere] * index,
  )
  outputs = [process.communicate(timeout=120) for process in started]
  assert started[1].returncode == 2, outputs[1]
  assert "data.source is '/no/such/folder'" in several.sentence(outputs[1])
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
  assert 'did not find the others within 3 s' in several.sentence(
    (done.stdout, done.stderr)
  )
