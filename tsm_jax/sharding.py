"""The mesh of all devices, and arrays that lie on it."""

import jax
from jax.experimental import multihost_utils

from tsm_jax import errors


def join_processes(coordinator, num_processes, process_id):
  """Connects this process with the others; to be called before all else.

  Args:
    coordinator: host:port of process 0, or None for a single process.
    num_processes: of all hosts together.
    process_id: of this process, from 0.

  Raises:
    InputError: if only some of the three are given, or they contradict.
  """
  given = (coordinator, num_processes, process_id)
  if all(value is None for value in given):
    return
  if any(value is None for value in given):
    raise errors.InputError(
      f'--coordinator={coordinator}, --num_processes={num_processes} and '
      f'--process_id={process_id} belong together; give all three or none.'
    )
  if not 0 <= process_id < num_processes:
    raise errors.InputError(
      f'--process_id is {process_id}; it must be from 0 to {num_processes - 1}.'
    )
  jax.distributed.initialize(coordinator, num_processes, process_id)


def create_mesh(devices=None):
  """A mesh with the one axis 'data' over all devices of all processes."""
  devices = jax.devices() if devices is None else devices
  return jax.make_mesh(
    (len(devices),),
    ('data',),
    axis_types=(jax.sharding.AxisType.Auto,),
    devices=devices,
  )


def replicated(mesh):
  """The sharding of what every device holds whole."""
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def batched(mesh):
  """The sharding of a batch: its first axis over the devices."""
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))


def placed(shapes, shardings):
  """A tree of shapes with the sharding of each, or one for all."""
  if isinstance(shardings, jax.sharding.Sharding):
    shardings = jax.tree.map(lambda _: shardings, shapes)
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes,
    shardings,
  )


def to_devices(batch, mesh):
  """This process's part of a batch to the global arrays on all devices."""
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(batched(mesh), x), batch
  )


def check_batch_size(field, batch_size, mesh):
  """Raises InputError unless every device gets as many clips."""
  if batch_size < 1 or batch_size % mesh.size:
    smaller = max(batch_size // mesh.size, 1) * mesh.size
    raise errors.InputError(
      f'{field} is {batch_size}, which the {mesh.size} devices cannot share '
      f'evenly; choose a multiple of {mesh.size}, for example {smaller}.'
    )


def process():
  """`(index, count)` of this process."""
  return jax.process_index(), jax.process_count()


def barrier(name):
  """Waits until all processes are here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
