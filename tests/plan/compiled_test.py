"""Compiled by the true compilers, for accelerators that are not here."""

import json
import time

import jax
import pytest

from configs import ssv2
from support import planning
from tsm_jax import program, sharding
from tsm_jax.models import cost
from tsm_jax.plan import columns, compilation, topology

CHANGES = (
  'batch_size=128',
  'fsdp=True',
  'model.bn_stats=local',
  'accumulation=8',
)


def tiny_program(num_devices):
  """The same training step on CPUs, and the shapes of its state."""
  config = ssv2.get_config()
  config.update_from_flattened_dict(planning.TINY)
  mesh = sharding.create_mesh(jax.devices()[:num_devices])
  return program.build(config, mesh, 174, 168913)


def size_of(tree):
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  return tmp_path_factory.mktemp('compiled')


@pytest.fixture(scope='module')
def on_four(cache):
  """The numbers of all columns on four chips, and the seconds they took."""
  start = time.perf_counter()
  numbers = planning.numbers(
    cache, '--topology=v5e:2x2', *(f'--compare={c}' for c in CHANGES)
  )
  return numbers, time.perf_counter() - start


@pytest.mark.parametrize(
  'name, less',
  [
    (name, less)
    for name, less in (
      ('exec_time_optimization_effort', -1.0),
      ('memory_fitting_effort', -1.0),
      ('optimization_level', 'O0'),
      ('memory_fitting_level', 'O0'),
    )
    if f'jax_{name}' in jax.config.values  # jax 0.11 has the levels alone
  ],
)
def test_what_was_compiled_with_less_effort_is_another_record(name, less):
  lowered = jax.jit(lambda x: x + 1).lower(1.0)
  target = topology.parse('h100')
  usual = compilation.key(lowered, target)
  before = jax.config.values[f'jax_{name}']
  jax.config.update(f'jax_{name}', less)
  try:
    assert compilation.key(lowered, target) != usual
  finally:
    jax.config.update(f'jax_{name}', before)
  assert compilation.key(lowered, target) == usual


@pytest.mark.slow
@planning.needs_libtpu
def test_the_true_step_is_compiled_for_a_tpu(on_four):
  numbers = on_four[0][columns.FIRST]
  program = tiny_program(1)
  state, batch, _ = program.arguments
  variables = {'params': state.params, 'batch_stats': state.batch_stats}
  lowered = program.train_step.lower(*program.arguments)
  flops = lowered.cost_analysis()['flops']  # of one device, unpartitioned
  assert 4 * numbers['chip_flops'] == pytest.approx(flops, rel=0.03)
  # A product each forward, for the gradient of the weights and for that of the
  # input, which the first convolution does not need. XLA counts what is
  # elementwise, too, and does not count products with zeros of the padding.
  clips = jax.ShapeDtypeStruct((64, 8, 112, 112, 3), 'float32')
  forward = 2 * cost.multiply_adds(program.model.apply, variables, clips)[0]
  first = 2 * 64 * 8 * 56**2 * 64 * 7**2 * 3
  assert flops == pytest.approx(3 * forward - first, rel=0.05)

  kinds = numbers['memory']['kinds']
  assert kinds['parameters'] == size_of(state.params)
  assert kinds['optimiser state'] == size_of(state.opt_state)
  assert kinds['clips of the batch'] == size_of(batch) / 4
  assert numbers['memory']['total'] == sum(kinds.values())
  assert numbers['fits']

  seconds = numbers['seconds']
  assert seconds['compute'] == numbers['chip_flops'] / 197e12
  assert seconds['memory bandwidth'] == numbers['chip_bytes'] / 819e9
  assert seconds['interconnect'] == numbers['chip_sent_bytes'] / 100e9
  assert numbers['step_seconds'] == max(seconds.values())
  assert seconds[numbers['bound']] == numbers['step_seconds']
  feed = numbers['input']
  assert feed['clips_per_second'] == 64 / numbers['step_seconds']
  assert feed['cpus'] == pytest.approx(feed['clips_per_second'] * 8 / 550)


@pytest.mark.slow
@planning.needs_libtpu
def test_a_second_run_is_the_same_and_compiles_nothing(on_four, cache):
  found, seconds = on_four
  numbers = found[columns.FIRST]
  records = {p: p.stat().st_mtime_ns for p in cache.iterdir()}
  # Two sizes of the batch for each column; two columns share one of them.
  assert len(records) == 2 * len(found) - 1
  start = time.perf_counter()
  again = ('--topology=v5e:2x2', f'--cache_dir={cache}')
  done = planning.run('--json', *again)
  assert json.loads(done.stdout)[columns.FIRST] == numbers
  assert 'Compiling' not in done.stderr
  assert time.perf_counter() - start < seconds
  assert {p: p.stat().st_mtime_ns for p in cache.iterdir()} == records

  table = planning.run(*again).stdout
  assert 'All numbers are predicted' in table
  assert f'bound by {numbers["bound"]}' in ' '.join(table.split())


@pytest.mark.slow
@planning.needs_libtpu
def test_options_change_memory_and_work_as_they_should(on_four):
  base, batch, fsdp, local, accumulated = on_four[0].values()

  def memory(column, kind='activations and temporaries'):
    return column['memory']['kinds'][kind]

  assert memory(batch) > 1.5 * memory(base)
  assert batch['chip_flops'] == pytest.approx(2 * base['chip_flops'], rel=0.02)
  for kind in ('parameters', 'optimiser state'):
    assert memory(fsdp, kind) < 0.3 * memory(base, kind)
  assert 'all-gather' in fsdp['collectives']
  assert memory(accumulated) < 0.5 * memory(base)
  assert accumulated['chip_flops'] == pytest.approx(
    base['chip_flops'], rel=0.05
  )
  # With statistics of each chip, all that is sent are the gradients, the
  # running statistics and the two metrics.
  state = tiny_program(4).arguments[0]
  assert local['collectives']['all-reduce']['bytes'] == (
    size_of(state.params) + size_of(state.batch_stats) + 2 * 4
  )
  assert base['largest_chip_batch'] > 32  # twice as many fit, as was compiled


@pytest.mark.slow
@planning.needs_libtpu
def test_too_much_for_the_memory_is_a_sentence(cache):
  done = planning.run(
    f'--cache_dir={cache}', '--topology=v5e:1x1', batch_size=1024
  )
  assert done.returncode == 2
  *_, line = done.stderr.splitlines()
  assert line.startswith('error: ssv2 with batch_size 1024 does not fit v5e')
  assert '15.75 GiB per chip' in line
  assert 'fits' in done.stdout and 'NO' in done.stdout
  assert 'lower batch_size to ' in line


@pytest.mark.slow
@planning.needs_cuda
def test_one_gpu(cache):
  # Two stages of bottlenecks: with a strided 1x1 convolution, see the test of
  # `convolution`.
  fields = {'model.depth': 50, 'model.stage_sizes': (1, 1)}
  numbers = planning.numbers(cache, '--topology=h100', **fields)
  numbers = numbers[columns.FIRST]
  assert numbers['fits'] and not numbers['collectives']
  assert numbers['seconds']['interconnect'] == 0
  assert numbers['seconds']['compute'] == numbers['chip_flops'] / 494e12
  assert numbers['chip_bytes'] > size_of(tiny_program(1).arguments[1])
