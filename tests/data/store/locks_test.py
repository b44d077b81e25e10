"""Two builds of one dataset at a time, as real processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from support import helpers
from tsm_jax.data.store import dataset

# This process ends in the middle of its build if it is to hang.
SCRIPT = """
import functools, json, sys, time
from tsm_jax.data.clips import codec, workers
from tsm_jax.data.store import builder, dataset

def work(path, what, **options):
  if what == 'hang':
    time.sleep(600)
  time.sleep(0.3)
  return codec.to_record(path, **options)

def log(line):
  print(line, flush=True)

if __name__ == '__main__':
  import script  # where its processes find the function

  workers.DEFAULT_SIZE = 1  # a process that is not this one
  work = functools.partial(script.work, what=sys.argv[1])
  builder.Plan = functools.partial(builder.Plan, to_record=work)
  log(dataset.prepare(json.loads(sys.argv[2]), log=log).path)
"""


def start(tmp_path, what, config):
  script = tmp_path / 'script.py'
  script.write_text(SCRIPT)
  return subprocess.Popen(
    [sys.executable, script, what, json.dumps(config)],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env={**os.environ, 'PYTHONPATH': str(helpers.ROOT)},
    start_new_session=True,
  )


@contextlib.contextmanager
def ended(process, seconds=120):
  """Ends the process and its workers, at the latest after some seconds."""

  def kill():
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)

  timer = threading.Timer(seconds, kill)
  timer.start()
  try:
    yield
  finally:
    timer.cancel()
    kill()
    process.communicate(timeout=60)


def until_it_builds(process):
  lines = iter(process.stdout.readline, '')
  assert any(line.startswith('Building ') for line in lines)
  time.sleep(1)


@pytest.mark.parametrize('first', ['finish', 'hang'])
def test_the_second_waits_for_the_first(tmp_path, first):
  source = helpers.write_folder(tmp_path / 'clips')
  config = {**helpers.DATA, 'source': str(source)}
  config['data_dir'] = str(tmp_path / 'data')
  one = start(tmp_path, first, config)
  lines = []

  def log(line):
    lines.append(line)
    if len(lines) == 1 and first == 'hang':
      os.kill(one.pid, signal.SIGKILL)  # its workers still live

  with ended(one):
    until_it_builds(one)
    built = dataset.prepare(config, log=log)
    assert lines[0].startswith('Another process makes '), lines
    assert any('Building' in line for line in lines) == (first == 'hang')
    if first == 'finish':
      rest, errs = one.communicate(timeout=60)
      assert one.returncode == 0, errs
      assert rest.splitlines()[-1] == str(built.path)
  assert sum(map(len, built.report['num_frames'].values())) == 8
  found = [r for s in ('train', 'val') for r in built.split(s)]
  assert len({record['video_id'] for record in found}) == 8
