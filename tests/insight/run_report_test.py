"""Reports of runs whose names and labels are anything."""

import json

import numpy as np
from PIL import Image
import pytest

from support import commands
from tsm_jax import evaluate
from tsm_jax.insight import run_report
from tsm_jax.program import metrics

LABELS = [r'$\frac$', 'a|b', '<img src=x>', '\x1b[2Jgone', 'a\nb', '`*_[x](y)']
LABELS += ['$x$', '%_^{}~\\', 'W' * 5000]


@pytest.fixture
def workdir(tmp_path):
  (tmp_path / 'config.json').write_text(
    json.dumps({'name': r'$\frac$<b>', 'eval': {'split': 'val'}})
  )
  lines = [{'step': s, 'train/loss': 1.0, 'eval/top1': 0.5} for s in (1, 2)]
  (tmp_path / metrics.FILE).write_text(
    ''.join(json.dumps(line) + '\n' for line in lines)
  )
  return tmp_path


def write(workdir, labels):
  count = len(labels)
  confusion = np.eye(count, dtype=int)
  result = evaluate.Result(1.0, 1.0, 0.0, count, confusion)
  return run_report.write(workdir, labels, result).read_text()


def test_any_label_is_drawn_and_written_as_it_is(workdir):
  page = write(workdir, LABELS)
  rows = page[page.index('|---|---|') :].splitlines()[1:]
  assert rows[: len(LABELS) - 2] == [
    r'| \$\\frac\$ | 100.00% |',
    r'| a\|b | 100.00% |',
    '| &lt;img src=x&gt; | 100.00% |',
    r'| \\x1b\[2Jgone | 100.00% |',
    r'| a\\nb | 100.00% |',
    r'| \`\*\_\[x\](y) | 100.00% |',
    r'| \$x\$ | 100.00% |',
  ]
  assert page.startswith(r'# \$\\frac\$&lt;b&gt;' + '\n')
  for name in ('curves.png', 'confusion.png'):
    with Image.open(workdir / name) as image:
      assert image.width > 300


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ('', 'config.json is no JSON (it is empty)'),
    ('[1]', 'config.json holds a list; it must be a JSON object'),
    ('{"name": ' + '[' * 100_000, 'config.json is nested too deeply'),
    ('{"name": ' + '[' * 90 + ']' * 90 + '}', 'config.json is nested too deep'),
  ],
)
def test_a_damaged_config_is_told_by_its_name(content, message, workdir):
  (workdir / 'config.json').write_text(content)
  done = commands.call('report', workdir, '--out', workdir / 'curves.png')
  assert done.returncode == 2
  assert message in done.stderr


@pytest.mark.parametrize('line', ['5', '[]', '{"step": "x"}', '{"a": 1}'])
def test_an_odd_line_of_metrics_is_told_by_its_number(line, workdir):
  with open(workdir / metrics.FILE, 'a') as file:
    file.write(f'{line}\n')
  done = commands.call('report', workdir, '--out', workdir / 'curves.png')
  assert done.returncode == 2
  assert f'Line 3 of {workdir / metrics.FILE} is no line' in done.stderr
