"""The weights that are used: averages over steps, statistics over batches.

Both are options. What training continues from is not touched by them.
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


def make_used(model, config, preprocessing, mesh, source):
  """The function from a `TrainState` to the variables that are evaluated.

  Args:
    model: a Flax module.
    config: needs ema_decay, eval.precise_bn_batches and what
      `pipeline.train_batches` needs.
    preprocessing: a `preprocess.Preprocessing`.
    mesh: of all devices.
    source: the training split.

  Returns:
    `used(state, precise=True)`: params (averaged, if the configuration says so)
    and batch_stats: the running ones, or if asked for those of the params over
    the first training batches, always the same.

  Raises:
    InputError: if the number of batches is negative.
  """
  num_batches = config.eval.precise_bn_batches
  if num_batches < 0:
    raise errors.InputError(
      f'eval.precise_bn_batches is {num_batches}; it must be at least 0.'
    )
  replicated = sharding.replicated(mesh)
  # Whole on every device, also where the state lies there in parts.
  average = jax.jit(
    lambda state: ema_params(state, config.ema_decay), out_shardings=replicated
  )
  moments = jax.jit(
    make_moments(model, preprocessing), out_shardings=replicated
  )

  def used(state, precise=True):
    apart = config.ema_decay or config.fsdp
    params = average(state) if apart else state.params
    variables = {'params': params, 'batch_stats': state.batch_stats}
    if not precise or not num_batches:
      return variables
    batches = pipeline.train_batches(
      source, config, preprocessing, 0, sharding.process()
    )
    total = None
    for batch in itertools.islice(batches, num_batches):
      seen = moments(variables, sharding.to_devices(batch, mesh))
      total = (
        seen if total is None else jax.tree.map(jax.numpy.add, total, seen)
      )
    batch_stats = jax.tree.map(lambda x: x / num_batches, total)
    return {'params': params, 'batch_stats': batch_stats}

  return used


def make_moments(model, preprocessing):
  """The pure function `(variables, batch) -> batch_stats` of this batch alone.

  Means and unbiased variances, in a tree like that of the running ones. Norms
  that partial BN has frozen keep theirs.
  """

  def moments(variables, batch):
    frames = preprocessing.normalize(batch['frames'])
    _, updates = model.apply(
      variables,
      frames,
      train=True,
      rngs={'dropout': jax.random.key(0)},  # behind the last norm
      mutable=['batch_stats', 'intermediates'],
    )
    return updates['intermediates']

  return moments
