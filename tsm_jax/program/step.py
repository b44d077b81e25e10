"""The training step of a configuration: what `train` runs and `plan` compiles.

Nothing here needs data or the devices of the mesh to be at hand.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tsm_jax import errors, models, sharding
from tsm_jax.data.input import augment, preprocess
from tsm_jax.program import eval_variables, metrics, optim
from tsm_jax.runs import progress


class TrainState(NamedTuple):
  """All that changes while training."""

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any
  ema: Any = ()  # see `eval_variables`


class Program(NamedTuple):
  """What a configuration means on a mesh.

  Attributes:
    model: the Flax module.
    tx: the optax gradient transformation.
    schedule: the learning rate by step.
    preprocessing: a `preprocess.Preprocessing`.
    steps_per_epoch: may be fractional.
    total_steps: of the whole run.
    shardings: a `TrainState` of shardings.
    init: jitted, from a key to the `TrainState` of step 0.
    train_step: jitted, see `make_train_step`; the state is donated.
    arguments: shapes and shardings of the arguments of `train_step`: a
      `TrainState`, a batch and a key. `train_step.lower(*arguments).compile()`
      compiles it for the mesh.
  """

  model: Any
  tx: optax.GradientTransformation
  schedule: Any
  preprocessing: preprocess.Preprocessing
  steps_per_epoch: float
  total_steps: int
  shardings: TrainState
  init: Any
  train_step: Any
  arguments: tuple[TrainState, dict[str, Any], Any]


def build(config, mesh, num_classes, num_clips, mirrored=None):
  """Model, optimiser, state and training step, for the devices of a mesh.

  Args:
    config: as from `configs/common.py`.
    mesh: as from `sharding.create_mesh`.
    num_classes: of the dataset.
    num_clips: of its training split.
    mirrored: as from `flips.mirrored_classes`.

  Returns:
    A `Program`.

  Raises:
    InputError: if a field has an impossible value.
  """
  config = config.copy_and_resolve_references()
  config.model.num_classes = num_classes
  config.model.update(
    models.config.local_to_ghost(
      config.model, config.batch_size // config.accumulation, mesh.size
    )
  )
  model = models.create_model(config.model)
  preprocessing = preprocess.preprocessing_of(config)
  steps_per_epoch, total_steps = progress.plan_steps(config, num_clips)
  schedule = optim.create_schedule(
    learning_rate=config.learning_rate,
    steps_per_epoch=steps_per_epoch,
    epochs=config.epochs,
    **{**config.schedule, 'warmup_epochs': optim.warmup_epochs(config)},
  )
  clip_shape = preprocessing.clip_shape()
  params = jax.eval_shape(
    model.init,
    jax.random.key(0),
    jax.ShapeDtypeStruct(clip_shape, np.float32),
  )['params']
  tx = optim.create_optimizer(
    params,
    schedule,
    modality=config.model.modality,
    partial_bn=config.model.partial_bn,
    **config.optimizer,
  )
  ema = eval_variables.create_ema(config.ema_decay)
  init = functools.partial(init_state, model, tx, ema, clip_shape)
  key = jax.eval_shape(jax.random.key, 0)
  state = jax.eval_shape(init, key)
  shardings = state_shardings(state, mesh, config.fsdp)
  return Program(
    model=model,
    tx=tx,
    schedule=schedule,
    preprocessing=preprocessing,
    steps_per_epoch=steps_per_epoch,
    total_steps=total_steps,
    shardings=shardings,
    init=jax.jit(init, out_shardings=shardings),
    train_step=jax.jit(
      make_train_step(model, tx, config, mirrored, mesh),
      donate_argnums=0,
      out_shardings=(shardings, sharding.replicated(mesh)),
    ),
    arguments=(
      sharding.placed(state, shardings),
      sharding.placed(
        batch_shapes(config, preprocessing.read_shape()), sharding.batched(mesh)
      ),
      sharding.placed(key, sharding.replicated(mesh)),
    ),
  )


def state_shardings(state, mesh, fsdp):
  """Where a `TrainState` lies; raises InputError if `fsdp` cannot split it."""
  whole = jax.tree.map(lambda _: sharding.replicated(mesh), state)
  if not fsdp or mesh.size == 1:
    return whole
  parts = sharding.fully_sharded(state, mesh)
  if not sharding.sharded_share(state.params, parts.params):
    raise errors.InputError(
      f'fsdp is True, but no kernel has an axis that {mesh.size} devices share '
      'evenly; set fsdp to False or take a number such as a power of two.'
    )
  # Statistics are small vectors, and every device needs them all.
  return parts._replace(batch_stats=whole.batch_stats)


def batch_shapes(config, read_shape):
  """The shapes of a training batch over all devices."""
  batch_size = config.batch_size
  return {
    'frames': jax.ShapeDtypeStruct((batch_size, *read_shape[1:]), np.uint8),
    'label': jax.ShapeDtypeStruct((batch_size,), np.int32),
  }


def init_state(model, tx, ema, clip_shape, key):
  """The state at step 0; the clip's size changes no shape in it."""
  variables = model.init(key, np.zeros(clip_shape, np.float32))
  params = variables['params']
  return TrainState(
    step=np.zeros((), np.int32),
    params=params,
    batch_stats=variables.get('batch_stats', {}),
    opt_state=tx.init(params),
    ema=ema.init(params),
  )


def make_train_step(model, tx, config, mirrored=None, mesh=None):
  """The pure function `(state, batch, key) -> (state, metrics)`.

  With `config.accumulation` the gradient is the mean of those of so many micro
  batches. Each is normalised by statistics of its own, and the running ones
  move once, to the mean of these: the step of as many ghost batches. Where
  statistics are frozen, it is that of the whole batch.

  Args:
    model: a Flax module.
    tx: an optax gradient transformation.
    config: needs accumulation, fsdp, label_smoothing, ema_decay and what
      `augment.augment` needs.
    mirrored: as from `flips.mirrored_classes`.
    mesh: of the devices, where there are several.

  Returns:
    A function of a `TrainState`, a batch (frames uint8 `[B, T, S, S, C]`, label
    int32 `[B]`) and the run's key; metrics are float32 scalars.
  """
  average = eval_variables.create_ema(config.ema_decay)
  gradient = make_gradient(model, config.label_smoothing)
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


def make_gradient(model, smoothing):
  """The gradient of the loss of a batch.

  Args:
    model: a Flax module.
    smoothing: of labels.

  Returns:
    A function of params, batch_stats, `(frames, label)` as of
    `augment.augment`, and a key; to `((batch_stats, metrics), gradient)`.
  """

  def loss_fn(params, batch_stats, batch, key):
    frames, label = batch
    logits, updates = model.apply(
      {'params': params, 'batch_stats': batch_stats},
      frames,
      train=True,
      rngs={'dropout': key},
      mutable=['batch_stats'],
    )
    loss = metrics.cross_entropy(logits, label, smoothing).mean()
    values = {'loss': loss, 'top1': metrics.top1(logits, label)}
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
    mesh: as of `sharding.split_batch`.
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
