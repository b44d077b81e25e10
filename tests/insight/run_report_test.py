"""Reports of runs whose names and labels are anything."""

import json

import numpy as np
from PIL import Image
import pytest

from support import commands
from tsm_jax.insight import run_report
from tsm_jax.program import metrics, predictions, results

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
  result = results.Result(1.0, 1.0, 0.0, count, confusion)
  return run_report.write(workdir, labels, result).read_text()


def test_any_label_is_drawn_and_written_as_it_is(workdir):
  page = write(workdir, LABELS)
  rows = page[page.index('| class |') :].splitlines()[2:]
  rows = [row.removesuffix(' 20.7–100.0% | 1 |') for row in rows]
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


def result_of(logits, labels):
  logits, labels = np.array(logits, np.float32), np.array(labels)
  confusion = np.zeros((logits.shape[1],) * 2, int)
  np.add.at(confusion, (labels, logits.argmax(1)), 1)
  top1 = float((logits.argmax(1) == labels).mean())
  names = [f'{i}.mp4' for i in range(len(labels))]
  return results.Result(
    top1, 1.0, 0.5, len(labels), confusion, logits, labels, names
  )


def test_the_best_and_the_last_model_side_by_side(workdir):
  labels, classes = ['hop', 'run'], [0, 0, 1, 1]
  best = result_of([[1, 0], [1, 0], [0, 1], [3, 0]], classes)
  last = result_of([[1, 0], [0, 5], [0, 1], [9, 0]], classes)
  (workdir / metrics.FILE).write_text('')
  for step, result in ((10, best), (20, last)):
    predictions.keep(workdir, step, result, labels)
    with metrics.Writer(workdir, step - 1) as writer:
      writer.write(step, result.scalars('eval/'))
  seen = []

  def frames(number):
    seen.append(number)
    return np.full((8, 16, 16, 3), 20 * number, np.uint8)

  page = run_report.write(workdir, labels, last, frames=frames).read_text()
  # Wilson's intervals of 2 and of 3 of 4.
  for row in (
    '| last | 20 | 50.00% | 15.0–85.0% | 100.00% | 0.5000 |',
    '| best, in `best/` | 10 | 75.00% | 30.1–95.4% | 100.00% | 0.5000 |',
    '| hop | 50.00% | 9.5–90.5% | 2 | 100.00% |',
    '| run | 50.00% | 9.5–90.5% | 2 | 50.00% |',
    '| 3.mp4 | run | hop | 100.0% |',
    '| 1.mp4 | hop | run | 99.3% |',  # 1 / (1 + e**-5)
  ):
    assert f'{row}\n' in page
  assert '](confusion_best.png)' in page
  assert seen == [3, 1]  # the surest first
  with Image.open(workdir / 'mistakes.png') as image:
    assert image.width > 900

  # The run goes on, and its last model is the best one.
  right = result_of([[1, 0], [1, 0], [0, 1], [0, 1]], classes)
  predictions.keep(workdir, 30, right, labels)
  with metrics.Writer(workdir, 20) as writer:
    writer.write(30, right.scalars('eval/'))
  page = run_report.write(workdir, labels, right, frames=frames).read_text()
  assert '| last, which is the best, in `best/` | 30 | 100.00% |' in page
  for name in ('confusion_best.png', 'mistakes.png'):
    assert name not in page and not (workdir / name).exists()


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


def test_it_says_why_a_run_ended_before_its_last_step(workdir):
  assert 'The run ends' not in write(workdir, ['a', 'b'])
  config = {'name': 'x', 'eval': {'split': 'val', 'patience': 1}}
  (workdir / 'config.json').write_text(json.dumps(config))
  page = write(workdir, ['a', 'b'])
  assert (
    "The run ends at step 2: in the last evaluation, top-1 on 'val' has not "
    'been above the 50.00% of step 1 (eval.patience=1; 0 trains on).'
  ) in page
  assert 'mean class 100.00%' in page
