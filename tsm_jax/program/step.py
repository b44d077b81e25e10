"""The training step: a pure function from one state to the next."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tsm_jax import sharding
from tsm_jax.data.input import augment
from tsm_jax.program import eval_variables, metrics, multi_label


class TrainState(NamedTuple):
  """All that changes while training."""

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any
  ema: Any = ()  # see `eval_variables`


def init_state(model, tx, ema, clip_shape, key):
  """The state at step 0; the clip's size changes no shape in it."""
  variables = model.init(key, np.zeros(clip_shape, np.float32))
  return first_state(tx, ema, variables)


def first_state(tx, ema, variables):
  """The state at step 0 of a model's variables."""
  params = variables['params']
  return TrainState(
    step=np.zeros((), np.int32),
    params=params,
    batch_stats=variables.get('batch_stats', {}),
    opt_state=tx.init(params),
    ema=ema.init(params),
  )


def make_train_step(model, tx, config, mirrored=None, mesh=None, weights=None):
  """The pure function `(state, batch, key) -> (state, metrics)`.

  With `config.accumulation=n` the gradient is the mean over n micro batches.
  Each micro batch is normalised by its own statistics, and the running ones
  move once, to their mean: the step equals that of n ghost batches. If
  statistics are frozen, it equals the step of the whole batch.

  Args:
    model: a Flax module.
    tx: an optax gradient transformation.
    config: a configuration, see `configs/common.py`.
    mirrored: from `flips.mirrored_classes`.
    mesh: of the devices, if there are several.
    weights: of the classes in the loss, from `balance.class_weights`, or None.

  Returns:
    A function of a `TrainState`, a batch (frames uint8 `[B, T, S, S, C]`, label
    int32 `[B]`) and the run's key; metrics are float32 scalars.
  """
  average = eval_variables.create_ema(config.ema_decay)
  several = config.data.get('multi_label', False)
  gradient = make_gradient(model, config.label_smoothing, weights, several)
  fsdp = config.fsdp and mesh is not None

  def train_step(state, batch, key):
    augment_key, dropout_key = jax.random.split(
      jax.random.fold_in(key, state.step)
    )
    frames, label = augment.augment(augment_key, batch, config, mirrored)
    params = state.params
    if fsdp:  # whole for the network, in parts for the optimiser
      params = sharding.constrain(params, sharding.replicated(mesh))
    (batch_stats, values), grads = accumulated(
      functools.partial(gradient, params, state.batch_stats),
      (frames, label),
      dropout_key,
      config.accumulation,
      mesh,
    )
    if fsdp:
      grads = sharding.constrain(grads, sharding.fully_sharded(grads, mesh))
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    state = TrainState(
      step=state.step + 1,
      params=params,
      batch_stats=batch_stats,
      opt_state=opt_state,
      ema=average.update(params, state.ema)[1],
    )
    return state, values

  return train_step


def make_gradient(model, smoothing, weights=None, several=False):
  """The gradient of the loss of a batch.

  The loss is the mean over the clips of the cross-entropy of a clip's logits,
  times the weight of its class; with `consensus='frames'` of those of each
  frame from `consensus_from` on, and over these frames, too. Its metrics are of
  the clips' logits.

  Args:
    model: a Flax module.
    smoothing: of labels.
    weights: see `metrics.weighted_mean`.
    several: whether clips may have several labels; their loss is that of
      `multi_label`.

  Returns:
    A function of params, batch_stats, `(frames, label)` from
    `augment.augment`, and a key; to `((batch_stats, metrics), gradient)`.
  """

  # Of a 'frames' consensus, every frame has a loss of its own.
  each = model.consensus == 'frames'
  trained = model.clone(consensus='none') if each else model

  measures = multi_label if several else metrics

  def loss_fn(params, batch_stats, batch, key):
    frames, label = batch
    logits, updates = trained.apply(
      {'params': params, 'batch_stats': batch_stats},
      frames,
      train=True,
      rngs={'dropout': key},
      mutable=['batch_stats'],
    )
    if each:
      losses = measures.frame_cross_entropy(
        model.decisive(logits), label, smoothing
      )
      logits = model.clip_logits(logits)
    else:
      losses = measures.cross_entropy(logits, label, smoothing)
    loss = metrics.weighted_mean(losses, label, weights)
    values = {'loss': loss, 'top1': measures.top1(logits, label)}
    return loss, (updates['batch_stats'], values)

  def gradient(params, batch_stats, batch, key):
    grads, aux = jax.grad(loss_fn, has_aux=True)(
      params, batch_stats, batch, key
    )
    return aux, grads

  return gradient


def accumulated(function, batch, key, parts, mesh=None):
  """The mean of `function(micro batch, key)` over the parts of a batch.

  Args:
    function: to a tree of float arrays.
    batch: a tree of arrays `[B, ...]`.
    key: every part gets another one that follows from it.
    parts: how many; with 1 it is `function(batch, key)`.
    mesh: see `sharding.split_batch`.
  """
  if parts == 1:
    return function(batch, key)
  xs = sharding.split_batch(batch, parts, mesh), jax.random.split(key, parts)
  first = jax.tree.map(lambda x: x[0], xs)
  zeros = jax.tree.map(
    lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, *first)
  )

  def add(total, x):
    return jax.tree.map(jnp.add, total, function(*x)), None

  total, _ = jax.lax.scan(add, zeros, xs)
  return jax.tree.map(lambda x: x / parts, total)
