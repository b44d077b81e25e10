"""Two builds of one dataset at a time, as real processes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support import helpers
from tsm_jax.data.store import dataset

# The first process ends in the middle of its build where it is told to hang.
SCRIPT = """
import functools, os, sys, time
from tsm_jax.data import build
from tsm_jax.data.clips import codec
from tsm_jax.data.store import builder

def work(path, **options):
  if sys.argv[1] == 'hang':
    time.sleep(600)
  time.sleep(0.3)
  return codec.to_record(path, **options)

if __name__ == '__main__':
  builder.Plan = functools.partial(builder.Plan, to_record=work)
  build.main(sys.argv[2:])
"""


def start(tmp_path, how):
  script = tmp_path / 'script.py'
  script.write_text(SCRIPT)
  places = ('--manual_dir', tmp_path / 'clips', '--data_dir', tmp_path / 'data')
  return subprocess.Popen(
    [sys.executable, script, how, 'folder', *places],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env={**os.environ, 'PYTHONPATH': str(helpers.ROOT)},
    start_new_session=True,
  )


def until_it_builds(process):
  lines = iter(process.stdout.readline, '')
  assert any(line.startswith('Building ') for line in lines)
  time.sleep(1)


@pytest.mark.parametrize('first', ['finish', 'hang'])
def test_the_second_waits_for_the_first(tmp_path, first):
  helpers.write_folder(tmp_path / 'clips')
  one = start(tmp_path, first)
  until_it_builds(one)
  other = start(tmp_path, 'finish')
  waits = other.stdout.readline()
  assert waits.startswith('Another process makes '), waits
  if first == 'hang':
    os.kill(one.pid, signal.SIGKILL)  # its workers still live
  out, errs = other.communicate(timeout=120)
  assert other.returncode == 0, errs
  assert ('Building' in out) == (first == 'hang')
  last = out.splitlines()[-1]
  if first == 'hang':
    os.killpg(one.pid, signal.SIGKILL)
    one.communicate(timeout=60)
  else:
    rest, errs = one.communicate(timeout=60)
    assert one.returncode == 0, errs
    assert rest.splitlines()[-1] == last
  path = last.partition('source=')[2]
  assert sum(map(len, dataset.open(path).report['num_frames'].values())) == 8
  found = [r for s in ('train', 'val') for r in dataset.open(path).split(s)]
  assert len({record['video_id'] for record in found}) == 8
