"""Accelerators that need not be here: their published figures, their devices.

Nothing here imports JAX before `devices` is called, so that `prepare` can set
the environment that JAX and libtpu read when they are loaded.
"""

import importlib.util
import math
import os
from typing import NamedTuple

from tsm_jax import errors

GB, GIB = 1e9, 2**30

# What libtpu asks for where it finds no TPU: without them it prints warnings,
# and refuses to be loaded by two processes at a time.
ENVIRONMENT = {
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_WORKER_HOSTNAMES': 'localhost',
}


class Gpu(NamedTuple):
  """What XLA must know of a GPU (CUDA C++ Programming Guide, whitepapers)."""

  major: int  # of the compute capability
  cores: int  # streaming multiprocessors
  fpus: int  # for float32, of each
  clock: float  # GHz
  l2_cache: int  # bytes
  shared_memory: int  # bytes of each core
  registers: int = 65536  # of each core


class Chip(NamedTuple):
  """Published figures of one chip.

  Attributes:
    bf16: peak FLOP/s of dense products of bfloat16.
    f32: the same of float32, at the precision that XLA takes by default: one
      pass of bfloat16 on a TPU, TF32 on a GPU.
    memory: bytes that a program may use. TPU: what libtpu's compiler says is
      available (a little less than is built in); GPU: the three quarters of
      the built-in memory that JAX allocates.
    bandwidth: bytes/s of that memory.
    link: bytes/s of one interconnect link in one direction.
    vcpus: of a host (half as many cores, where a core runs two threads).
    per_host: chips of a host.
    wraps: whether an axis of the slice is a ring, by the slice's shape.
    shapes: of the slices that exist.
    source: of the figures.
    gpu: a `Gpu`, or None.
  """

  bf16: float
  f32: float
  memory: float
  bandwidth: float
  link: float
  vcpus: int
  per_host: int
  wraps: bool | int
  shapes: tuple[str, ...]
  source: str
  gpu: Gpu | None = None


_FLAT = ('1x1', '2x2', '2x4', '4x4', '4x8', '8x8', '8x16', '16x16')
_CUBES = ('2x2x1', '2x2x2', '2x2x4', '2x4x4', '4x4x4', '4x4x8', '4x8x8')
_CUBES += ('8x8x8', '8x8x16', '8x16x16', '16x16x16')
_NVIDIA = "NVIDIA's data sheet (dense, SXM)"

CHIPS = {
  'v4': Chip(
    *(275e12, 275e12, 30.75 * GIB, 1200 * GB, 50 * GB, 240, 4, 4, _CUBES),
    'cloud.google.com/tpu/docs/v4; links: arXiv 2304.01433, table 4',
  ),
  'v5e': Chip(
    *(197e12, 197e12, 15.75 * GIB, 819 * GB, 50 * GB, 112, 4, 16, _FLAT),
    'cloud.google.com/tpu/docs/v5e',
  ),
  'v5p': Chip(
    *(459e12, 459e12, 95.74 * GIB, 2765 * GB, 100 * GB, 208, 4, 4),
    (*_CUBES, '16x16x24'),
    'cloud.google.com/tpu/docs/v5p',
  ),
  'v6e': Chip(
    *(918e12, 918e12, 31.25 * GIB, 1638 * GB, 100 * GB, 180, 4, 16, _FLAT),
    'cloud.google.com/tpu/docs/v6e',
  ),
  'a100': Chip(
    *(312e12, 156e12, 0.75 * 80 * GB, 2039 * GB, 0, 0, 1, 0, ('',), _NVIDIA),
    Gpu(8, 108, 64, 1.41, 40 * 2**20, 164 * 2**10),
  ),
  'h100': Chip(
    *(989e12, 494e12, 0.75 * 80 * GB, 3350 * GB, 0, 0, 1, 0, ('',), _NVIDIA),
    Gpu(9, 132, 128, 1.98, 50 * 2**20, 228 * 2**10),
  ),
}


class Topology(NamedTuple):
  """A slice of TPUs, or one GPU.

  Attributes:
    name: for example 'v5e:4x4'.
    chip: a `Chip`.
    shape: chips along each axis; () for a GPU.
  """

  name: str
  chip: Chip
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

    All links count where every axis is a ring. On an axis that is a line, the
    chips at its ends have one link, and the others wait for them.
    """
    wraps = self.chip.wraps and all(
      n % self.chip.wraps == 0 for n in self.shape
    )
    links = sum(2 if wraps else 1 for n in self.shape if n > 1)
    return links * self.chip.link


def known():
  """The names of all topologies, by chip, as text."""
  return '; '.join(
    f'{name}:' + ', '.join(chip.shapes) if chip.shapes[0] else name
    for name, chip in CHIPS.items()
  )


def parse(name):
  """The `Topology` of a name such as 'v5e:4x4' or 'h100'.

  Raises:
    InputError: if there is none; it lists those that are known.
  """
  chip, _, shape = name.partition(':')
  if chip not in CHIPS or shape not in CHIPS[chip].shapes:
    raise errors.InputError(f'--topology is {name!r}; choose from {known()}.')
  sizes = tuple(int(n) for n in shape.split('x') if n)
  return Topology(name, CHIPS[chip], sizes)


def prepare():
  """Sets the environment; to be called before JAX is imported.

  The plan itself runs on the CPU, whatever the machine has: it must not take
  a TPU or GPU on which something is being trained.
  """
  os.environ['JAX_PLATFORMS'] = 'cpu'
  for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)


def devices(topology):
  """The devices of a topology, to compile for.

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
