"""The model of a checkpoint, ready for use; see `checkpoints`."""

import dataclasses
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp

from tsm_jax import errors, models, sharding
from tsm_jax.data.input import preprocess
from tsm_jax.runs import arrays, folders, json_item, steps


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
