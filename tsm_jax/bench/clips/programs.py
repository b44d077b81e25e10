"""What is done with a batch of clips: the programs, and their arguments."""

import contextlib
import time

import jax
import numpy as np

from tsm_jax import errors, evaluate, models, program, sharding
from tsm_jax.bench import interleave, random_weights
from tsm_jax.data.input import preprocess
from tsm_jax.data.sources import published
from tsm_jax.models import folding
from tsm_jax.plan import compilation


def inference(config, mesh, variables=None):
  """The jitted forward pass of an evaluation, for the devices of a mesh.

  Args:
    config: a whole configuration, with `model.num_classes`.
    mesh: from `sharding.create_mesh`.
    variables: params and batch_stats, or None: then the devices are not here.

  Returns:
    `(run, arguments)`: a function of variables and frames (uint8 `[B, T, S, S,
    C]`) to logits `[B, K]`, and both; the frames as shapes, and so are the
    variables if there are none.

  Raises:
    InputError: if a field has an impossible value.
  """
  platform = mesh.devices.flat[0].platform
  model = models.create_model(config.model, platform)
  how = preprocess.Preprocessing.from_config(config)
  replicated, applied = sharding.replicated(mesh), contextlib.nullcontext
  if variables is None:
    shapes = models.shapes(model, how.clip_shape())
    variables = sharding.placed(shapes, replicated)
  else:
    variables, applied = evaluate.prepare(model, variables, how)
    variables = jax.device_put(variables, replicated)

  def run(variables, frames):
    return evaluate.view_logits(model, variables, frames[:, None], how)

  batched = sharding.batched(mesh)
  run = folding.jit(run, applied, how.image_size, out_shardings=batched)
  frames = program.batch_shapes(config.batch_size, how)['frames']
  return run, (variables, sharding.placed(frames, batched))


def training(config, mesh):
  """The jitted training step, for the devices of a mesh.

  Args:
    config: as of `inference`.
    mesh: as of `inference`.

  Returns:
    `(step, arguments)`, see `program.Program`.

  Raises:
    InputError: if a field has an impossible value.
  """
  built = program.build(
    config, mesh, config.model.num_classes, num_clips(config)
  )
  return built.train_step, built.arguments


def num_clips(config):
  """Of a dataset that is not there; only the schedule depends on it."""
  return 1000 * config.batch_size


def lowered(config, mode, mesh):
  """The `jax.stages.Lowered` of one of `contests.MODES`."""
  make = {'inference': inference, 'training': training}[mode]
  run, arguments = make(config, mesh)
  return run.lower(*arguments)


def runner(config, mode, mesh):
  """Compiles one of `contests.MODES`, to run it on random weights and clips.

  Args:
    config: as of `inference`.
    mode: one of `contests.MODES`.
    mesh: of devices that are here.

  Returns:
    `(run, compiled)`: a function that runs the program once, waits, and returns
    the logits `[B, K]` or the loss; and the `jax.stages.Compiled`.
  """
  batch = jax.device_put(random_clips(config), sharding.batched(mesh))
  variables = random_weights.trained(config).variables
  if mode == 'inference':
    run, arguments = inference(config, mesh, variables)
    compiled, variables = run.lower(*arguments).compile(), arguments[0]

    def infer():
      return compiled(variables, batch['frames']).block_until_ready()

    return infer, compiled
  step, arguments = training(config, mesh)
  compiled = step.lower(*arguments).compile()
  state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), arguments[0])
  state = jax.device_put(
    state._replace(**variables), jax.tree.map(_sharding, arguments[0])
  )
  key = jax.device_put(jax.random.key(config.seed), sharding.replicated(mesh))

  def train():
    nonlocal state  # the step frees the old one
    state, metrics = compiled(state, batch, key)
    jax.block_until_ready((state, metrics))
    return metrics['loss']

  return train, compiled


def steps(config, mesh, count, clock):
  """Compiles the training step and runs it once, from its own initial values.

  Args:
    config: a whole configuration.
    mesh: of devices that are here.
    count: of steps that are measured together.
    clock: a function that returns seconds, a number or an array.

  Returns:
    `(turn, compiled)`: a function that runs the steps and returns the seconds
    of one by the clock, and the `jax.stages.Compiled`. A short step is done
    once before: others ran meanwhile and left the caches as they like.

  Raises:
    InputError: if a field has an impossible value.
  """
  classes = published.num_classes(config)
  built = program.build(config, mesh, classes, num_clips(config))
  compiled = built.train_step.lower(*built.arguments).compile()
  batch = jax.device_put(
    random_batch(built.arguments[1], classes), sharding.batched(mesh)
  )
  key = jax.device_put(jax.random.key(config.seed), sharding.replicated(mesh))
  state = built.init(key)

  def run(times):
    nonlocal state  # the step frees the old one
    before = clock()
    for _ in range(times):
      state, metrics = compiled(state, batch, key)
    jax.block_until_ready((state, metrics))
    return clock() - before

  def turn():
    begun, first = time.perf_counter(), run(1)
    if time.perf_counter() - begun < interleave.LONG:
      return run(count) / count
    return (first + run(count - 1)) / count if count > 1 else first

  run(1)
  return turn, compiled


@contextlib.contextmanager
def explained(config):
  """Makes an InputError of what says that the memory here does not suffice."""
  try:
    yield
  except (jax.errors.JaxRuntimeError, MemoryError) as error:
    if not compilation.is_out_of_memory(error):
      raise
    raise errors.InputError(
      f'batch_size is {config.batch_size}, too large for the memory here: '
      f'{" ".join(str(error).split())[:200]}'
    ) from None


def random_batch(shapes, num_classes):
  """Random `frames` and `label`, as NumPy arrays of the given shapes."""
  rng = np.random.default_rng(0)
  top = {'frames': 256, 'label': num_classes}
  return {
    name: rng.integers(0, top[name], shape.shape, shape.dtype)
    for name, shape in shapes.items()
  }


def random_clips(config):
  """The `random_batch` of a configuration."""
  how = preprocess.Preprocessing.from_config(config)
  shapes = program.batch_shapes(config.batch_size, how)
  return random_batch(shapes, config.model.num_classes)


def _sharding(shape):
  return shape.sharding
