"""What is known of a file is kept: killed or crashed, the doctor goes on."""

import json
import os
import subprocess
import sys
import time

import pytest

from support import commands, decoders, helpers
from tsm_jax.data.doctor import examine, result_cache


def main(*args):
  """The status of the command, in this process."""
  return commands.call('data.doctor', *args).returncode


SCRIPT = """
import os, sys, time
from tsm_jax.data.doctor import __main__ as doctor
from tsm_jax.data.doctor import examine

facts = examine.facts

def work(clip):
  if os.path.basename(clip) == '6.mp4':
    parent = os.getppid()
    while os.getppid() == parent:
      time.sleep(0.1)
  return facts(clip)

if __name__ == '__main__':
  import script  # where its processes find the function

  examine.facts = script.work
  sys.exit(doctor.main(sys.argv[1:]))
"""


def test_a_killed_doctor_continues(tmp_path, monkeypatch):
  (tmp_path / 'script.py').write_text(SCRIPT)
  source = tmp_path / 'clips' / 'run'
  for i in range(10):
    helpers.write_video(source / f'{i}.mp4', seed=i % 9)

  args = (source.parent, '--cache', tmp_path / 'cache')

  def num_known():
    for path in tmp_path.glob('cache/*.sqlite'):
      known = result_cache.ResultCache(path)
      try:
        return len(known)
      finally:
        known.close()
    return 0

  with subprocess.Popen(
    [sys.executable, tmp_path / 'script.py', *args],
    env={**os.environ, 'PYTHONPATH': str(helpers.ROOT)},
  ) as first:
    try:
      until = time.monotonic() + 60
      while num_known() < 6:
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.05)
    finally:
      first.kill()
  examined, facts = [], examine.facts

  def work(clip):
    examined.append(os.path.basename(clip))
    return facts(clip)

  monkeypatch.setattr(examine, 'facts', work)
  assert main(*args, '--json', tmp_path / 'a.json') == 0
  assert sorted(examined) == ['6.mp4', '7.mp4', '8.mp4', '9.mp4']
  main(
    source.parent, '--cache', tmp_path / 'new', '--json', tmp_path / 'b.json'
  )
  assert (tmp_path / 'a.json').read_text() == (tmp_path / 'b.json').read_text()
  # What has changed is examined anew, the rest is not.
  os.utime(source / '3.mp4', (1, 1))
  examined.clear()
  main(*args)
  assert examined == ['3.mp4']


@pytest.mark.usefixtures('processes')
def test_a_decoder_that_crashes_is_told_and_tried_again(tmp_path, monkeypatch):
  root = helpers.write_folder(tmp_path / 'clips', clips=1)
  args = (root, '--cache', tmp_path / 'cache', '--json', tmp_path / 'a.json')
  with monkeypatch.context() as patch:
    patch.setattr(examine, 'facts', decoders.crash)
    assert main(*args) == 1
  found = json.loads((tmp_path / 'a.json').read_text())['findings']
  assert [f['detail'] for f in found] == [
    'the process that read it crashed',
  ] * 2
  assert main(*args) == 0
