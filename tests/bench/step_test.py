import re

import jax
import pytest

from support import commands, helpers
from tsm_jax import sharding
from tsm_jax.bench import __main__ as bench
from tsm_jax.bench import step
from tsm_jax.bench.clips import contenders

CONFIG = (
  *commands.TINY,
  '--config.batch_size=4',
  '--steps=2',
  '--repeats=3',
)


@pytest.fixture
def run(monkeypatch, capsys):
  """Runs the command in this process, on two devices; what it printed."""
  monkeypatch.chdir(helpers.ROOT)
  create_mesh = sharding.create_mesh
  monkeypatch.setattr(
    sharding,
    'create_mesh',
    lambda devices=None: create_mesh(devices or jax.devices()[:2]),
  )

  def run(*options):
    try:
      bench.main(['step', *CONFIG, *options])
    except SystemExit as end:
      assert end.code == 2
      return capsys.readouterr().err
    return capsys.readouterr().out

  return run


def test_the_table_agrees_with_itself(run):
  other = 'batch_size=8,model.dtype=bfloat16,model.shift=none'
  text = run(f'--compare={other}', '--processor')
  assert 'Left out: PyTorch: it takes one device here, and JAX has 2.' in text
  assert '2 x cpu. quickstart, 3 turns of 2 steps, medians of ' in text
  table = {}
  for line in text.splitlines():
    title, *cells = [cell.strip() for cell in line.split('│')[1:-1]] or ['']
    if cells:
      table[title] = [
        float(n) for n in re.findall(r'[\d.e-]+', ' '.join(cells))
      ]
  assert list(table) == ['as configured', other]
  first = table['as configured']
  for clips, row in zip((4, 8), table.values(), strict=True):
    ms, least, most, speed, ratio, _, memory = row
    assert least <= ms <= most
    assert speed == pytest.approx(1e3 * clips / ms, rel=0.05)
    assert ratio == pytest.approx(speed / first[3], rel=0.05)
    assert memory > 0
  # The shift multiplies nothing; twice the clips are twice the arithmetic.
  arithmetic = [row[0] * row[5] for row in table.values()]
  assert arithmetic[1] == pytest.approx(2 * arithmetic[0], rel=0.05)


def test_pytorch_joins_on_one_device(run, monkeypatch):
  create_mesh = sharding.create_mesh
  monkeypatch.setattr(
    sharding, 'create_mesh', lambda *_: create_mesh(jax.devices()[:1])
  )
  monkeypatch.setattr(contenders, 'PYTORCH', {'PyTorch, eager': {}})
  rows = [line for line in run().splitlines() if line.startswith('│')]
  ours, theirs = ([c.strip() for c in row.split('│')[1:-1]] for row in rows)
  assert (ours[0], theirs[0]) == ('as configured', 'PyTorch, eager')
  speeds = [float(row[3]) for row in (ours, theirs)]
  assert float(theirs[4]) == pytest.approx(speeds[1] / speeds[0], rel=0.1)
  assert theirs[5] and not theirs[6]  # the same arithmetic, unknown memory


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
def test_mistakes_are_sentences(run, options, message):
  (line,) = (s for s in run(*options).splitlines() if s.startswith('error: '))
  assert message in line


def test_too_little_memory_is_a_sentence(run, monkeypatch):
  def prepare(*args):  # without filling it
    raise MemoryError('Unable to allocate 9.00 TiB')

  monkeypatch.setattr(step, 'prepare', prepare)
  assert run().splitlines()[-1] == (
    'error: batch_size is 4, too large for the memory here: Unable to allocate '
    '9.00 TiB'
  )
