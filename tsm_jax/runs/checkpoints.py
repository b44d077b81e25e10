"""Checkpoints by orbax: what a run continues from, what a model is used from.

A checkpoint has three items: `model` (the params and batch_stats to use, see
`eval_variables`), `train` (what else a run needs: step, optimiser state,
running batch_stats and, if params are averaged, these and the average) and
`data` (JSON: config, labels, preprocessing, versions). The folder `best`
holds models (without `train`) by their top-1. `SHA256SUMS` beside the items has
the hashes of their files, see `hashes`.
"""

import functools

import jax
import orbax.checkpoint as ocp

from tsm_jax import errors, files
from tsm_jax.runs import (
  arrays,
  folders,
  identity,
  json_item,
  replacing,
  steps,
)
from tsm_jax.runs.trained import (  # noqa: F401
  TrainedModel,
  restore_model,
  save_model,
)


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
    self._statistics = None  # of the model that was restored

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

    Where that was restored, it is replaced if its statistics are others.

    Args:
      state: a `TrainState`.
      variables: params and batch_stats to use, from `EvalVariables`.
      meta: a JSON-able dict, from `identity.describe`.

    Raises:
      InputError: if an earlier save failed; it says which checkpoint is whole.
    """
    step = int(state.step)
    if step in self._latest.all_steps() and not self._differs(step, variables):
      return
    room = replacing.room(self._latest, step)
    with folders.failed_save_explained(self._latest), room:
      self._latest.save(
        step,
        args=ocp.args.Composite(
          model=ocp.args.StandardSave(variables),
          train=ocp.args.StandardSave(_to_continue(state)),
          data=ocp.args.JsonSave(meta),
        ),
        force=True,
      )

  def _differs(self, step, variables):
    """Whether a step that was restored has other statistics for use."""
    kept, now = self._statistics, variables['batch_stats']
    return step == self._start and kept and not replacing.same(kept, now)

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
    self._statistics = restored.model['batch_stats']
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
