"""Trainings in this process: on fewer devices, stopped, and what they log."""

import contextlib
import functools
import itertools
import os
import signal
import struct
from unittest import mock

import jax
from tensorboardX.proto import event_pb2

from tsm_jax import program, sharding, train
from tsm_jax.data.input import pipeline
from tsm_jax.insight import describe, run_report
from tsm_jax.program import metrics, optim
from tsm_jax.stream import agreement


def share_programs():
  """Equal runs of this process share what is compiled and described."""
  build, shared = program.build, {}

  def build_once(
    config, mesh, num_classes, num_clips, mirrored=None, weights=None
  ):
    fields = config.to_dict()
    for name in ('checkpoint', 'eval', 'init_from', 'log_every_steps', 'seed'):
      del fields[name]  # no part of the program
    fields['data'].update(source='', data_dir='', fold=0)
    # The schedule: a test replaces it.
    key = str((fields, num_classes, num_clips, mirrored, weights))
    key = key, mesh, optim.create_schedule
    if key not in shared:
      shared[key] = build(
        config, mesh, num_classes, num_clips, mirrored, weights
      )
    return shared[key]

  program.build = build_once
  describe_model = describe.describe_model
  describe.describe_model = functools.lru_cache(
    lambda *args: tuple(describe_model(*args))
  )


def run(config, workdir, report=False):
  """Trains; the final state, the last result and the log.

  Args:
    config: a configuration.
    workdir: of the run.
    report: whether it compares its stream with its clips and draws its report,
      which takes longer than to train.
  """
  lines = []
  with contextlib.nullcontext() if report else without_report():
    state, result = train.train(config, workdir, lines.append)
  return state, result, '\n'.join(lines)


@contextlib.contextmanager
def without_report():
  """Runs of this process compare no stream with clips and draw no report."""
  with (
    mock.patch.object(run_report, 'write'),
    mock.patch.object(agreement, 'report'),
  ):
    yield


def losses(workdir):
  return {
    r['step']: r['train/loss']
    for r in metrics.read(workdir)
    if 'train/loss' in r
  }


def on_board(workdir):
  """What TensorBoard shows of a run: a set of `(step, name, value)`."""
  shown = set()
  for path in sorted((workdir / 'tensorboard').glob('events*')):
    content = path.read_bytes()
    while len(content) >= 12:  # length, its checksum, record, its checksum
      (length,) = struct.unpack('<Q', content[:8])
      event = event_pb2.Event.FromString(content[12 : 12 + length])
      content = content[16 + length :]
      if event.session_log.status == event_pb2.SessionLog.START:
        shown = {scalar for scalar in shown if scalar[0] < event.step}
      for value in event.summary.value:
        shown.add((event.step, value.tag, value.simple_value))
  return shown


def on_devices(monkeypatch, count):
  devices = jax.devices()[:count]
  create = sharding.create_mesh
  monkeypatch.setattr(sharding, 'create_mesh', lambda: create(devices))


def terminate_at(monkeypatch, number, signum=signal.SIGTERM):
  """Sends this process a real signal when it takes its n-th batch."""
  at_batch(monkeypatch, number, lambda: os.kill(os.getpid(), signum))


def at_batch(monkeypatch, number, action):
  """Calls `action` when this process takes its n-th batch."""
  real = pipeline.ahead

  def taken(batches):
    with contextlib.closing(real(batches)) as ahead:
      for i, batch in enumerate(ahead, 1):
        if i == number:
          action()
        yield batch

  monkeypatch.setattr(pipeline, 'ahead', taken)


def terminate_evaluation(monkeypatch, number, signum=signal.SIGTERM):
  """Sends this process a real signal when its n-th evaluation begins."""
  real, count = pipeline.eval_batches, itertools.count(1)

  def batches(*args):
    if next(count) == number:
      os.kill(os.getpid(), signum)
    yield from real(*args)

  monkeypatch.setattr(pipeline, 'eval_batches', batches)
