"""Trainings of several processes, as on several hosts, and of this one."""

import subprocess
import time

import chex
import numpy as np
import pytest

from support import commands, helpers, trainings
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints


def arguments(folder, data_dir, workdir, *more, epochs=4):
  """Of the command; one step is two and a half of an epoch."""
  return commands.training(
    folder,
    data_dir,
    workdir,
    '--config.batch_size=8',
    f'--config.epochs={epochs}',
    '--config.log_every_steps=1',
    '--config.model.dropout=0.0',
    *more,
  )


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
    command = arguments(
      folder, data_dir, workdir, *more, *each(index), epochs=epochs
    )
    if not found:
      command += [
        f'--coordinator=localhost:{port}',
        f'--num_processes={count}',
        f'--process_id={index}',
      ]
    started.append(
      subprocess.Popen(
        command,
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


def alone(*args, epochs=4, devices=4, report=False):
  """Trains on as many devices in this process; its standard output.

  Its program is the one that several compile, without their start.
  """
  with pytest.MonkeyPatch.context() as patch:
    trainings.on_devices(patch, devices)
    _, _, _, *words = arguments(*args, epochs=epochs)
    done = commands.call('main', *words, report=report)
  assert done.returncode == 0, done.stderr
  return done.stdout


def losses(workdir):
  return list(trainings.losses(workdir).items())


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


def last_step(workdir):
  """The last step that is logged; 0 before the first."""
  return max((r['step'] for r in metrics.read(workdir)), default=0)


def await_step(workdir, step, started):
  """Waits until a step is logged and there is a checkpoint."""
  deadline = time.monotonic() + 240
  while last_step(workdir) < step or (
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


def assert_says_how_it_ended(index, output):
  line = sentence(output)
  assert f'Process {index} of 2 ends' in line
  assert 'start all of them again' in line
