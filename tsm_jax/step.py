"""The training step of a configuration: what `train` runs and `plan` compiles.

Nothing here needs data or the devices of the mesh to be at hand.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from tsm_jax import averages, metrics, models, optim, progress, sharding
from tsm_jax.data import augment, pipeline


class TrainState(NamedTuple):
  """All that changes while training."""

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any
  ema: Any = ()  # see `averages`


class Program(NamedTuple):
  """What a configuration means on a mesh.

  Attributes:
    model: the Flax module.
    tx: the optax gradient transformation.
    schedule: the learning rate by step.
    preprocessing: a `pipeline.Preprocessing`.
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
  preprocessing: pipeline.Preprocessing
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
  models.set_local_clips(config.model, config.batch_size, mesh.size)
  model = models.create_model(config.model)
  preprocessing = pipeline.preprocessing_of(config)
  steps_per_epoch, total_steps = progress.plan_steps(config, num_clips)
  schedule = optim.create_schedule(
    learning_rate=config.learning_rate,
    steps_per_epoch=steps_per_epoch,
    epochs=config.epochs,
    **config.schedule,
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
  ema = averages.create_ema(config.ema_decay)
  init = functools.partial(init_state, model, tx, ema, clip_shape)
  key = jax.eval_shape(jax.random.key, 0)
  state = jax.eval_shape(init, key)
  shardings = jax.tree.map(lambda _: sharding.replicated(mesh), state)
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
      make_train_step(model, tx, config, mirrored),
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


def make_train_step(model, tx, config, mirrored=None):
  """The pure function `(state, batch, key) -> (state, metrics)`.

  Args:
    model: a Flax module.
    tx: an optax gradient transformation.
    config: needs label_smoothing, ema_decay and what `augment.augment` needs.
    mirrored: as from `flips.mirrored_classes`.

  Returns:
    A function of a `TrainState`, a batch (frames uint8 `[B, T, S, S, C]`, label
    int32 `[B]`) and the run's key; metrics are float32 scalars.
  """
  average = averages.create_ema(config.ema_decay)

  def train_step(state, batch, key):
    augment_key, dropout_key = jax.random.split(
      jax.random.fold_in(key, state.step)
    )
    frames, label = augment.augment(augment_key, batch, config, mirrored)

    def loss_fn(params):
      logits, updates = model.apply(
        {'params': params, 'batch_stats': state.batch_stats},
        frames,
        train=True,
        rngs={'dropout': dropout_key},
        mutable=['batch_stats'],
      )
      losses = metrics.cross_entropy(logits, label, config.label_smoothing)
      return losses.mean(), (logits, updates['batch_stats'])

    (loss, (logits, batch_stats)), grads = jax.value_and_grad(
      loss_fn, has_aux=True
    )(state.params)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    state = TrainState(
      step=state.step + 1,
      params=params,
      batch_stats=batch_stats,
      opt_state=opt_state,
      ema=average.update(params, state.ema)[1],
    )
    return state, {'loss': loss, 'top1': metrics.top1(logits, label)}

  return train_step
