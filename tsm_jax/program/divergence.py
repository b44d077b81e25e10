"""Divergence: what is not finite is neither saved nor evaluated.

The compiled step is left alone. Losses are looked at when they are logged, and
the state when it would be saved or evaluated.
"""

import contextlib
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors, files, sharding
from tsm_jax.runs import identity


class Diverged(errors.InputError):
  """A number of a run is not finite.

  Attributes:
    step: the first one from whose end the run cannot go on.
  """

  def __init__(self, what, step):
    super().__init__(what)
    self.step = step


@functools.lru_cache(maxsize=4)
def _make_flags(mesh):
  """The jitted function from a tree of arrays to whether each is finite."""
  return jax.jit(
    lambda tree: jax.tree.map(lambda x: jnp.isfinite(x).all(), tree),
    out_shardings=sharding.replicated(mesh),
  )


class Finite:
  """Finds the arrays that hold nan or infinity, on all devices."""

  def __init__(self, mesh):
    """Compiles nothing yet; then one program for all arrays of a run."""
    self._flags = _make_flags(mesh)

  def bad(self, state, variables):
    """The names of the arrays that are not finite, a list.

    Args:
      state: a `TrainState`.
      variables: params and batch_stats.
    """
    own = {
      name: tree
      for name, tree in variables.items()
      if tree is not getattr(state, name)
    }
    tree = {'state': state, 'variables': own}
    flags = jax.device_get(self._flags(tree))
    return [
      jax.tree_util.keystr(path, simple=True, separator='/')
      for path, is_finite in jax.tree.leaves_with_path(flags)
      if not is_finite
    ]

  def check(self, state, variables, step):
    """Returns `variables`; raises `Diverged` if they or `state` are not finite.

    Args:
      state: the `TrainState` after `step`.
      variables: params and batch_stats to use, that follow from it.
      step: a number.
    """
    if bad := self.bad(state, variables):
      # Statistics are those of the parameters after the step before.
      late = any(name.startswith('state/batch_stats') for name in bad)
      raise Diverged(f'{bad[0]} is not finite after step {step}', step - late)
    return variables


@contextlib.contextmanager
def explained(kept, workdir, active):
  """Ends a diverged run so that it can go on with a changed rate.

  Checkpoints from whose state the loss is not finite are removed, as no rate
  could go on from them.

  Args:
    kept: the run's `checkpoints.Checkpoints`.
    workdir: of the run.
    active: whether this process writes.

  Raises:
    InputError: in place of `Diverged`; it says how to go on.
  """
  try:
    yield
  except Diverged as error:
    kept.wait()
    kept.drop_after(error.step - 1)
    if active:
      note = {'step': error.step, 'reason': str(error)}
      files.write(
        files.path(workdir) / identity.DIVERGED, json.dumps(note, indent=1)
      )
    saved = kept.latest_step()
    then = (
      'No checkpoint is from before; begin anew in another --workdir.'
      if saved is None
      else f'The same command with that goes on from step {saved}, the last '
      'checkpoint from before.'
    )
    raise errors.InputError(
      f'{error}: training diverged; lower base_learning_rate or '
      f'optimizer.clip_norm. {then}'
    ) from None


def check_start(finite, state, kept, init_from):
  """Raises InputError if a run would begin with a state that is not finite.

  Args:
    finite: a `Finite`.
    state: the `TrainState` of the start.
    kept: the run's `checkpoints.Checkpoints`.
    init_from: where a new run took its weights from.
  """
  # An average over no step is not defined yet.
  variables = {'params': state.params, 'batch_stats': state.batch_stats}
  bad = finite.bad(state, variables)
  if not bad:
    return
  step = kept.latest_step()
  if step is None:
    where = f'of init_from={init_from!r}; take other weights'
  else:
    where = (
      f'of the checkpoint of step {step}; remove its folder {step} in '
      'checkpoints, and the run goes on from the one before'
    )
  raise errors.InputError(f'{bad[0]} is not finite in the state {where}.')


def check_result(loss, step):
  """Raises `Diverged` if the loss of an evaluation after `step` is no number.

  Then a logit is none, and the largest of them means nothing.
  """
  if not np.isfinite(loss):
    raise Diverged(f'The evaluation of step {step} has the loss {loss}', step)


def check_model(loss, path, step):
  """Raises InputError if the mean loss of the model in `path` is no number."""
  if not np.isfinite(loss):
    raise errors.InputError(
      f'The logits of the model in {path}, step {step}, are not finite; take '
      'another checkpoint.'
    )
