"""What a run shows: its plan, the model's table, curves, a page about it.

`python -m tsm_jax.report --out FILE WORKDIR...` draws the curves of several
runs into one picture.
"""

import argparse
import io
import json

from flax import linen as nn
import jax
from matplotlib import figure
import numpy as np

from tsm_jax import files, metrics, models, optim
from tsm_jax.data import datasets, preprocess
from tsm_jax.models import cost


def describe_model(model, preprocessing):
  """The model's parts, parameters and arithmetic, as lines."""
  frames = jax.ShapeDtypeStruct(preprocessing.clip_shape(), np.float32)
  tabulate = nn.tabulate(
    model,
    jax.random.key(0),
    depth=1,
    console_kwargs={'width': 110, 'force_terminal': False},
  )
  yield tabulate(np.zeros(frames.shape, frames.dtype))  # traced, not run
  shapes = jax.eval_shape(model.init, jax.random.key(0), frames)
  count = cost.num_parameters(shapes['params'])
  macs, attention = cost.multiply_adds(model.apply, shapes, frames)
  more = f' and {attention / 1e9:.2f} G in attention' if attention else ''
  yield (
    f'{count:,} parameters, {macs / 1e9:.2f} G multiply-adds{more} '
    f'({2 * (macs + attention) / 1e9:.2f} GFLOPs) per clip of '
    f'{preprocessing.num_frames} frames.'
  )


def describe(config):
  """`--mode=describe`: the model of a configuration, as lines; no data needed.

  The number of classes is that of the field, else as published for the dataset
  of the configuration, else 1000.
  """
  config.model.num_classes = datasets.num_classes(config)
  yield f'{config.name}, {config.model.num_classes} classes'
  model = models.create_model(config.model)
  yield from describe_model(model, preprocess.preprocessing_of(config))


def describe_plan(config, lengths, num_train, num_eval, steps, mesh):
  """What is about to happen, in numbers, as lines.

  Args:
    config: the effective configuration.
    lengths: frame counts of all videos of the dataset.
    num_train: clips of the training split.
    num_eval: clips of the evaluated split.
    steps: of the whole run.
    mesh: of all devices.

  Yields:
    Lines.
  """
  num_frames, size = config.model.num_frames, config.data.image_size
  yield (
    f'Training on {num_train} clips of {num_frames} frames, {size}x{size} '
    f'pixels, for {config.epochs} epochs: {steps} steps of {config.batch_size} '
    f'clips on {mesh.size} {mesh.devices.flat[0].platform} device(s).'
  )
  yield (
    f'Learning rate {config.learning_rate:g} after scaling with the batch, '
    f'{config.schedule.kind} schedule, {optim.warmup_epochs(config):g} epochs '
    'of warm-up.'
  )
  yield (
    f'Evaluating on {num_eval} clips of {config.eval.split!r} every '
    f'{config.eval.every_epochs} epochs, '
    f'{config.eval.clips * config.eval.crops} view(s) each.'
  )
  short = sum(length < num_frames for length in lengths)
  if short:
    yield f'{short} videos are shorter than {num_frames} frames; theirs repeat.'


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


def main():
  parser = argparse.ArgumentParser(
    description='Draws the curves of one or more runs into one picture.'
  )
  parser.add_argument('workdirs', nargs='+', metavar='WORKDIR')
  parser.add_argument('--out', default='curves.png', help='the PNG to write')
  args = parser.parse_args()
  for workdir in args.workdirs:
    if not (files.path(workdir) / metrics.FILE).exists():
      parser.error(
        f'{workdir!r} holds no {metrics.FILE}; give workdirs of runs.'
      )
  draw_curves(args.workdirs, args.out)


if __name__ == '__main__':
  main()
