"""Checkpoints by orbax: what a run continues from, what a model is used from.

A checkpoint has three items: `model` (params and batch_stats as they are used,
see `eval_variables`), `train` (what a run needs beside them: step, optimiser state,
running batch_stats and, where params are averaged, these and the average) and
`data` (JSON: config, labels, preprocessing, versions). Beside these, the folder
`best` holds models (without `train`) by their top-1.
"""

import dataclasses
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp

from tsm_jax.runs import folders, identity
from tsm_jax import errors, models
from tsm_jax.data.input import preprocess


def check(config):
  """Raises InputError unless the fields of `config.checkpoint` make sense."""
  for field, least in (('every_steps', 1), ('keep', 1), ('keep_best', 0)):
    if config[field] < least:
      raise errors.InputError(
        f'checkpoint.{field} is {config[field]}; it must be at least {least}.'
      )


def save(manager, state, used, meta):
  """Starts to save `state`; does nothing if its step is saved already.

  Args:
    manager: as from `folders.open_latest`.
    state: a `TrainState`.
    used: params and batch_stats that the model is used with; they may be
      averages of those in `state`.
    meta: a JSON-able dict, see `identity.describe`.

  Raises:
    InputError: if an earlier save failed; it says which checkpoint is whole.
  """
  step = int(state.step)
  if step in manager.all_steps():
    return
  with folders.failed_save_explained(manager):
    manager.save(
      step,
      args=ocp.args.Composite(
        model=ocp.args.StandardSave(used),
        train=ocp.args.StandardSave(_to_continue(state)),
        data=ocp.args.JsonSave(meta),
      ),
      force=True,
    )


def save_best(manager, keep, latest, step, used, meta, top1):
  """Saves an evaluated model if it is among the best so far, and waits for it.

  Args:
    manager: as from `folders.open_best`.
    keep: likewise.
    latest: the manager of what the run continues from if this save fails.
    step: that was evaluated.
    used: params and batch_stats.
    meta: a JSON-able dict, see `identity.describe`.
    top1: fraction; at a tie, the later model is the better one.

  Raises:
    InputError: as `save`.
  """
  if manager is None or step in manager.all_steps():
    return
  kept = [manager.metrics(old)['top1'] for old in manager.all_steps()]
  if len(kept) >= keep and top1 < min(kept):
    return
  with folders.failed_save_explained(manager, latest):
    manager.save(
      step,
      args=ocp.args.Composite(
        model=ocp.args.StandardSave(used), data=ocp.args.JsonSave(meta)
      ),
      metrics={'top1': top1},
      force=True,
    )
    manager.wait_until_finished()


def save_model(workdir, variables, meta):
  """Writes the checkpoint of a model that was not trained here, at step 0.

  Args:
    workdir: gets the folder checkpoints.
    variables: params and batch_stats.
    meta: a JSON-able dict, see `identity.describe`.

  Raises:
    InputError: if there is a checkpoint already, or it cannot be written.
  """
  with folders.open_latest(workdir) as manager:
    if manager.all_steps():
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


def _to_continue(state):
  """What a run needs beside the parameters it is used with."""
  content = state._asdict()
  params, ema = content.pop('params'), content.pop('ema')
  return {**content, 'params': params, 'ema': ema} if ema else content


def wait(manager):
  """Waits until the last save is whole on disk; raises as `save`."""
  with folders.failed_save_explained(manager):
    manager.wait_until_finished()


def restore(manager, state, meta):
  """The last checkpoint of a run, to continue it.

  Args:
    manager: as from `folders.open_latest`.
    state: a `TrainState` of arrays or shapes with shardings.
    meta: of the run that wants to continue, see `identity.describe`.

  Returns:
    `(state, meta)` of the checkpoint.

  Raises:
    InputError: if the run contradicts the checkpoint; it lists the fields.
  """
  step = manager.latest_step()
  saved = manager.restore(step, args=ocp.args.Composite(data=_JSON)).data
  if 'converted_from' in saved:
    raise errors.InputError(
      f'The checkpoint in {manager.directory} is a converted model, not a run '
      'to continue; choose another --workdir and start from it by init_from.'
    )
  identity.check_same(manager.directory, saved, meta)
  abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
  model = {'params': abstract.params, 'batch_stats': abstract.batch_stats}
  restored = manager.restore(
    step,
    args=ocp.args.Composite(
      model=ocp.args.StandardRestore(model),
      train=ocp.args.StandardRestore(_to_continue(abstract)),
    ),
  )
  return state._replace(**{**restored.model, **restored.train}), saved


_JSON = ocp.args.JsonRestore()


@dataclasses.dataclass(frozen=True)
class Model:
  """What is needed to use a trained model.

  Attributes:
    config: the `model` part of its configuration.
    variables: params and batch_stats.
    labels: class names by index.
    preprocessing: a `preprocess.Preprocessing`.
    meta: the whole JSON item, with the frozen config.
    step: of the checkpoint.
  """

  config: ml_collections.ConfigDict
  variables: dict[str, Any]
  labels: list[str]
  preprocessing: preprocess.Preprocessing
  meta: dict[str, Any]
  step: int


def restore_model(path):
  """The model of a checkpoint, without its optimiser.

  Args:
    path: a workdir, its folder `checkpoints` or `best`, or one step in that; a
      local path or a URL.

  Returns:
    A `Model`, its variables on the first device.

  Raises:
    InputError: if there is no checkpoint.
  """
  folder, step = folders.find(path)
  with folders.open_to_read(folder) as manager:
    step = manager.best_step() if step is None else step
    meta = manager.restore(step, args=ocp.args.Composite(data=_JSON)).data
    shapes = manager.item_metadata(step)['model']
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
      lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype, sharding=device), shapes
    )
    variables = manager.restore(
      step, args=ocp.args.Composite(model=ocp.args.StandardRestore(abstract))
    ).model
  config = ml_collections.ConfigDict(meta['config'])
  # Fields that came after the checkpoint was written.
  config.model = {**models.DEFAULTS, **config.model}
  return Model(
    config=config.model,
    variables=variables,
    labels=meta['labels'],
    preprocessing=preprocess.preprocessing_of(config),
    meta=meta,
    step=step,
  )
