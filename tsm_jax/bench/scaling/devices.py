"""Weak scaling over devices that are simulated: what each computes and sends.

The clips of a device stay the same. Simulated devices share the cores of this
machine, so their time would mean nothing; the compiled program says what each
of them does.
"""

import copy

import jax

from tsm_jax import program, sharding
from tsm_jax.bench import processes
from tsm_jax.bench.clips import programs
from tsm_jax.bench.scaling import axes
from tsm_jax.data.sources import published
from tsm_jax.plan import hlo


def measure(config, counts):
  """Compiles the training step for several numbers of devices.

  Args:
    config: a whole configuration; its `batch_size` is that of each device.
    counts: of devices.

  Returns:
    A list of dicts: `devices`; `flops`, `bytes` and `temporaries` of each of
    them, see `axes.describe`; the number of `collectives`; and the bytes that
    each device sends for them, `sent`, at least.

  Raises:
    InputError: if a field has an impossible value.
  """
  # JAX sets up its devices once in a process; this one goes on with its own.
  with processes.start(_simulate, max(counts)) as process:
    return [
      process.submit(describe, config, count).result() for count in counts
    ]


def _simulate(count):
  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_num_cpu_devices', count)


def describe(config, count):
  """One dict of `measure`, in a process that has so many devices."""
  changed = copy.deepcopy(config)
  changed.batch_size = count * config.batch_size
  mesh = sharding.create_mesh(jax.devices()[:count])
  built = program.build(
    changed, mesh, published.num_classes(config), programs.num_clips(changed)
  )
  compiled = built.train_step.lower(*built.arguments).compile()
  found = hlo.collectives(compiled.as_text(), count)
  return {
    'devices': count,
    **axes.describe(compiled),
    'collectives': len(found),
    'sent': sum(one.sent_bytes for one in found),
  }
