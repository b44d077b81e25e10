"""What a run shows when it has ended: curves, and a page about it."""

import io
import json

from matplotlib import figure
import numpy as np

from tsm_jax import files
from tsm_jax.program import metrics


def write(workdir, labels, result):
  """Writes `report.md` with `curves.png` and `confusion.png`.

  Args:
    workdir: of the run.
    labels: class names by index.
    result: the last `evaluate.Result`.

  Returns:
    The path of the page.
  """
  workdir = files.path(workdir)
  draw_curves([workdir], workdir / 'curves.png')
  draw_confusion(result.confusion, labels, workdir / 'confusion.png')
  config = json.loads((workdir / 'config.json').read_text())
  rows = '\n'.join(
    f'| {label} | {"no clip" if np.isnan(top1) else f"{top1:.2%}"} |'
    for label, top1 in zip(labels, result.per_class())
  )
  page = workdir / 'report.md'
  text = f"""# {config['name']}

On {result.num_clips} clips of the split {config['eval']['split']!r}: \
top-1 {result.top1:.2%}, top-5 {result.top5:.2%}, loss {result.loss:.4f}.

![loss and top-1](curves.png)

![confusion matrix](confusion.png)

| class | top-1 |
|---|---|
{rows}

Everything needed to run this again is in [config.json](config.json); every
number is in [metrics.jsonl](metrics.jsonl).
"""
  files.write(page, text)
  return page


def draw_curves(workdirs, path):
  """Loss and top-1 of one or more runs over their steps, as a PNG."""
  fig = figure.Figure((9, 3.8), layout='constrained')
  left, right = fig.subplots(1, 2)
  for number, workdir in enumerate(workdirs):
    workdir, color = files.path(workdir), f'C{number}'
    name = json.loads((workdir / 'config.json').read_text())['name']
    records = metrics.read(workdir)
    for axes, field in ((left, 'loss'), (right, 'top1')):
      for part, style in (('train', ':'), ('eval', '-')):
        points = [
          (r['step'], r[f'{part}/{field}'])
          for r in records
          if f'{part}/{field}' in r
        ]
        if points:
          line = axes.plot(
            *zip(*points), style, color=color, label=f'{name} ({part})'
          )[0]
          line.set_marker('.' if part == 'eval' else '')
  left.set(xlabel='step', ylabel='loss')
  right.set(xlabel='step', ylabel='top-1', ylim=(0, 1.02))
  handles, names = right.get_legend_handles_labels()
  fig.legend(handles, names, loc='outside lower center', ncols=4)
  for axes in (left, right):
    axes.grid(alpha=0.3)
  save(fig, path)


def draw_confusion(confusion, labels, path):
  """The confusion matrix `[K, K]` as shares of every row, as a PNG."""
  total = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
  side = min(16.0, 3 + 0.3 * len(labels))
  fig = figure.Figure((side + 1.5, side), layout='constrained')
  axes = fig.subplots()
  image = axes.imshow(confusion / total, vmin=0, vmax=1, cmap='Blues')
  fig.colorbar(image, label='share of the class')
  if len(labels) <= 60:  # more names would not be readable
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize='small')
    axes.set_yticks(range(len(labels)), labels, fontsize='small')
  axes.set(xlabel='predicted', ylabel='label')
  save(fig, path)


def save(fig, path):
  """Writes a figure as a PNG."""
  content = io.BytesIO()
  fig.savefig(content, dpi=110)
  files.write(path, content.getvalue())
