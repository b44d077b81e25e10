"""Accelerators that need not be here: their shapes, and devices to compile for.

Only `devices` imports JAX, so that `prepare` can set the environment that JAX
and libtpu read when they are loaded.
"""

import importlib.util
import math
import os
from typing import NamedTuple

from tsm_jax import errors
from tsm_jax.plan import chips

# What libtpu asks for where it finds no TPU. Without it, libtpu prints warnings
# and refuses to be loaded by two processes at a time.
ENVIRONMENT = {
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_WORKER_HOSTNAMES': 'localhost',
}


class Topology(NamedTuple):
  """A slice of TPUs, or one GPU.

  Attributes:
    name: for example 'v5e:4x4'.
    chip: the published figures of one chip.
    shape: chips along each axis; () for a GPU.
  """

  name: str
  chip: chips.Chip
  shape: tuple[int, ...]

  @property
  def size(self):
    return math.prod(self.shape)

  @property
  def num_hosts(self):
    return -(-self.size // self.chip.per_host)

  @property
  def interconnect(self):
    """Bytes/s that a chip can send in a collective over the whole slice.

    On an axis that is a ring, a chip sends by two links. On a line, the chips
    at the ends have one link, and the others wait for them.
    """
    wraps = self.chip.wraps and all(
      n % self.chip.wraps == 0 for n in self.shape
    )
    links = sum(2 if wraps else 1 for n in self.shape if n > 1)
    return links * self.chip.link


def known():
  """A text that names all topologies, chip by chip."""
  return '; '.join(
    f'{name}:' + ', '.join(chip.shapes) if chip.shapes[0] else name
    for name, chip in chips.CHIPS.items()
  )


def parse(name):
  """The `Topology` of a name such as 'v5e:4x4' or 'h100'.

  Raises:
    InputError: if the name is unknown; it lists the known ones.
  """
  chip, _, shape = name.partition(':')
  if chip not in chips.CHIPS or shape not in chips.CHIPS[chip].shapes:
    raise errors.InputError(f'--topology is {name!r}; choose from {known()}.')
  sizes = tuple(int(n) for n in shape.split('x') if n)
  return Topology(name, chips.CHIPS[chip], sizes)


def prepare():
  """Sets the environment; call it before JAX is imported.

  The plan itself always runs on the CPU. It must not take a TPU or GPU on which
  something is being trained.
  """
  os.environ['JAX_PLATFORMS'] = 'cpu'
  for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)


def devices(topology):
  """The devices of a topology. They can be compiled for, not run on.

  Raises:
    InputError: if the compiler for them is not installed.
  """
  from jax.experimental import topologies

  if topology.chip.gpu:
    return _gpu_devices(topology, topologies)
  if importlib.util.find_spec('libtpu') is None:
    raise errors.InputError(
      f'Compiling for {topology.name} needs libtpu, which is not installed: '
      "pip install -e '.[plan]' -c constraints.txt (or --explain, which does "
      'not compile).'
    )
  options = {}
  if len(topology.shape) == 3:
    options['chip_config_name'] = 'megacore'  # a chip is one device
  if topology.size < topology.chip.per_host:
    options['chips_per_host_bounds'] = (*topology.shape, 1)
  return topologies.get_topology_desc(
    topology.name, platform='tpu', **options
  ).devices


def _gpu_devices(topology, topologies):
  plugins = [
    importlib.util.find_spec(f'jax_plugins.xla_cuda{version}')
    for version in (12, 13)
    if importlib.util.find_spec('jax_plugins')
  ]
  if not any(plugins):
    raise errors.InputError(
      f"Compiling for {topology.name} needs JAX's compiler for CUDA, which is "
      "not installed: pip install -e '.[plan-cuda]' -c constraints.txt (or "
      '--explain, which does not compile).'
    )
  return topologies.get_topology_desc(
    topology.name,
    platform='cuda',
    topology='1x1x1',
    target_config=_target_config(topology),
  ).devices


def _target_config(topology):
  """XLA's text form of a GPU."""
  chip, gpu = topology.chip, topology.chip.gpu
  info = {
    'threads_per_block_limit': 1024,
    'threads_per_warp': 32,
    'threads_per_core_limit': 2048,
    'block_dim_limit_x': 2**31 - 1,
    'block_dim_limit_y': 2**16 - 1,
    'block_dim_limit_z': 2**16 - 1,
    'shared_memory_per_block': 48 * 2**10,
    'shared_memory_per_block_optin': gpu.shared_memory - 2**10,
    'shared_memory_per_core': gpu.shared_memory,
    'registers_per_core_limit': gpu.registers,
    'registers_per_block_limit': gpu.registers,
    'core_count': gpu.cores,
    'fpus_per_core': gpu.fpus,
    'clock_rate_ghz': gpu.clock,
    'l2_cache_size': gpu.l2_cache,
    'memory_bandwidth': int(chip.bandwidth),
    'device_memory_size': int(chip.memory / 0.75),
  }
  fields = ' '.join(f'{name}: {value}' for name, value in info.items())
  return (
    f'gpu_device_info {{ {fields} '
    f'cuda_compute_capability {{ major: {gpu.major} }} }} '
    'platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 } '
    f'runtime_version {{ major: 13 }} '
    f'device_description_str: "{topology.name}"'
  )
