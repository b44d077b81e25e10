"""What a frame of a stream costs, alone and in a batch of cameras.

  python -m tsm_jax.bench stream --config configs/jester.py:direction=past

Runs what a `stream.Session` runs, from uint8 frames of the network's size to
logits on the host, with random weights. Three programs take turns: one camera,
one camera without the shift, and several cameras in one batch.
"""

import json
import platform
import time

import jax
import numpy as np
from rich import table

import tsm_jax
from tsm_jax import checkpoints, cli, models
from tsm_jax.bench import interleave, machine
from tsm_jax.data.input import preprocess
from tsm_jax.data.sources import published
from tsm_jax.stream import batch

QUARTILES = (0.5, 0.25, 0.75)  # in the order in which they are shown


def main(argv=None):
  options = _parser().parse_args(argv)
  config = options.config.copy_and_resolve_references()
  config.model.num_classes = published.num_classes(config)
  config.model.direction = 'past'
  shown = _machine(config, options)
  if not options.json:
    print(shown, flush=True)
  one, many = 'one camera', f'{options.cameras} cameras in one batch'
  plain = 'one camera, no shift'
  turns = {
    one: prepare(config, 1, options.steps),
    plain: prepare(without_shift(config), 1, options.steps),
    many: prepare(config, options.cameras, options.steps),
  }
  ms = interleave.measure(turns, options.repeats)
  ratios = {
    'shift': _ratio(ms[one], ms[plain]),
    'batch': _ratio(ms[many], ms[one]) / options.cameras,
  }
  if options.json:
    found = {'measured': shown, 'ms': ms, 'ratios': _lists(ratios)}
    print(json.dumps(found, indent=1))
  else:
    show(ms, {one: 1, plain: 1, many: options.cameras}, ratios)


def _parser():
  parser = cli.Parser('bench stream', description=__doc__)
  parser.add_config()
  count = cli.at_least(1)
  add = parser.add_argument
  add('--cameras', type=count, default=8, help='of a batch (%(default)s)')
  add('--steps', type=count, default=5, help='of a turn (%(default)s)')
  add('--repeats', type=count, default=15, help='turns (%(default)s)')
  parser.add_switch('json', 'print JSON instead of a table')
  return parser


def without_shift(config):
  """The configuration of the same network without the shift."""
  config = config.copy_and_resolve_references()
  config.model.shift = 'none'
  return config


def prepare(config, cameras, steps):
  """Compiles the step of some cameras and runs it once.

  Args:
    config: a whole configuration of direction 'past'.
    cameras: rows of the batch.
    steps: of a turn.

  Returns:
    A function that runs the steps and returns the milliseconds of one.

  Raises:
    InputError: if the model is not one for streams.
  """
  how = preprocess.Preprocessing.from_config(config)
  model = models.create_model(config.model)
  shape = how.clip_shape()[2:]
  frames = np.zeros((1, 1, *shape), np.float32)
  variables = _random(jax.eval_shape(model.init, jax.random.key(0), frames))
  labels = list(map(str, range(config.model.num_classes)))
  trained = checkpoints.TrainedModel(
    config.model, variables, labels, how, {}, 0
  )
  rows, rng = batch.Batch(trained, cameras), np.random.default_rng(0)
  shown = {row: rng.integers(0, 256, shape, np.uint8) for row in range(cameras)}

  def turn(steps=steps):
    before = time.perf_counter()
    for _ in range(steps):
      rows.step(shown)  # waits for the logits
    return 1e3 * (time.perf_counter() - before) / steps

  turn(1)
  return turn


def _random(shapes):
  """Variables that keep the size of activations; nothing is compiled."""
  rng = np.random.default_rng(0)

  def draw(path, x):
    if path[-1].key == 'kernel':
      scale = np.float32(np.sqrt(2 * x.shape[-1] / x.size))
      return scale * rng.standard_normal(x.shape, np.float32)
    return np.full(x.shape, path[-1].key in ('var', 'scale'), np.float32)

  return jax.tree_util.tree_map_with_path(draw, shapes)


def _ratio(times, others):
  """Quartiles of the ratio of two programs in the same turn."""
  return np.quantile(np.divide(times, others), QUARTILES)


def _lists(ratios):
  return {name: values.tolist() for name, values in ratios.items()}


def show(ms, cameras, ratios):
  """Prints the table and the ratios.

  Args:
    ms: lists of milliseconds per step, by program.
    cameras: how many each program follows.
    ratios: quartiles of 'shift' and 'batch'.
  """
  rows = table.Table(
    'program', 'ms per step', 'quartiles', 'frames/s of all cameras'
  )
  for name, times in ms.items():
    median, low, high = np.quantile(times, QUARTILES)
    speed = f'{1e3 * cameras[name] / median:.1f}'
    rows.add_row(name, f'{median:.2f}', f'{low:.2f}, {high:.2f}', speed)
  cli.show(rows)
  many = max(cameras.values())
  for name, sentence in (
    ('shift', 'A step takes {} times as long as without the shift'),
    (
      'batch',
      f'{many} cameras in one batch take {{}} times as long as one by one',
    ),
  ):
    median, low, high = ratios[name]
    said = sentence.format(f'{median:.3f}')
    print(f'{said} (quartiles {low:.3f}, {high:.3f}).')


def _machine(config, options):
  device, model = jax.devices()[0], config.model
  size = config.data.image_size
  return (
    f'tsm_jax {tsm_jax.__version__}, jax {jax.__version__}, Python '
    f'{platform.python_version()}; {device.device_kind}; '
    f'{machine.processor()}. {config.name}: {model.name}, {size}x{size}, '
    f'{model.dtype}; {options.repeats} turns of {options.steps} steps, medians.'
  )
