"""Exact evaluation: every clip of a split counted once, on any devices."""

import contextlib
import functools
import json

import jax
import numpy as np

from tsm_jax import errors, files, progress, sharding
from tsm_jax.data.input import pipeline, records
from tsm_jax.data.store import dataset
from tsm_jax.models import compiler_options, folding
from tsm_jax.models.views import view_logits
from tsm_jax.program import (
  divergence,
  metrics,
  multi_label,
  predictions,
  results,
)
from tsm_jax.program.results import (
  Result,  # noqa: F401
  describe,
  summarize,
  summary,
)
from tsm_jax.runs import checkpoints, processes, request, stopping


def prepare(model, variables, preprocessing):
  """What evaluation computes with: on CPU, large frames without BatchNorm.

  Numbers of small frames, the quickstart's among them, stay what they were.

  Args:
    model: a Flax module.
    variables: its params and batch_stats.
    preprocessing: a `preprocess.Preprocessing`.

  Returns:
    `(variables, applied)`, see `folding.prepare`.
  """
  is_small = preprocessing.image_size <= compiler_options.SMALL_FRAME
  if is_small or jax.process_count() > 1:  # which may not hold all of them
    return variables, contextlib.nullcontext
  return folding.prepare(model, variables, preprocessing.clip_shape())


@functools.lru_cache(maxsize=4)  # a checkpoint is evaluated after its training
def _make_step(model, preprocessing, mesh, applied):
  """The jitted function `(variables, batch) -> (metrics.counts, clips)`.

  The clips are a dict for `results.Clips.add`, of the whole batch on every
  device.
  """

  def step(variables, batch):
    logits = view_logits(model, variables, batch['frames'], preprocessing)
    counts = metrics.counts(logits, batch['label'], batch['mask'])
    clips = {name: batch[name] for name in ('label', 'number', 'mask')}
    return counts, {**clips, 'logits': logits}

  size, whole = preprocessing.image_size, sharding.replicated(mesh)
  return folding.jit(step, applied, size, out_shardings=whole)


class Evaluator:
  """Evaluates variables of one model; compiled once, for all devices."""

  def __init__(self, model, preprocessing, mesh):
    """Compiles nothing yet.

    Args:
      model: a Flax module.
      preprocessing: a `preprocess.Preprocessing`.
      mesh: from `sharding.create_mesh`.
    """
    self._model, self._preprocessing = model, preprocessing
    self._mesh = mesh
    self._compiled = None

  def evaluate(self, variables, source, config, validation=False, stop=None):
    """Counts every clip of a split once.

    Args:
      variables: params and batch_stats.
      source: the split, from `Dataset.split`.
      config: a configuration; its section `eval` and data.num_threads count.
      validation: see `records.Views`.
      stop: called after every batch; ends the evaluation if it returns true.

    Returns:
      A `Result`, or None if stopped.
    """
    batch_size = config.eval.batch_size
    source = results.Named(source)
    batches = pipeline.eval_batches(
      source,
      batch_size,
      self._preprocessing,
      records.Views.from_config(config, validation),
      config.data.num_threads,
      sharding.process(),
    )
    variables, applied = prepare(self._model, variables, self._preprocessing)
    if applied is not contextlib.nullcontext:
      variables = jax.device_put(variables, sharding.replicated(self._mesh))
    step = _make_step(self._model, self._preprocessing, self._mesh, applied)
    total, clips = None, None
    num_batches = -(-len(source) // batch_size)
    silent = jax.process_index() > 0
    for batch in progress.bar(
      batches, 'evaluate', num_batches, leave=False, disable=silent
    ):
      counts, found = self._count(
        step, variables, sharding.to_devices(batch, self._mesh)
      )
      counts = jax.tree.map(lambda x: np.asarray(x, np.float64), counts)
      total = counts if total is None else jax.tree.map(np.add, total, counts)
      clips = clips or results.Clips(
        len(source), found['logits'].shape[-1], source.label_shape
      )
      clips.add(**found)
      if stop and stop():
        return None
    names = _all_names(source)
    if source.label_shape:
      return multi_label.summarize(total, clips, names)
    return summarize(total, len(source))._replace(
      logits=clips.logits, labels=clips.labels, clips=names
    )

  def _count(self, step, variables, batch):
    """What the jitted step gives for a batch."""
    if jax.process_count() == 1:
      return step(variables, batch)
    if self._compiled is None:
      self._compiled = step.lower(variables, batch).compile()
      # Processes take different times to compile, and some collective
      # operations wait half a minute only.
      sharding.barrier('evaluation is compiled')
    return self._compiled(variables, batch)


def _all_names(source):
  """The names of the clips that all processes have read, in their order."""
  names = {}
  for part in processes.gather(list(source.names.items())):
    names.update(part)
  return [names[number] for number in range(len(source))]


def evaluate_checkpoint(config, workdir, log=print, asked=()):
  """`--mode=eval`: the model in `workdir` on the data that `config` names.

  The model, its preprocessing and its labels are those of the checkpoint, but
  for what is asked for. Writes `workdir/eval_{split}.json`.

  Args:
    config: a configuration; its sections `data` and `eval` count.
    workdir: a local path or a URL.
    log: called with every line for the user.
    asked: names of further fields that count, see `request.adapt`.

  Returns:
    A `Result`.

  Raises:
    InputError: if checkpoint, data or a field do not fit.
    SystemExit: after SIGTERM or SIGINT; nothing is written.
  """
  trained = checkpoints.restore_model(workdir)
  trained = request.adapt(trained, config, asked, log)
  mesh = sharding.create_mesh()
  # A wrong field is reported before the data is built.
  sharding.check_batch_size('eval.batch_size', config.eval.batch_size, mesh)
  pipeline.check_threads(config.data)
  views = records.Views.from_config(config)
  kind, split = trained.config.modality, config.eval.split
  data = dataset.prepare(config.data, kind, log, (split,))
  request.check_data(trained, config, asked, data, log)
  check_labels(trained.labels, data.labels)
  source = data.split(split)
  evaluator = Evaluator(trained.module(), trained.preprocessing, mesh)
  # Through the host: a device cannot send to those of another process.
  variables = jax.device_put(
    jax.device_get(trained.variables), sharding.replicated(mesh)
  )
  with stopping.Stop() as stop:
    result = evaluator.evaluate(variables, source, config, stop=stop.reached)
  if result is None:
    log(f'{stop.signal.name}: nothing is written; run again to evaluate.')
    raise SystemExit(stopping.exit_status(stop.signal))
  divergence.check_model(result.loss, workdir, trained.step)
  if jax.process_index() > 0:  # one process speaks for all
    return result
  report = {
    'step': trained.step,
    'dataset': data.name,
    **request.describe(trained, config, asked),
    **describe(result, trained.labels, split, views),
  }
  for label, top1 in report['per_class'].items():
    log(f'  {label:30s} ' + ('no clip' if top1 is None else f'{top1:7.2%}'))
  clips = f'{result.num_clips} clips of {split!r}, step {trained.step}'
  log(f'{clips}: {summary(result)}')
  _write(workdir, result, report, trained, log)
  return result


def _write(workdir, result, report, trained, log):
  """Writes the files of an evaluation; says so where that is not possible."""
  path = files.path(workdir) / f'eval_{report["split"]}.json'
  table = path.with_name(f'predictions_{report["split"]}.csv')
  try:
    files.write(path, json.dumps(report, indent=1, allow_nan=False))
    path = table
    predictions.write(path, result, trained.labels, trained.step)
  except OSError as error:  # somebody else's workdir, or a full disk
    log(f'This could not be written to {path}: {error}.')
  else:
    log(f'What every clip got is in {table}.')


def check_labels(trained, given):
  """Raises InputError unless a dataset has the classes of a checkpoint."""
  if len(trained) != len(given):
    raise errors.InputError(
      f'The checkpoint has {len(trained)} classes and the dataset '
      f'{len(given)}; evaluate on a dataset with the classes it was trained on.'
    )
  for index, (old, new) in enumerate(zip(trained, given)):
    if old != new:
      raise errors.InputError(
        f'Class {index} is {old!r} in the checkpoint and {new!r} in the '
        'dataset; evaluate on a dataset with the classes it was trained on.'
      )
