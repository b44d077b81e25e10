import re

import pytest

from support import helpers
from tsm_jax.bench import __main__ as bench
from tsm_jax.bench import step

# How ml_collections loads a configuration.
pytestmark = pytest.mark.filterwarnings(
  'ignore:the load_module:DeprecationWarning'
)

CONFIG = (
  '--config=configs/quickstart.py',
  '--config.model.stage_sizes=(1, 1)',
  '--config.model.width=8',
  '--config.data.image_size=32',
  '--config.model.num_frames=4',
  '--config.batch_size=8',
  '--steps=2',
  '--repeats=3',
)


@pytest.fixture
def run(monkeypatch, capsys):
  """Runs the command in this process; what it printed, or its error."""
  monkeypatch.chdir(helpers.ROOT)

  def run(*options):
    try:
      bench.main(['step', *CONFIG, *options])
    except SystemExit as end:
      assert end.code == 2
      return capsys.readouterr().err
    return capsys.readouterr().out

  return run


def test_the_table_agrees_with_itself(run):
  none, large = 'model.shift=none', 'batch_size=16,model.dtype=bfloat16'
  text = run(f'--compare={none}', f'--compare={large}')
  assert '8 x cpu. quickstart, 3 turns of 2 steps, medians.' in text
  table = {}
  for line in text.splitlines():
    title, *cells = [cell.strip() for cell in line.split('│')[1:-1]] or ['']
    if cells:
      table[title] = [
        float(n) for n in re.findall(r'[\d.e-]+', ' '.join(cells))
      ]
  assert list(table) == ['as configured', none, large]
  first = table['as configured']
  for title, (ms, least, most, rate, ratio, _, memory) in table.items():
    assert least <= ms <= most
    clips = 16 if title == large else 8
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
    (['--compare=batch_size=3'], 'batch_size is 3, which the 8 devices'),
  ],
)
def test_mistakes_are_sentences(run, options, message):
  (line,) = (s for s in run(*options).splitlines() if s.startswith('error: '))
  assert message in line


def test_too_little_memory_is_a_sentence(run, monkeypatch):
  def prepare(config, mesh, steps):  # without filling it
    raise MemoryError('Unable to allocate 9.00 TiB')

  monkeypatch.setattr(step, 'prepare', prepare)
  assert run().splitlines()[-1] == (
    'error: batch_size is 8, too large for the memory here: Unable to allocate '
    '9.00 TiB'
  )
