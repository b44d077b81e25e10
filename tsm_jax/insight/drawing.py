"""The pictures of a run's report, and how pictures are written."""

import io

import matplotlib as mpl
import numpy as np

from tsm_jax import errors, files
from tsm_jax.program import metrics

# A name is drawn as it is: `$` begins no formula.
PLAIN = {'text.parse_math': False, 'text.usetex': False}


def shortened(name, most=60):
  """A name as it is drawn: printable, and of at most so many characters."""
  name = errors.printable(name)
  return name if len(name) <= most else f'{name[: most - 3]}...'


def figure(size):
  """An empty figure of `size`, width and height in inches."""
  # A second, of runs that do not end here, too.
  from matplotlib import figure as figures

  return figures.Figure(size, layout='constrained')


@mpl.rc_context(PLAIN)
def draw_curves(workdirs, path):
  """Loss and top-1 of one or more runs over their steps, as a PNG.

  Raises:
    InputError: if what a workdir holds cannot be read.
  """
  fig = figure((9, 3.8))
  left, right = fig.subplots(1, 2)
  for number, workdir in enumerate(workdirs):
    workdir, color = files.path(workdir), f'C{number}'
    name = shortened(
      files.read_json(workdir / 'config.json').get('name', workdir)
    )
    records = metrics.read(workdir)
    for axes, field in ((left, 'loss'), (right, 'top1'), (right, 'map')):
      for part, style in (('train', ':'), ('eval', '-')):
        points = [
          (r['step'], r[f'{part}/{field}'])
          for r in records
          if f'{part}/{field}' in r
        ]
        shown = 'mAP' if field == 'map' else part
        if points:
          line = axes.plot(
            *zip(*points), style, color=color, label=f'{name} ({shown})'
          )[0]
          marker = '+' if field == 'map' else '.'
          line.set_marker(marker if part == 'eval' else '')
  left.set(xlabel='step', ylabel='loss')
  right.set(xlabel='step', ylabel='top-1', ylim=(0, 1.02))
  handles, names = right.get_legend_handles_labels()
  fig.legend(handles, names, loc='outside lower center', ncols=4)
  for axes in (left, right):
    axes.grid(alpha=0.3)
  save(fig, path)


@mpl.rc_context(PLAIN)
def draw_early(online, path):
  """Top-1 after a share of a clip's frames, as a PNG.

  Args:
    online: what `agreement.report` has found.
    path: of the picture.
  """
  fig = figure((5.5, 3.8))
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


@mpl.rc_context(PLAIN)
def draw_confusion(confusion, labels, path):
  """The confusion matrix `[K, K]` as shares of every row, as a PNG."""
  total = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
  labels = [shortened(label) for label in labels]
  side = min(16.0, 3 + 0.3 * len(labels))
  if len(labels) <= 60:  # long names take their place beside the matrix
    side += 0.1 * max(0, max(map(len, labels)) - 20)
  fig = figure((side + 1.5, side))
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
