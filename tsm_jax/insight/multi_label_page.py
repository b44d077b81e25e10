"""What a run shows when it has ended, of clips of several labels."""

import numpy as np

from tsm_jax import files
from tsm_jax.insight import drawing
from tsm_jax.program import early_stopping, metrics, results


def text(workdir, labels, result, escape):
  """The text of `report.md` but for its end; writes `curves.png`.

  Args:
    workdir: of the run.
    labels: class names by index.
    result: the last `multi_label.Result`.
    escape: makes a name text of Markdown in a row of a table.

  Returns:
    Markdown.
  """
  workdir = files.path(workdir)
  config = files.read_json(workdir / 'config.json')
  records = metrics.read(workdir)
  ended = early_stopping.paragraph(records, config['eval'])
  drawing.draw_curves([workdir], workdir / 'curves.png')
  return f"""# {escape(config['name'])}

On {result.num_clips} clips of the split {config['eval']['split']!r}, which may
have several labels: {results.summary(result)}.

mAP is the mean of the average precision of the classes that have a clip; top-1
the share of clips whose most probable label is one of theirs.

{_models(records, config)}

{ended}![loss, top-1 and mAP](curves.png)

{_classes(labels, result, escape)}

The precision and recall of a class are those of a probability above 50%.
"""


def _models(records, config):
  """The table of the last and the best model."""
  found = [r for r in records if 'eval/map' in r]
  if not found:
    return ''
  # At a tie, the later model is the better one, as in the folder `best`.
  last, best = found[-1], max(found, key=lambda r: (r['eval/map'], r['step']))
  kept = config.get('checkpoint', {}).get('keep_best', 1)
  name = 'best, in `best/`' if kept else 'best'
  rows = [(f'last, which is the {name}' if last is best else 'last', last)]
  if last is not best:
    rows.append((name, best))
  lines = ['| model | step | mAP | top-1 | loss |', '|---|---|---|---|---|']
  for name, r in rows:
    lines.append(
      f'| {name} | {r["step"]} | {r["eval/map"]:.2%} | {r["eval/top1"]:.2%} '
      f'| {r["eval/loss"]:.4f} |'
    )
  return '\n'.join(lines)


def _classes(labels, result, escape):
  """The table of the classes."""
  lines = [
    '| class | average precision | precision | recall | clips |',
    '|---|---|---|---|---|',
  ]
  told, true = result.logits > 0, result.labels > 0
  for k, label in enumerate(labels):
    right = int((told[:, k] & true[:, k]).sum())
    precision = result.precisions[k]
    shares = [
      'no clip' if np.isnan(precision) else f'{precision:.2%}',
      _share(right, int(told[:, k].sum())),
      _share(right, int(true[:, k].sum())),
    ]
    lines.append(
      f'| {escape(label)} | {" | ".join(shares)} | {int(true[:, k].sum())} |'
    )
  return '\n'.join(lines)


def _share(right, total):
  return f'{right / total:.2%}' if total else 'no clip'
