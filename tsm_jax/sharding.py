"""The mesh of all devices, and arrays that lie on it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from tsm_jax import errors


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


def fully_sharded(shapes, mesh):
  """Shardings that spread a tree over the devices instead of repeating it.

  Kernels, and what is like them in an optimiser's state, are split along their
  largest axis that the devices share evenly. Vectors stay whole everywhere:
  together they are a thousandth of a network.

  Args:
    shapes: a tree of arrays or shapes.
    mesh: from `create_mesh`.

  Returns:
    A tree of shardings.
  """

  def place(x):
    even = [size if size % mesh.size == 0 else 0 for size in x.shape]
    if len(x.shape) < 2 or not any(even):
      return replicated(mesh)
    axes = ['data' if i == np.argmax(even) else None for i in range(x.ndim)]
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))

  return jax.tree.map(place, shapes)


def sharded_share(shapes, shardings):
  """The share of a tree's values that the devices split between them."""
  total = sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))
  split = sum(
    math.prod(x.shape)
    for x, s in zip(jax.tree.leaves(shapes), jax.tree.leaves(shardings))
    if not s.is_fully_replicated
  )
  return split / total


def constrain(tree, shardings):
  """Says inside jit where a tree lies: a sharding of each leaf, or of all."""
  return jax.lax.with_sharding_constraint(tree, shardings)


def split_batch(batch, parts, mesh=None):
  """Micro batches `[parts, B / parts, ...]` of a batch `[B, ...]`, inside jit.

  Clip i is in part `i % parts`, so that the parts are the same on any number
  of devices and every device finds its clips of each among those it holds.
  """

  def split(x):
    x = jnp.moveaxis(x.reshape((-1, parts, *x.shape[1:])), 1, 0)
    if mesh is None:
      return x
    spec = jax.sharding.PartitionSpec(None, 'data')
    return constrain(x, jax.sharding.NamedSharding(mesh, spec))

  return jax.tree.map(split, batch)


def to_devices(batch, mesh):
  """This process's part of a batch to the global arrays on all devices."""
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(batched(mesh), x), batch
  )


def check_batch_size(field, batch_size, mesh, parts=1):
  """Raises InputError unless every device gets as many clips of every part.

  Args:
    field: that holds the size, for the message.
    batch_size: clips of the whole batch.
    mesh: of all devices.
    parts: micro batches, the field accumulation.
  """
  if parts < 1:
    raise errors.InputError(f'accumulation is {parts}; it must be at least 1.')
  unit = mesh.size * parts
  if batch_size < 1 or batch_size % unit:
    smaller = max(batch_size // unit, 1) * unit
    who = f'the {mesh.size} devices'
    if parts > 1:
      who += f' with accumulation={parts}'
    raise errors.InputError(
      f'{field} is {batch_size}, which {who} cannot share '
      f'evenly; choose a multiple of {unit}, for example {smaller}.'
    )


def check_enough(num_clips):
  """Raises InputError if there are more processes than training clips."""
  if num_clips < jax.process_count():
    raise errors.InputError(
      f'{jax.process_count()} processes cannot share {num_clips} training '
      'clips; start at most as many processes as there are clips.'
    )


def process():
  """`(index, count)` of this process."""
  return jax.process_index(), jax.process_count()


def barrier(name, seconds=7 * 24 * 3600):
  """Waits until all processes are here, by default for up to a week.

  It uses no collective operation: on some platforms these wait 30 s only.
  """
  wait = ocp.multihost.get_barrier_sync_fn()
  wait(key=name, timeout_ms=1000 * seconds)
