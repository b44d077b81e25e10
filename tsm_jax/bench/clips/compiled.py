"""What the compiler makes of each way, for a topology that is not here."""

import contextlib
import sys

from tsm_jax.bench import processes
from tsm_jax.bench.clips import contests, report
from tsm_jax.plan import topology

parse = topology.parse


def measure(networks, target, options):
  """Compiles all for a topology, or reads what is remembered.

  Args:
    networks: configurations.
    target: a `topology.Topology`.
    options: with `modes`, `dtypes`, `forms`, `clips` and `cache_dir`.

  Returns:
    `(rows, versions)`: rows for `report.table`, and versions by package.

  Raises:
    InputError: if the compiler is not installed, or a field has an impossible
      value.
  """
  rows, versions = [], {}
  platform = 'gpu' if target.chip.gpu else 'tpu'
  # The compiler's environment is that of its process alone.
  with processes.start(topology.prepare) as process:
    for facts, mode, config in contests.each(networks, options, target.size):
      found, auto = contests.ways(config, mode, platform, options.forms)
      records = {}
      for title, changed in found.items():
        name = ', '.join((*facts.values(), title))
        print(f'Compiling {name} ...', file=sys.stderr, flush=True)
        job = changed, mode, target, options.cache_dir, name
        records[title], versions = process.submit(record, *job).result()
      rows += [
        {**facts, 'auto': row['way'] == auto, **row}
        for row in report.compiled(records)
      ]
  return rows, versions


def record(config, mode, target, cache_dir, name):
  """`(record, versions)` of one program; see `plan.compilation.Compiler`.

  Call it in a process in which `topology.prepare` was called first.
  """
  import importlib.metadata

  import jax

  from tsm_jax import sharding
  from tsm_jax.bench.clips import programs
  from tsm_jax.plan import compilation

  def count_flops():
    mesh = sharding.create_mesh(jax.devices('cpu')[:1])
    return programs.lowered(config, mode, mesh).cost_analysis()['flops']

  compiler = compilation.Compiler(target, cache_dir)
  mesh = sharding.create_mesh(compiler.devices)
  lowered = programs.lowered(config, mode, mesh)
  found = compiler.compile(lowered, name, count_flops)
  package = 'jax-cuda13-pjrt' if target.chip.gpu else 'libtpu'
  versions = {'jax': jax.__version__}
  with contextlib.suppress(importlib.metadata.PackageNotFoundError):
    versions[package] = importlib.metadata.version(package)
  return found, versions
