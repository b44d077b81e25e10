"""The variables that are evaluated and saved for use.

Optionally, parameters are averages over steps, and statistics are computed over
several batches. What training continues from is not affected.
"""

import itertools

import jax
import optax

from tsm_jax import errors, sharding
from tsm_jax.data.input import pipeline


def create_ema(decay):
  """The running average of the parameters, as an optax transformation.

  Its state after n steps holds the sum of `(1 - decay) decay^(n - i) p_i` over
  the parameters p_i after step i; without `decay` it is empty.

  Raises:
    InputError: if `decay` is not in [0, 1).
  """
  if not 0 <= decay < 1:
    raise errors.InputError(f'ema_decay is {decay}; it must be in [0, 1).')
  return optax.ema(decay) if decay else optax.identity()


def ema_params(state, decay):
  """The averaged parameters of a `TrainState`; its own without `decay`."""
  if not decay:
    return state.params
  # The weights of the sum add up to 1 - decay^n.
  return optax.tree.bias_correction(state.ema.ema, decay, state.ema.count)


class EvalVariables:
  """Maps a `TrainState` to the variables that are evaluated and saved.

  params are the averaged ones if `ema_decay` is set. batch_stats are the
  running ones. With `eval.precise_bn_batches` they are computed with the params
  over the first training batches, which are always the same.
  """

  def __init__(self, program, config, mesh, source):
    """Compiles nothing yet.

    Args:
      program: a `Program`; its model and preprocessing are used.
      config: a configuration, see `configs/common.py`.
      mesh: all devices.
      source: the training split, from `Dataset.split`.
    """
    self._config, self._mesh = config, mesh
    self._preprocessing, self._source = program.preprocessing, source
    replicated = sharding.replicated(mesh)
    # Whole on every device, also where the state lies there in parts.
    self._average = jax.jit(
      lambda state: ema_params(state, config.ema_decay),
      out_shardings=replicated,
    )
    self._moments = jax.jit(
      make_moments(program.model, program.preprocessing),
      out_shardings=replicated,
    )

  def __call__(self, state, precise=True):
    """A dict of params and batch_stats; `precise=False` takes no batches."""
    apart = self._config.ema_decay or self._config.fsdp
    params = self._average(state) if apart else state.params
    variables = {'params': params, 'batch_stats': state.batch_stats}
    num_batches = self._config.eval.precise_bn_batches
    if not precise or not num_batches:
      return variables
    batches = pipeline.train_batches(
      self._source, self._config, self._preprocessing, 0, sharding.process()
    )
    total = None
    for batch in itertools.islice(batches, num_batches):
      seen = self._moments(variables, sharding.to_devices(batch, self._mesh))
      total = (
        seen if total is None else jax.tree.map(jax.numpy.add, total, seen)
      )
    batch_stats = jax.tree.map(lambda x: x / num_batches, total)
    return {'params': params, 'batch_stats': batch_stats}


def make_moments(model, preprocessing):
  """The pure function `(variables, batch) -> batch_stats` of one batch.

  Means and unbiased variances, in a tree like the running ones. Norms
  that partial BN has frozen keep theirs.
  """

  def moments(variables, batch):
    frames = preprocessing.normalize(batch['frames'])
    _, updates = model.apply(
      variables,
      frames,
      train=True,
      rngs={'dropout': jax.random.key(0)},  # after the last norm
      mutable=['batch_stats', 'intermediates'],
    )
    return updates['intermediates']

  return moments
