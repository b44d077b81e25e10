"""What a run shows when it has ended: curves, and a page about it."""

import html
import io
import re

import matplotlib as mpl
import numpy as np

from tsm_jax import errors, files
from tsm_jax.program import metrics

# A name is drawn as it is: `$` begins no formula.
_PLAIN = {'text.parse_math': False, 'text.usetex': False}
_MAX_NAME = 60  # characters that are drawn of a name
_ONLINE = """
## Frame by frame

Of {num_clips} clips, {equal} have the same top-1 frame by frame as in one
piece; their logits differ by at most {difference:.1e}. Frame by frame, top-1 is
{stream_top1:.2%}, in one piece {clip_top1:.2%}.

![top-1 after a share of the frames](early_recognition.png)
"""


def write(workdir, labels, result, online=None):
  """Writes `report.md` with `curves.png` and `confusion.png`.

  Of a model that can run frame by frame, also with `early_recognition.png`.

  Args:
    workdir: of the run.
    labels: class names by index.
    result: the last `evaluate.Result`.
    online: what `agreement.report` has found, or None.

  Returns:
    The path of the page.
  """
  workdir = files.path(workdir)
  draw_curves([workdir], workdir / 'curves.png')
  draw_confusion(result.confusion, labels, workdir / 'confusion.png')
  config = files.read_json(workdir / 'config.json')
  rows = '\n'.join(
    f'| {_markdown(label)} | {"no clip" if np.isnan(top1) else f"{top1:.2%}"} |'
    for label, top1 in zip(labels, result.per_class())
  )
  online_part = ''
  if online:
    draw_early(online, workdir / 'early_recognition.png')
    online_part = _ONLINE.format(**online)
  page = workdir / 'report.md'
  text = f"""# {_markdown(config['name'])}

On {result.num_clips} clips of the split {config['eval']['split']!r}: \
top-1 {result.top1:.2%}, top-5 {result.top5:.2%}, loss {result.loss:.4f}.

![loss and top-1](curves.png)

![confusion matrix](confusion.png)
{online_part}
| class | top-1 |
|---|---|
{rows}

Everything needed to run this again is in [config.json](config.json), which
`--config` takes; every number is in [metrics.jsonl](metrics.jsonl).
"""
  files.write(page, text)
  return page


def _markdown(name):
  """A name as text of Markdown in a row of a table."""
  escaped = re.sub(r'([\\`*_\[\]|~$])', r'\\\1', errors.printable(name))
  return html.escape(escaped, quote=False)


def _drawn(name):
  name = errors.printable(name)
  return name if len(name) <= _MAX_NAME else f'{name[: _MAX_NAME - 3]}...'


def _figure(size):
  from matplotlib import figure  # a second, of runs that do not end here, too

  return figure.Figure(size, layout='constrained')


@mpl.rc_context(_PLAIN)
def draw_curves(workdirs, path):
  """Loss and top-1 of one or more runs over their steps, as a PNG.

  Raises:
    InputError: if what a workdir holds cannot be read.
  """
  fig = _figure((9, 3.8))
  left, right = fig.subplots(1, 2)
  for number, workdir in enumerate(workdirs):
    workdir, color = files.path(workdir), f'C{number}'
    name = _drawn(files.read_json(workdir / 'config.json').get('name', workdir))
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


@mpl.rc_context(_PLAIN)
def draw_early(online, path):
  """Top-1 after a share of a clip's frames, as a PNG.

  Args:
    online: what `agreement.report` has found.
    path: of the picture.
  """
  fig = _figure((5.5, 3.8))
  axes = fig.subplots()
  early = online['early']
  shares, top1 = zip(*[(frame['share'], frame['top1']) for frame in early])
  axes.plot(shares, top1, '.-', label='frame by frame')
  whole = online['clip_top1']
  axes.axhline(whole, color='grey', linestyle=':', label='clip in one piece')
  axes.legend(loc='lower right')
  axes.set(
    xlabel='share of the frames seen',
    ylabel='top-1',
    xlim=(0, 1.02),
    ylim=(0, 1.02),
  )
  axes.grid(alpha=0.3)
  save(fig, path)


@mpl.rc_context(_PLAIN)
def draw_confusion(confusion, labels, path):
  """The confusion matrix `[K, K]` as shares of every row, as a PNG."""
  total = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
  labels = [_drawn(label) for label in labels]
  side = min(16.0, 3 + 0.3 * len(labels))
  if len(labels) <= 60:  # long names take their place beside the matrix
    side += 0.1 * max(0, max(map(len, labels)) - 20)
  fig = _figure((side + 1.5, side))
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
