"""The table of `shift_forms` holds: what it takes moves and copies least."""

import json
import os
import subprocess
import sys

import jax
import pytest

from support import helpers, planning, traffic
from tsm_jax.models import shift_forms


@pytest.mark.parametrize('use', ['training', 'inference'])
def test_on_a_cpu_the_chosen_form_selects_no_values(use):
  """There XLA counts the same bytes for a form of twice the time as for others.

  What takes time is to decide about every value by its channel and frame, where
  a concatenation moves whole rows.
  """
  device = jax.devices('cpu')[0]
  found = {
    form: traffic.selections(use, form, device)
    for form in ('none', *shift_forms.FORMS)
  }
  assert found['auto'] == found['none']
  others = {'select', 'pad', 'roll'}
  assert all(found[form] > found['none'] for form in others)
  _, copies = traffic.measure(use, 'auto', device)
  assert copies == traffic.measure(use, 'none', device)[1]


@planning.needs_libtpu
def test_on_a_tpu_the_chosen_form_moves_hardly_more_than_no_shift():
  done = subprocess.run(  # libtpu stays in a process that has loaded it
    [sys.executable, traffic.__file__],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
    env={
      **os.environ,
      **planning.LESS_EFFORT,
      'PYTHONPATH': str(helpers.ROOT),
    },
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  # In inference, the masks of the channels are all.
  shares = {'inference': 1.0001, 'strided': 1.0001}
  shares.update({'training': 1.02, 'long': 1.02, 'inverted': 1.035})
  # Of the first block, what is shifted is stored, and of the last one the
  # gradient of the sum: 1.05 for a whole ResNet-50.
  shares['in place'] = 1.1
  assert found.keys() == shares.keys()
  for use, share in shares.items():
    (none, copies), (chosen, more), *usual = found[use].values()
    assert all(chosen < moved for moved, _ in usual)
    assert chosen <= share * none
    assert more == copies
