"""What a configuration means on a mesh: model, optimiser and training step.

Neither data nor the devices of the mesh have to be there: `train` runs a
`Program`, `plan` only compiles it.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from tsm_jax import errors, models, sharding
from tsm_jax.configs import warm_up
from tsm_jax.data.input import preprocess
from tsm_jax.models import compiler_options
from tsm_jax.program import (
  checks,
  eval_variables,
  optim,
  step,
)
from tsm_jax.program.step import TrainState

# It runs once, and is compiled in less than half the time so. Its numbers are
# the same; those of level 0 are not.
_INIT_ONCE = {'xla_backend_optimization_level': 1}


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
    train_step: jitted, see `step.make_train_step`; the state is donated.
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


def build(config, mesh, num_classes, num_clips, mirrored=None, weights=None):
  """Model, optimiser, state and training step, for the devices of a mesh.

  Args:
    config: a configuration, see `configs/common.py`; it is not changed.
    mesh: from `sharding.create_mesh`.
    num_classes: number of classes of the dataset.
    num_clips: number of its training clips.
    mirrored: from `flips.mirrored_classes`.
    weights: of the classes in the loss, from `balance.class_weights`, or None.

  Returns:
    A `Program`.

  Raises:
    InputError: if a field has an impossible value.
  """
  config = checks.resolve(config, mesh, num_classes)
  platform = mesh.devices.flat[0].platform
  model = models.create_model(config.model, platform)
  preprocessing = preprocess.Preprocessing.from_config(config)
  steps_per_epoch, total_steps = plan_steps(config, num_clips)
  schedule = optim.create_schedule(
    learning_rate=config.learning_rate,
    steps_per_epoch=steps_per_epoch,
    epochs=config.epochs,
    **{**config.schedule, 'warmup_epochs': warm_up.epochs(config)},
  )
  clip_shape = preprocessing.clip_shape()
  shapes = models.shapes(model, clip_shape)
  tx = optim.create_optimizer(
    shapes['params'], schedule, config.optimizer, config.model
  )
  ema = eval_variables.create_ema(config.ema_decay)
  init = functools.partial(step.init_state, model, tx, ema, clip_shape)
  key = jax.eval_shape(jax.random.key, 0)
  state = jax.eval_shape(functools.partial(step.first_state, tx, ema), shapes)
  shardings = state_shardings(state, mesh, config.fsdp)
  return Program(
    model=model,
    tx=tx,
    schedule=schedule,
    preprocessing=preprocessing,
    steps_per_epoch=steps_per_epoch,
    total_steps=total_steps,
    shardings=shardings,
    init=jax.jit(
      init,
      out_shardings=shardings,
      compiler_options=_INIT_ONCE if platform == 'cpu' else None,
    ),
    train_step=jax.jit(
      step.make_train_step(model, tx, config, mirrored, mesh, weights),
      donate_argnums=0,
      out_shardings=(shardings, sharding.replicated(mesh)),
      compiler_options=compiler_options.for_training(
        platform, preprocessing.image_size
      ),
    ),
    arguments=(
      sharding.placed(state, shardings),
      sharding.placed(
        batch_shapes(
          config.batch_size,
          preprocessing,
          (num_classes,) if config.data.get('multi_label', False) else (),
        ),
        sharding.batched(mesh),
      ),
      sharding.placed(key, sharding.replicated(mesh)),
    ),
  )


def plan_steps(config, num_clips):
  """`(steps_per_epoch, total_steps)`; the former may be fractional."""
  checks.check_numbers(config)
  steps_per_epoch = num_clips / config.batch_size
  return steps_per_epoch, max(1, round(config.epochs * steps_per_epoch))


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


def batch_shapes(batch_size, preprocessing, label_shape=()):
  """The shapes of a training batch over all devices."""
  _, *clip = preprocessing.read_shape()
  return {
    'frames': jax.ShapeDtypeStruct((batch_size, *clip), np.uint8),
    'label': jax.ShapeDtypeStruct((batch_size, *label_shape), np.int32),
  }
