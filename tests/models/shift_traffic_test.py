"""The table of `shift_forms` holds: what it takes moves and copies least."""

import json
import os
import subprocess
import sys

import jax
import pytest

from support import helpers, planning, traffic
from tsm_jax.models import shift_forms

# How much more traffic than the least is still chosen.
SLACK = 1.02


@pytest.mark.parametrize('use', ['training', 'inference'])
def test_on_a_cpu_the_chosen_form_moves_least(use):
  device = jax.devices('cpu')[0]
  found = {
    form: traffic.measure(use, form, device)[0] for form in shift_forms.FORMS
  }
  assert found['auto'] <= SLACK * min(found.values())


@planning.needs_libtpu
def test_on_a_tpu_the_chosen_form_moves_hardly_more_than_no_shift():
  done = subprocess.run(  # libtpu stays in a process that has loaded it
    [sys.executable, traffic.__file__, 'none', 'auto', 'select'],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
    env={
      **os.environ,
      'JAX_EXEC_TIME_OPTIMIZATION_EFFORT': '-1.0',
      'PYTHONPATH': str(helpers.ROOT),
    },
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  # In inference, the masks of the channels are all.
  for use, share in (('training', 1.03), ('inference', 1.0001)):
    (none, copies), (chosen, more), (usual, _) = found[use].values()
    assert chosen < usual
    assert chosen <= share * none
    assert more == copies
