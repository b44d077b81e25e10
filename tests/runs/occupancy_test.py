"""A workdir belongs to one run. That of a living process is in main_test."""

import contextlib
import json
import os
import shutil

import pytest

from tsm_jax import errors
from tsm_jax.runs import occupancy


def test_two_runs_of_one_process_are_refused(tmp_path):
  for _ in range(2):  # the hold ends with the run
    with (
      occupancy.held(tmp_path / 'run') as occupied,
      occupancy.held(tmp_path / 'other'),
      contextlib.ExitStack() as stack,
    ):
      with pytest.raises(errors.InputError, match=r'/run \(process \d+ on'):
        stack.enter_context(occupancy.held(tmp_path / 'run'))
      occupied.check()


def test_a_lock_that_is_no_file_is_named(tmp_path):
  os.mkfifo(tmp_path / occupancy.LOCK)
  with (
    pytest.raises(errors.InputError, match=r'run\.lock is no regular file'),
    occupancy.held(tmp_path),
  ):
    pass


def test_a_workdir_that_was_removed_is_named(tmp_path):
  with occupancy.held(tmp_path / 'run') as occupied:
    (tmp_path / 'run' / occupancy.OWNER).unlink()
    occupied.check()  # which it writes again
    (tmp_path / 'run' / occupancy.OWNER).write_text('')
    occupied.check()
    shutil.rmtree(tmp_path / 'run')
    with pytest.raises(errors.InputError, match='/run was removed while'):
      occupied.check()


def test_the_lock_of_a_machine_that_is_gone_is_waited_for(
  tmp_path, monkeypatch
):
  granted = iter([False, False, True])
  monkeypatch.setattr(occupancy.locks, 'acquire', lambda file: next(granted))
  monkeypatch.setattr(occupancy.time, 'sleep', lambda seconds: None)
  owner = {'host': 'elsewhere', 'process': 7, 'since': 'noon'}
  (tmp_path / occupancy.OWNER).write_text(json.dumps(owner))
  lines = []
  with occupancy.held(tmp_path, lines.append) as occupied:
    occupied.check()
  assert "another run (process 7 on 'elsewhere', since 'noon')" in lines[0]
