import importlib.util
import json
import os
import subprocess
import sys
import time

import jax
import pytest

from configs import ssv2
from support import helpers
from tsm_jax import configuration, program, sharding
from tsm_jax.models import cost
from tsm_jax.plan import __main__ as plan
from tsm_jax.plan import columns

# Few layers, for they are what compiling takes; frames enough that what is
# kept of them does not fit into the fast memory of a TPU.
TINY = {
  'batch_size': 64,
  'data.image_size': 112,
  'model.depth': 18,
  'model.num_frames': 8,
  'model.stage_sizes': (1,),
  'model.width': 64,
}


def installed(name):
  try:
    return importlib.util.find_spec(name) is not None
  except ModuleNotFoundError:  # of its parent
    return False


# Not in CI, where a test that lacks its compiler fails.
CI = 'CI' in os.environ
needs_libtpu = pytest.mark.skipif(
  not (CI or installed('libtpu')), reason='needs the extra [plan]'
)
needs_cuda = pytest.mark.skipif(
  not (CI or installed('jax_plugins.xla_cuda13')),
  reason='needs [plan-cuda]',
)


def command_line(*arguments, **fields):
  fields = {**TINY, **fields}.items()
  return [
    '--config=configs/ssv2.py',
    *(f'--config.{name}={value}' for name, value in fields),
    *arguments,
  ]


def run_plan(*arguments, **fields):
  """A process of its own: libtpu stays in one that has loaded it."""
  return subprocess.run(
    [
      *(sys.executable, '-m', 'tsm_jax.plan'),
      *command_line(*arguments, **fields),
    ],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
  )


@pytest.fixture
def here(monkeypatch):
  """This process, as one in which libtpu is not installed."""
  monkeypatch.chdir(helpers.ROOT)
  monkeypatch.setitem(sys.modules, 'libtpu', None)


def numbers_of(cache, *arguments, **fields):
  done = run_plan('--json', f'--cache_dir={cache}', *arguments, **fields)
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


def tiny_program(num_devices):
  """The same training step on CPUs, and the shapes of its state."""
  config = ssv2.get_config()
  config.update_from_flattened_dict(TINY)
  mesh = sharding.create_mesh(jax.devices()[:num_devices])
  return program.build(config, mesh, 174, 168913)


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  return tmp_path_factory.mktemp('compiled')


@pytest.fixture(scope='module')
def on_four(cache):
  """The numbers on four chips, and the seconds that they took."""
  start = time.perf_counter()
  numbers = numbers_of(cache, '--topology=v5e:2x2')['as configured']
  return numbers, time.perf_counter() - start


def test_explain_needs_no_compiler(here, capsys):
  plan.main(command_line('--explain', '--topology=v5e:2x2', batch_size=128))
  lines = capsys.readouterr().out.splitlines()
  for line in (
    'batch_size = 128',
    'model.width = 64',
    'eval.batch_size = 128',  # follows the batch
    'learning_rate = 0.02',
    '168913 training clips of 174 classes',
    'batch per chip: 32 clips',
    f'steps: {round(50 * 168913 / 128)}',
  ):
    assert line in lines


@pytest.mark.parametrize(
  'arguments, parts',
  [
    (['--topology=v5e:3x3'], ['v5e:3x3', 'v4:2x2x1', 'v6e:1x1', 'h100']),
    ([], ['--topology is missing', 'v5e:1x1']),
    (['--topology=v5e:2x2'], ['v5e:2x2', 'libtpu', "'.[plan]'"]),
    (
      ['--explain', '--topology=v5e:2x4', '--config.batch_size=12'],
      ['batch_size is 12', '8 devices', 'for example 8'],
    ),
    (['--explain', '--compare=model.dpeth=34'], ['model.depth']),
    (['--explain', '--compare=model.depth=deep'], ['model.depth', 'int']),
    (['--explain', '--dataset=mine'], ["'mine'", '--num_clips', 'kinetics400']),
    (['--nosuch=1'], ['no flag --nosuch']),
    (['--topology=h100', '--utilisation=0.5,2'], ["'0.5,2'", 'at most 1']),
    (['--topology=h100', '--frames_per_cpu=0'], ['--frames_per_cpu is 0.0']),
  ],
)
def test_bad_input_is_a_sentence(arguments, parts, here, capsys):
  with pytest.raises(SystemExit) as caught:
    plan.main(command_line(*arguments))
  assert caught.value.code == 2
  written = capsys.readouterr()
  assert written.out == ''
  (line,) = written.err.splitlines()
  assert line.startswith('error: ')
  for part in parts:
    assert part in line


def test_columns_keep_what_follows_from_the_batch():
  both, sizes = 'batch_size=256,model.remat=block', 'model.stage_sizes=(1,2)'
  config, changed, third = columns.configurations(
    configuration.load('ssv2'), [both, sizes]
  ).values()
  assert changed.learning_rate == 4 * config.learning_rate
  assert changed.model.remat == 'block'
  assert third.model.stage_sizes == (1, 2)
  assert config.batch_size == 64


def test_help_names_the_flags(capsys):
  with pytest.raises(SystemExit) as caught:
    plan.main(['--help'])
  assert not caught.value.code
  text = capsys.readouterr().out
  assert 'What a run would need' in text
  for name in ('config', 'compare', 'topology', 'explain', 'num_clips'):
    assert f'--{name}' in text


@pytest.mark.slow
@needs_libtpu
def test_the_true_step_is_compiled_for_a_tpu(on_four):
  numbers, _ = on_four
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


def size_of(tree):
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


@pytest.mark.slow
@needs_libtpu
def test_a_second_run_is_the_same_and_compiles_nothing(on_four, cache):
  numbers, seconds = on_four
  records = {p: p.stat().st_mtime_ns for p in cache.iterdir()}
  # Two sizes of the batch; a third, as the smaller one takes more memory.
  assert len(records) == 3
  start = time.perf_counter()
  done = run_plan('--json', f'--cache_dir={cache}', '--topology=v5e:2x2')
  assert json.loads(done.stdout)['as configured'] == numbers
  assert 'Compiling' not in done.stderr
  assert time.perf_counter() - start < seconds
  assert {p: p.stat().st_mtime_ns for p in cache.iterdir()} == records

  table = run_plan(f'--cache_dir={cache}', '--topology=v5e:2x2').stdout
  assert 'All numbers are predicted' in table
  assert f'bound by {numbers["bound"]}' in ' '.join(table.split())


@pytest.mark.slow
@needs_libtpu
def test_options_change_memory_and_work_as_they_should(on_four, cache):
  found = numbers_of(
    cache,
    '--topology=v5e:2x2',
    '--compare=batch_size=128',
    '--compare=fsdp=True',
    '--compare=model.bn_stats=local',
    '--compare=accumulation=4',
  )
  base, batch, fsdp, local, accumulated = found.values()
  assert base == on_four[0]

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
@needs_libtpu
def test_too_much_for_the_memory_is_a_sentence(cache):
  done = run_plan(f'--cache_dir={cache}', '--topology=v5e:1x1', batch_size=2048)
  assert done.returncode == 2
  *_, line = done.stderr.splitlines()
  assert line.startswith('error: ssv2 with batch_size 2048 does not fit v5e')
  assert '15.75 GiB per chip' in line
  assert 'fits' in done.stdout and 'NO' in done.stdout
  assert 'lower batch_size to ' in line


@pytest.mark.slow
@needs_cuda
def test_one_gpu(cache):
  # Two stages of bottlenecks: with a strided 1x1 convolution, see layers_test.
  fields = {'model.depth': 50, 'model.stage_sizes': (1, 1)}
  numbers = numbers_of(cache, '--topology=h100', **fields)['as configured']
  assert numbers['fits'] and not numbers['collectives']
  assert numbers['seconds']['interconnect'] == 0
  assert numbers['seconds']['compute'] == numbers['chip_flops'] / 494e12
  assert numbers['chip_bytes'] > size_of(tiny_program(1).arguments[1])


def test_the_environment_is_left_to_other_programs():
  code = (
    'import os, sys; before = dict(os.environ); import tsm_jax.plan.__main__;'
    'print(os.environ == before, "jax" in sys.modules)'
  )
  environment = {
    k: v for k, v in os.environ.items() if not k.startswith(('TPU', 'JAX'))
  }
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
    env=environment,
  )
  assert done.stdout.split() == ['True', 'False'], done.stderr
