"""Checkpoints by orbax: what a run continues from, what a model is used from.

A checkpoint has three items: `model` (the params and batch_stats to use, see
`eval_variables`), `train` (what else a run needs: step, optimiser state,
running batch_stats and, if params are averaged, these and the average) and
`data` (JSON: config, labels, preprocessing, versions). The folder `best`
holds models (without `train`) by their top-1. `SHA256SUMS` beside the items has
the hashes of their files, see `hashes`.
"""

import dataclasses
import functools
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp

from tsm_jax import errors, files, models, sharding
from tsm_jax.data.input import preprocess
from tsm_jax.runs import arrays, folders, identity, json_item, steps


class Checkpoints:
  """What a run keeps in its workdir.

  `checkpoints/` has the latest states, from which the run continues; `best/`
  has the models of highest top-1, which are for use only.
  """

  def __init__(self, workdir, config):
    """Opens, or makes, the folders of a workdir.

    Args:
      workdir: a local path or a URL.
      config: the section `checkpoint` of a configuration: keep (states) and
        keep_best (models; 0 keeps none).
    """
    self._workdir, self._config = workdir, config
    self._folder = files.path(workdir) / 'checkpoints'
    self._folder.mkdir(parents=True, exist_ok=True)
    self._start, self._damaged = steps.agree(self._folder)

  # Orbax reads its folders when it opens them, and fails over damaged ones.
  @functools.cached_property
  def _latest(self):
    return folders.open_latest(self._workdir, self._config['keep'])

  @functools.cached_property
  def _best(self):
    return folders.open_best(self._workdir, self._config['keep_best'])

  def latest_step(self):
    """The step to continue from, the latest that is whole, or None."""
    if '_latest' in vars(self):
      return self._latest.latest_step()
    return self._start

  def save(self, state, variables, meta):
    """Starts to save `state`; does nothing if its step is saved already.

    Args:
      state: a `TrainState`.
      variables: params and batch_stats to use, from `EvalVariables`.
      meta: a JSON-able dict, from `identity.describe`.

    Raises:
      InputError: if an earlier save failed; it says which checkpoint is whole.
    """
    step = int(state.step)
    if step in self._latest.all_steps():
      return
    with folders.failed_save_explained(self._latest):
      self._latest.save(
        step,
        args=ocp.args.Composite(
          model=ocp.args.StandardSave(variables),
          train=ocp.args.StandardSave(_to_continue(state)),
          data=ocp.args.JsonSave(meta),
        ),
        force=True,
      )

  def save_best(self, step, variables, meta, score):
    """Saves an evaluated model if it is among the best, and waits for it.

    Args:
      step: the evaluated step.
      variables: params and batch_stats.
      meta: a JSON-able dict, from `identity.describe`.
      score: top-1, or of clips of several labels the mean average precision;
        kept under the name 'top1'. At a tie, the later model is better.

    Raises:
      InputError: if the save failed; it says which checkpoint is whole.
    """
    if self._best is None or step in self._best.all_steps():
      return
    kept = [self._best.metrics(old)['top1'] for old in self._best.all_steps()]
    if len(kept) >= self._config['keep_best'] and score < min(kept):
      return
    with folders.failed_save_explained(self._best, self._latest):
      self._best.save(
        step,
        args=ocp.args.Composite(
          model=ocp.args.StandardSave(variables),
          # Here, the hash of the file protects it.
          data=ocp.args.JsonSave({**meta, 'top1': score}),
        ),
        metrics={'top1': score},
        force=True,
      )
      self._best.wait_until_finished()

  def restore(self, state, meta):
    """The latest checkpoint, to continue from.

    Args:
      state: a `TrainState` of arrays, or of shapes with shardings.
      meta: of the run that wants to continue, from `identity.describe`.

    Returns:
      `(state, meta)` of the checkpoint.

    Raises:
      InputError: if the run contradicts the checkpoint; it lists the fields.
    """
    path = self._folder / str(self._start)
    saved = json_item.read(path)
    if 'converted_from' in saved:
      raise errors.InputError(
        f'The checkpoint in {self._folder} is a converted model, not a run to '
        'continue; choose another --workdir and start from it by init_from.'
      )
    identity.check_same(self._folder, saved, meta)
    best = files.path(self._workdir) / steps.BEST
    steps.set_aside(self._folder, self._damaged, best)
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
    model = {'params': abstract.params, 'batch_stats': abstract.batch_stats}
    with arrays.explained(path):
      restored = self._latest.restore(
        self._start,
        args=ocp.args.Composite(
          model=ocp.args.StandardRestore(model),
          train=ocp.args.StandardRestore(_to_continue(abstract)),
        ),
      )
    return state._replace(**{**restored.model, **restored.train}), saved

  def drop_after(self, step):
    """Removes checkpoints and best models of later steps than `step`."""
    for manager in filter(None, (self._latest, self._best)):
      for later in [s for s in manager.all_steps() if s > step]:
        manager.delete(later)

  def wait(self):
    """Waits until the latest save is whole on disk; raises like `save`."""
    with folders.failed_save_explained(self._latest):
      self._latest.wait_until_finished()


def _to_continue(state):
  """What a run needs beside the parameters it is used with."""
  content = state._asdict()
  params, ema = content.pop('params'), content.pop('ema')
  return {**content, 'params': params, 'ema': ema} if ema else content


@dataclasses.dataclass(frozen=True)
class TrainedModel:
  """A model that is ready for use.

  Attributes:
    config: the section `model` of its configuration.
    variables: params and batch_stats.
    labels: class names by index.
    preprocessing: a `preprocess.Preprocessing`.
    meta: the whole JSON item of the checkpoint, with the frozen config.
    step: of the checkpoint.
  """

  config: ml_collections.ConfigDict
  variables: dict[str, Any]
  labels: list[str]
  preprocessing: preprocess.Preprocessing
  meta: dict[str, Any]
  step: int

  def module(self):
    """The Flax module for the first device, see `models.create_model`."""
    return models.create_model(self.config, jax.local_devices()[0].platform)


def restore_model(path, log=steps.tell):
  """The model of a checkpoint, without its optimiser.

  Args:
    path: a workdir, its folder `checkpoints` or `best`, or one step in that; a
      local path or a URL.
    log: called with a sentence about every damaged step that is passed over.

  Returns:
    A `TrainedModel`, its variables on the first device.

  Raises:
    InputError: if there is no checkpoint, or none that is whole.
  """
  folder, step = folders.find(path)
  step, meta, _ = steps.choose(folder, step, log=log)
  config = json_item.resolved(meta)
  item = folder / str(step) / 'model'
  shapes = arrays.shapes(item)
  arrays.check_fit(item, shapes, config)
  device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  abstract = sharding.placed(shapes, device)
  return TrainedModel(
    config=config.model,
    variables=arrays.restore(item, abstract),
    labels=meta['labels'],
    preprocessing=preprocess.Preprocessing.from_config(config),
    meta=meta,
    step=step,
  )


def save_model(workdir, variables, meta):
  """Writes the checkpoint of a model that was not trained here, at step 0.

  Args:
    workdir: gets the folder `checkpoints`.
    variables: params and batch_stats.
    meta: a JSON-able dict, from `identity.describe`.

  Raises:
    InputError: if there is a checkpoint already, or it cannot be written.
  """
  with folders.open_latest(workdir) as manager:
    if steps.listed(manager.directory):
      raise errors.InputError(
        f'{str(workdir)!r} holds a checkpoint already; choose another place.'
      )
    with folders.failed_save_explained(manager):
      manager.save(
        0,
        args=ocp.args.Composite(
          model=ocp.args.StandardSave(variables),
          data=ocp.args.JsonSave(meta),
        ),
      )
      manager.wait_until_finished()
