"""Published figures of accelerators: speed, memory, links, slices."""

from typing import NamedTuple

GB, GIB = 1e9, 2**30


class Gpu(NamedTuple):
  """What XLA must know about a GPU (CUDA Programming Guide, whitepapers)."""

  major: int  # of the compute capability
  cores: int  # streaming multiprocessors
  fpus: int  # float32 units of each core
  clock: float  # GHz
  l2_cache: int  # bytes
  shared_memory: int  # bytes of each core
  registers: int = 65536  # of each core


class Chip(NamedTuple):
  """Published figures of one chip.

  Attributes:
    bf16: peak FLOP/s of dense products of bfloat16.
    f32: the same for float32 at XLA's default precision: one pass of bfloat16
      on a TPU, TF32 on a GPU.
    memory: bytes that a program may use. TPU: what libtpu's compiler calls
      available (0.0.42; 0.0.48 up to 20 MB less), a little less than is built
      in. GPU: the three quarters of the built-in memory that JAX allocates.
    bandwidth: bytes/s of that memory.
    link: bytes/s of one interconnect link in one direction.
    vcpus: virtual CPUs of a host: two for each core that runs two threads.
    per_host: chips of a host.
    wraps: the axes of a slice are rings if each of them is a multiple of this
      number; 0 if they never are.
    shapes: the slices that exist.
    source: where the figures are published.
    gpu: a `Gpu`, or None.
  """

  bf16: float
  f32: float
  memory: float
  bandwidth: float
  link: float
  vcpus: int
  per_host: int
  wraps: int
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
