"""What a frame of a stream costs: in JAX, in PyTorch and as an export.

  python -m tsm_jax.bench stream --exports EXPORTS

lets them run the same network, MobileNetV2 and ResNet-50 or the configuration
that is given, see `rivals.comparison`.

  python -m tsm_jax.bench stream --config configs/jester.py:direction=past

is about JAX alone. It runs what a `stream.Session` runs, from uint8 frames of
the network's size to logits on the host, with random weights. Three programs
take turns: one camera, one camera without the shift, and several cameras in one
batch. The processor time of all threads tells more where the devices are a CPU
that others use, too.
"""

import json
import platform
import time

import jax
import numpy as np
from rich import table

import tsm_jax
from tsm_jax import cli, configuration
from tsm_jax.bench import interleave, machine, random_weights
from tsm_jax.bench.rivals import comparison
from tsm_jax.data.sources import published
from tsm_jax.insight import choices
from tsm_jax.stream import batch

CLOCKS = ('time', 'processor time')
QUARTILES = (0.5, 0.25, 0.75)  # in the order in which they are shown
NETWORKS = tuple(
  f'jester:model={model},direction=past' for model in ('mobilenet_v2', 'resnet')
)


def main(argv=None):
  options = _parser().parse_args(argv)
  if _compares(options):
    comparison.main(options, _networks(options.config))
    return
  (config,) = _networks(options.config)
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
  measured = interleave.measure(turns, options.repeats)
  times = {name: np.array(values) for name, values in measured.items()}
  ratios = {
    'shift': _ratio(times[one], times[plain]),
    'batch': _ratio(times[many], times[one]) / options.cameras,
  }
  if options.json:
    found = {'measured': shown, 'ms': _by_clock(times)}
    print(json.dumps({**found, 'ratios': _by_clock(ratios)}, indent=1))
  else:
    show(times, {one: 1, plain: 1, many: options.cameras}, ratios)


def _parser():
  parser = cli.Parser('bench stream', description=__doc__)
  # Of the usual networks, no fields can be set.
  parser.add_config(unless=lambda args: _compares(args) and not args.overrides)
  count = cli.at_least(1)
  add = parser.add_argument
  add('--cameras', type=count, default=8, help='of a batch (%(default)s)')
  add('--steps', type=count, default=5, help='of a turn (%(default)s)')
  add('--repeats', type=count, default=15, help='turns (%(default)s)')
  parser.add_switch('json', 'print JSON instead of a table')
  comparison.add_flags(parser)
  return parser


def _compares(options):
  return not options.config or bool(options.exports or options.contenders)


def _networks(config):
  """The configurations of what is measured, of direction 'past'."""
  configs = [config] if config else map(configuration.load, NETWORKS)
  networks = [
    choices.settle(config, log=lambda line: None).copy_and_resolve_references()
    for config in configs
  ]
  for network in networks:
    network.model.num_classes = published.num_classes(network)
    network.model.direction = 'past'
  return networks


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
    A function that runs the steps and returns the milliseconds of one, by each
    of `CLOCKS`.

  Raises:
    InputError: if the model is not one for streams.
  """
  trained = random_weights.trained(config)
  shape = trained.preprocessing.clip_shape()[2:]
  rows, rng = batch.Batch(trained, cameras), np.random.default_rng(0)
  shown = {row: rng.integers(0, 256, shape, np.uint8) for row in range(cameras)}

  def turn():
    rows.step(shown)  # what ran before has left caches and memory as it needs
    before = _now()
    for _ in range(steps):
      rows.step(shown)  # waits for the logits
    return 1e3 * (_now() - before) / steps

  turn()
  return turn


def _now():
  return np.array([time.perf_counter(), time.process_time()])


def _ratio(times, others):
  """Quartiles `[3, 2]` of the ratio of two programs in the same turn."""
  return np.quantile(times / others, QUARTILES, axis=0)


def _by_clock(values):
  """Arrays `[..., 2]` by name as lists for JSON, by name and clock."""
  return {
    name: {clock: array[..., i].tolist() for i, clock in enumerate(CLOCKS)}
    for name, array in values.items()
  }


def show(times, cameras, ratios):
  """Prints the table and the ratios.

  Args:
    times: milliseconds per step `[turns, 2]`, by program.
    cameras: how many each program follows.
    ratios: quartiles `[3, 2]` of 'shift' and 'batch'.
  """
  rows = table.Table(
    'program', 'ms per step', 'quartiles', 'processor ms', 'frames/s'
  )
  for name, values in times.items():
    (ms, processor), low, high = np.quantile(values, QUARTILES, axis=0)
    rows.add_row(
      name,
      f'{ms:.2f}',
      f'{low[0]:.2f}, {high[0]:.2f}',
      f'{processor:.2f}',
      f'{1e3 * cameras[name] / ms:.1f}',
    )
  cli.show(rows)
  many = max(cameras.values())
  for name, sentence in (
    ('shift', 'A step costs {}, as a share of one without the shift.'),
    (
      'batch',
      f'{many} cameras in one batch cost {{}}, as a share of {many} '
      'steps of one.',
    ),
  ):
    shares = (
      f'{middle:.3f} of the {clock} (quartiles {low:.3f}, {high:.3f})'
      for clock, (middle, low, high) in zip(CLOCKS, ratios[name].T)
    )
    print(sentence.format(' and '.join(shares)))


def _machine(config, options):
  device, model = jax.devices()[0], config.model
  size = config.data.image_size
  return (
    f'tsm_jax {tsm_jax.__version__}, jax {jax.__version__}, Python '
    f'{platform.python_version()}; {device.device_kind}; '
    f'{machine.processor()}. {config.name}: {model.name}, {size}x{size}, '
    f'{model.dtype}; {options.repeats} turns of {options.steps} steps, medians.'
  )
