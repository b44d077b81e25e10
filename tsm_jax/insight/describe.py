"""What a run is about to do, and the model's table, as lines."""

from flax import linen as nn
import jax
import numpy as np

from tsm_jax import files, models
from tsm_jax.configs import warm_up
from tsm_jax.data import intervals
from tsm_jax.data.input import flips, preprocess
from tsm_jax.data.sources import published
from tsm_jax.insight import choices
from tsm_jax.models import cost
from tsm_jax.runs import json_item, steps


def describe_model(model, preprocessing):
  """The model's parts, parameters and arithmetic, as lines."""
  clip_shape = preprocessing.clip_shape()
  tabulate = nn.tabulate(
    model,
    jax.random.key(0),
    depth=1,
    console_kwargs={'width': 110, 'force_terminal': False},
  )
  yield tabulate(np.zeros(clip_shape, np.float32))  # traced, not run
  count, macs, attention = cost.network(model, clip_shape)
  more = f' and {attention / 1e9:.2f} G in attention' if attention else ''
  yield (
    f'{count:,} parameters, {macs / 1e9:.2f} G multiply-adds{more} '
    f'({2 * (macs + attention) / 1e9:.2f} GFLOPs) per clip of '
    f'{preprocessing.num_frames} frames.'
  )


def describe(config, workdir):
  """`--mode=describe`: the model of a configuration, as lines; no data needed.

  What the configuration leaves open is chosen, and told with the reasons.
  The number of classes is that of the field, else as published for the dataset
  of the configuration, else 1000. How far apart the frames are is told by the
  configuration or, if the run has begun, by its last checkpoint.
  """
  chosen = []
  config = choices.settle(config, workdir, chosen.append)
  yield from chosen
  config.model.num_classes = published.num_classes(config)
  yield f'{config.name}, {config.model.num_classes} classes'
  model = models.create_model(config.model)
  preprocessing = preprocess.Preprocessing.from_config(config)
  yield from describe_model(model, preprocessing)
  folder = files.path(workdir) / 'checkpoints'
  if preprocessing.frame_interval:
    yield describe_interval(intervals.measure((), (), preprocessing))
  elif saved := steps.listed(folder):
    meta = json_item.read(folder / str(saved[-1]))
    line = describe_interval(intervals.from_meta(meta))
    yield f'{line} (step {saved[-1]} of {workdir})'


def describe_run(built, data, config, mesh, mirrored, interval):
  """What a run is about to do, as lines.

  Args:
    built: a `Program`.
    data: a `Dataset`.
    config: the resolved configuration.
    mesh: all devices.
    mirrored: from `flips.mirrored_classes`.
    interval: the `intervals.Interval` of the training clips, or None.

  Yields:
    Lines.
  """
  yield from describe_model(built.model, built.preprocessing)
  yield from flips.describe(mirrored, data.labels)
  if data.multi_label:
    yield (
      'Clips may have several labels: the loss is the mean binary '
      'cross-entropy of the classes, the best model that of the highest mAP.'
    )
  yield from describe_plan(config, data, built.total_steps, mesh)
  yield describe_interval(interval)


def describe_interval(interval):
  """How far apart the frames of a clip are, as a line."""
  if interval is None:
    return 'How far apart the frames of a clip are in seconds is not known.'
  return f'The frames of a clip are {interval.describe()}.'


def describe_plan(config, dataset, steps, mesh):
  """What is about to happen, in numbers, as lines.

  Args:
    config: the resolved configuration.
    dataset: a `Dataset`.
    steps: of the whole run.
    mesh: all devices.

  Yields:
    Lines.
  """
  num_frames, size = config.model.num_frames, config.data.image_size
  yield (
    f'Training on {len(dataset.num_frames["train"])} clips of {num_frames} '
    f'frames, {size}x{size} pixels, for {config.epochs} epochs: {steps} steps '
    f'of {config.batch_size} clips on {mesh.size} '
    f'{mesh.devices.flat[0].platform} device(s).'
  )
  yield (
    f'Learning rate {config.learning_rate:g} after scaling with the batch, '
    f'{config.schedule.kind} schedule, {warm_up.epochs(config):g} epochs '
    'of warm-up.'
  )
  epochs = config.eval.every_epochs
  when = f'every {epochs} epochs' if epochs else 'at the end'
  yield (
    f'Evaluating on {len(dataset.num_frames[config.eval.split])} clips of '
    f'{config.eval.split!r} {when}, '
    f'{config.eval.clips * config.eval.crops} view(s) each.'
  )
  lengths = [n for split in dataset.num_frames.values() for n in split]
  short = sum(length < num_frames for length in lengths)
  if short:
    yield f'{short} videos are shorter than {num_frames} frames; theirs repeat.'
