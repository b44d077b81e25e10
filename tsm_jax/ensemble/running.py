"""The evaluation of several models as one."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from tsm_jax import errors, evaluate, progress, sharding
from tsm_jax.data.input import pipeline, records
from tsm_jax.ensemble import matching, scoring
from tsm_jax.models import folding
from tsm_jax.program import metrics


class Reading(NamedTuple):
  """How clips are read.

  Attributes:
    split: of every dataset.
    views: a `records.Views`.
    batch_size: clips, over all devices; 0 is one per device.
    threads: that decode.
  """

  split: str = 'val'
  views: records.Views = records.Views()
  batch_size: int = 0
  threads: int = 16


def ensemble(members, mean, reading, log=print):
  """Evaluates the weighted mean of several models' scores.

  Args:
    members: a list of `matching.Member`.
    mean: 'softmax' or 'logits', see `scoring.combine`.
    reading: a `Reading`.
    log: called with every line for the user.

  Returns:
    `(result, report)`: an `evaluate.Result`, whose logits are the scores of
    `scoring.combine`, in the order of the first model's clips; and a dict for
    JSON that also has every model's own top-1.

  Raises:
    InputError: if a checkpoint or dataset is missing, or if they do not have
      the same classes and videos.
  """
  _check(members, mean)
  mesh = sharding.create_mesh()
  if not reading.batch_size:
    reading = reading._replace(batch_size=mesh.size)
  sharding.check_batch_size('--batch_size', reading.batch_size, mesh)
  opened = [matching.open_member(one, reading.split, log) for one in members]
  matching.check_classes(opened)

  logits, singles, labels = [], [], []
  clips, orders = matching.match(opened)
  for one, order in zip(opened, orders):
    scores, label = _logits(one, reading, mesh)
    logits.append(scores[order])
    label = label[order]  # in the order of the first one's videos
    labels.append(label)
    singles.append(_result(logits[-1], label))
    _check_finite(one, logits[-1])
    log(f'{one.member.path} alone: {evaluate.summary(singles[-1])}')
  _check_labels(opened, labels)
  total = sum(member.weight for member in members)
  weights = [member.weight / total for member in members]
  combined = scoring.combine(logits, weights, mean)
  result = _result(combined, label)._replace(
    logits=combined, labels=label, clips=clips
  )
  report = {
    'members': [*map(_describe, opened, weights, singles)],
    'mean': mean,
    **evaluate.describe(
      result, opened[0].trained.labels, reading.split, reading.views
    ),
  }
  shares = ', '.join(f'{weight:.3f}' for weight in weights)
  log(
    f'{result.num_clips} clips of {reading.split!r}, of each model '
    f'{scoring.MEANS[mean]}, weighted by {shares}: {evaluate.summary(result)}'
  )
  return result, report


def _describe(opened, weight, result):
  """A member as a dict for JSON."""
  return {
    'checkpoint': str(opened.member.path),
    'step': opened.trained.step,
    'dataset': str(opened.dataset.path),
    'modality': opened.trained.preprocessing.modality,
    'num_frames': opened.trained.preprocessing.num_frames,
    'weight': weight,
    'top1': result.top1,
  }


def _check(members, mean):
  if mean not in scoring.MEANS:
    raise errors.InputError(
      f'--mean is {mean!r}; choose from {tuple(scoring.MEANS)}.'
    )
  for member in members:
    if not 0 < member.weight < float('inf'):
      raise errors.InputError(
        f'The weight of {member.path} is {member.weight}; it must be positive.'
      )


@functools.lru_cache(maxsize=4)  # members are often runs of one model
def _make_step(model, preprocessing, mesh, applied):
  """The jitted function `(variables, batch) -> batch` with its logits."""

  def step(variables, batch):
    logits = evaluate.view_logits(
      model, variables, batch['frames'], preprocessing
    )
    return {**batch, 'frames': (), 'logits': logits}

  size, whole = preprocessing.image_size, sharding.replicated(mesh)
  return folding.jit(step, applied, size, out_shardings=whole)


def _logits(opened, reading, mesh):
  """`(logits [N, K], label [N])` of the clips, the mean over their views."""
  trained, preprocessing = opened.trained, opened.trained.preprocessing
  model = trained.module()
  variables, applied = evaluate.prepare(model, trained.variables, preprocessing)
  step = _make_step(model, preprocessing, mesh, applied)
  variables = jax.device_put(variables, sharding.replicated(mesh))
  count = len(opened.records)
  batches = pipeline.eval_batches(
    opened.records,
    reading.batch_size,
    preprocessing,
    reading.views,
    reading.threads,
    sharding.process(),
  )
  logits = np.full((count, len(trained.labels)), np.nan, np.float32)
  label = np.zeros(count, np.int32)
  num_batches = -(-count // reading.batch_size)
  for batch in progress.bar(batches, 'evaluate', num_batches, leave=False):
    found = jax.device_get(step(variables, sharding.to_devices(batch, mesh)))
    real = found['mask'] > 0
    rows = found['number'][real]
    logits[rows], label[rows] = found['logits'][real], found['label'][real]
  return logits, label


def _check_finite(opened, logits):
  """Raises InputError if a model gives no numbers; argmax would count them."""
  if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
    raise errors.InputError(
      f'{opened.member.path} gives logits that are not finite for {bad} of '
      f'{len(logits)} clips, so that its accuracy means nothing.'
    )


def _check_labels(opened, labels):
  """Raises InputError unless the datasets give the videos the same labels."""
  for one, label in zip(opened, labels):
    if differing := int((label != labels[0]).sum()):
      raise errors.InputError(
        f'{differing} videos have another label in the dataset of '
        f'{one.member.path} than in that of {opened[0].member.path}.'
      )


def _result(scores, label):
  mask = np.ones(len(label), np.float32)
  total = metrics.counts(np.asarray(scores, np.float32), label, mask)
  return evaluate.summarize(total, len(label))
