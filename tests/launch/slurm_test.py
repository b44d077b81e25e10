"""launch/slurm.sbatch on a real Slurm: ended, queued again, continued."""

import os
import subprocess
import sys
import time

import chex
import numpy as np
import pytest

from support import commands, helpers, slurm_cluster, trainings
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints, folders

BATCH_FILE = helpers.ROOT / 'launch/slurm.sbatch'
# 200 steps, so that a fast machine is told to stop before their end.
LONG = (
  '--config.epochs=80',
  '--config.model.stage_sizes=(1, 1)',
  '--config.batch_size=8',
  '--config.eval.every_epochs=40',
  '--config.checkpoint.every_steps=50',
)


@pytest.fixture(scope='module')
def slurm():
  missing = slurm_cluster.missing_programs()
  assert not missing, (
    f'This test runs Slurm, but {", ".join(missing)} are not installed; '
    'install them, on Debian and Ubuntu by: apt-get install slurm-wlm munge'
  )
  with slurm_cluster.running() as environment:
    yield {
      **commands.environment(),
      **environment,
      'JAX_NUM_CPU_DEVICES': '1',
      'PYTHON': sys.executable,
    }


def call(slurm, *command):
  done = subprocess.run(
    command, cwd=helpers.ROOT, env=slurm, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


def submit(slurm, log, arguments):
  """Submits the batch file for two tasks; the job's number."""
  return call(
    slurm,
    'sbatch',
    '--parsable',
    '--ntasks-per-node=2',
    '--gpus-per-node=2',
    '--cpus-per-task=1',
    f'--output={log}',
    str(BATCH_FILE),
    *arguments,
  ).strip()


def state(slurm, job):
  """What Slurm says of the job, for example JobState and ExitCode."""
  words = call(slurm, 'scontrol', 'show', 'job', job).split()
  return dict(word.split('=', 1) for word in words if '=' in word)


def wait(slurm, job, log, ready, timeout=300):
  """What Slurm says of the job once `ready` is true of it."""
  deadline = time.monotonic() + timeout
  while not ready(found := state(slurm, job)):
    in_time = time.monotonic() < deadline and not ended(found)
    assert in_time, f'{found}\n{log.read_text()}'
    time.sleep(0.1)
  return found


def ended(found):
  """Whether the job is over and will not start again."""
  return found['JobState'] in ('COMPLETED', 'FAILED', 'CANCELLED')


def past(workdir, step):
  """Whether the run has logged `step`."""
  return any(record['step'] >= step for record in metrics.read(workdir))


def one_task(slurm, job):
  """The process of one of the job's tasks."""
  # PID JOBID STEPID LOCALID GLOBALID, and a dash where a process is no task.
  lines = call(slurm, 'scontrol', 'listpids', job).splitlines()
  (pid,) = (words[0] for words in map(str.split, lines) if words[3] == '1')
  return int(pid)


@pytest.mark.slow
def test_a_job_continues_after_each_of_its_ends(
  slurm, folder, data_dir, tmp_path, monkeypatch
):
  workdir, log = tmp_path / 'run', tmp_path / 'job.log'
  arguments = commands.training(folder, data_dir, workdir, *LONG)[3:]
  job = submit(slurm, log, arguments)

  # What preemption does: SIGTERM to all, and the job back into the queue.
  wait(slurm, job, log, lambda _: past(workdir, 12))
  call(slurm, 'scontrol', 'requeue', job)
  wait(slurm, job, log, lambda job: job['JobState'] == 'PENDING')
  assert 'SIGTERM: step' in log.read_text()
  step = folders.open_latest(workdir, 2).latest_step()
  assert 12 <= step < 200
  wait(slurm, job, log, lambda _: past(workdir, step + 8))
  assert f'at step {step} of 200' in log.read_text()

  # What a time limit does, and a node that is drained: Slurm knows of no end.
  os.kill(one_task(slurm, job), 15)
  found = wait(slurm, job, log, ended)
  text = log.read_text()
  assert (found['JobState'], found['Restarts']) == ('COMPLETED', '2'), text
  assert text.count('Continuing') == 2
  assert text.count('SIGTERM: step') == 2
  assert '8 clips on 2 cpu device(s)' in text  # two tasks as one

  # Without an end, and in this process, whose two devices round otherwise.
  whole = commands.training(folder, data_dir, tmp_path / 'whole', *LONG)[3:]
  trainings.on_devices(monkeypatch, 2)
  done = commands.call('main', *whole)
  assert done.returncode == 0, done.stderr
  # A batch lost or trained twice would change the losses after it altogether.
  np.testing.assert_allclose(
    list(trainings.losses(workdir).items()),
    list(trainings.losses(tmp_path / 'whole').items()),
    rtol=1e-2,
    atol=1e-3,  # processors round otherwise, and losses end below 0.01
  )
  expected = checkpoints.restore_model(tmp_path / 'whole')
  found = checkpoints.restore_model(workdir)
  assert found.step == expected.step == 200
  chex.assert_trees_all_close(
    found.variables, expected.variables, rtol=1e-2, atol=2e-2
  )


@pytest.mark.slow
def test_a_job_that_cannot_run_fails_and_stays_out_of_the_queue(
  slurm, folder, data_dir, tmp_path
):
  log = tmp_path / 'job.log'
  arguments = commands.training(folder, data_dir, tmp_path / 'run')[3:]
  job = submit(slurm, log, [*arguments, '--config.batch_size=3'])
  found = wait(slurm, job, log, ended)
  assert (found['JobState'], found['ExitCode']) == ('FAILED', '2:0')
  assert found['Restarts'] == '0'
  assert 'error: batch_size is 3' in log.read_text()


@pytest.mark.slow
def test_a_cancelled_job_saves_and_stays_out_of_the_queue(
  slurm, folder, data_dir, tmp_path
):
  workdir, log = tmp_path / 'run', tmp_path / 'job.log'
  arguments = commands.training(folder, data_dir, workdir, *LONG)[3:]
  job = submit(slurm, log, arguments)
  wait(slurm, job, log, lambda _: past(workdir, 4))
  call(slurm, 'scancel', job)
  found = wait(slurm, job, log, ended)
  assert (found['JobState'], found['Restarts']) == ('CANCELLED', '0')
  step = folders.open_latest(workdir, 2).latest_step()
  assert f'SIGTERM: step {step} is saved' in log.read_text()


@pytest.mark.slow
def test_every_task_takes_the_gpu_of_its_local_number(slurm, tmp_path):
  log, python = tmp_path / 'job.log', tmp_path / 'python'
  python.write_text(f"""#!{sys.executable}
import os
import jax
from tsm_jax.runs import processes
processes.join(None, None, None)
mine = jax.config.values['jax_cuda_visible_devices']
print('of', os.environ['CUDA_VISIBLE_DEVICES'], 'mine is', mine)
""")
  python.chmod(0o755)
  slurm = {**slurm, 'PYTHON': str(python), 'PYTHONPATH': str(helpers.ROOT)}
  job = submit(slurm, log, [])
  found = wait(slurm, job, log, ended)
  assert found['JobState'] == 'COMPLETED', log.read_text()
  assert found['Restarts'] == '0'
  lines = [s for s in log.read_text().splitlines() if s.startswith('of')]
  assert sorted(lines) == ['of 0,1 mine is 0', 'of 0,1 mine is 1']
