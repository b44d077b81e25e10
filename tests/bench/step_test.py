import re
import subprocess
import sys

import pytest

from support import commands, helpers

CONFIG = (
  '--config=configs/quickstart.py',
  '--config.model.stage_sizes=(1, 1)',
  '--config.data.image_size=32',
  '--config.model.num_frames=4',
  '--config.batch_size=4',
  '--steps=2',
  '--repeats=3',
)


def run(*options, devices=2, program=('-m', 'tsm_jax.bench', 'step')):
  return subprocess.run(
    [sys.executable, *program, *CONFIG, *options],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
    env={**commands.environment(), 'JAX_NUM_CPU_DEVICES': str(devices)},
  )


@pytest.mark.slow
def test_the_table_agrees_with_itself():
  none, large = 'model.shift=none', 'batch_size=8,model.dtype=bfloat16'
  done = run(f'--compare={none}', f'--compare={large}')
  assert done.returncode == 0, done.stderr
  assert '2 x cpu. quickstart, 3 turns of 2 steps, medians.' in done.stdout
  table = {}
  for line in done.stdout.splitlines():
    title, *cells = [cell.strip() for cell in line.split('│')[1:-1]] or ['']
    if cells:
      table[title] = [
        float(n) for n in re.findall(r'[\d.e-]+', ' '.join(cells))
      ]
  assert list(table) == ['as configured', none, large]
  first = table['as configured']
  for title, (ms, least, most, rate, ratio, _, memory) in table.items():
    assert least <= ms <= most
    clips = 8 if title == large else 4
    assert rate == pytest.approx(1e3 * clips / ms, rel=0.05)
    assert ratio == pytest.approx(rate / first[3], rel=0.05)
    assert memory > 0
  # The shift multiplies nothing; twice the clips are twice the arithmetic.
  arithmetic = {title: row[0] * row[5] for title, row in table.items()}
  assert arithmetic[none] == pytest.approx(
    arithmetic['as configured'], rel=0.05
  )
  assert arithmetic[large] == pytest.approx(2 * arithmetic[none], rel=0.05)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    (
      ['--compare=model.shft=none'],
      "There is no field 'model.shft'; did you mean 'model.shift'?",
    ),
    (['--compare=batch_size=3'], 'batch_size is 3, which the 2 devices'),
  ],
)
def test_mistakes_are_sentences(options, message):
  done = run(*options)
  assert done.returncode == 2 and 'Traceback' not in done.stderr
  (line,) = (s for s in done.stderr.splitlines() if s.startswith('error: '))
  assert message in line


FULL = """
import sys
from tsm_jax import bench, bench_step
def prepare(config, mesh):
  raise MemoryError('Unable to allocate 9.00 TiB')
bench_step.prepare = prepare
bench.main(['step', *sys.argv[1:]])
"""


def test_too_little_memory_is_a_sentence():
  done = run(program=('-c', FULL))  # without filling it
  assert done.returncode == 2
  assert done.stderr.splitlines()[-1] == (
    'error: batch_size is 4, too large for the memory here: Unable to allocate '
    '9.00 TiB'
  )
