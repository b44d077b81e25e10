"""A step that is saved a second time, so that a kill in between loses nothing.

The first one is renamed, and removed once the second is whole. If that never
was, the next start of the run gives it its name back.
"""

import contextlib

import jax
import jax.numpy as jnp

from tsm_jax import sharding

SUFFIX = '.replaced'


@jax.jit
def same(one, other):
  """Whether the arrays of two trees are equal but for rounding, bool `[]`.

  Not all devices add up batches twice alike, and what is as it was is not to
  get another hash.
  """
  pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other))
  close = [jnp.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs]
  return jnp.array(close, bool).all()


@contextlib.contextmanager
def room(manager, step):
  """Makes room for a save of a step, if it is there.

  Args:
    manager: of the folder, an orbax `CheckpointManager`.
    step: a number. It must be saved inside of this context.
  """
  if step not in manager.all_steps():
    yield
    return
  old = manager.directory / f'{step}{SUFFIX}'
  if jax.process_index() == 0:
    (manager.directory / str(step)).rename(old)
  sharding.barrier('room for a step is made')
  manager.reload()
  try:
    yield
    manager.wait_until_finished()
  except Exception:  # such as a full disk
    if jax.process_index() == 0:
      put_back(manager.directory, lambda name: name.endswith(SUFFIX))
    raise
  if jax.process_index() == 0:
    old.rmtree()


def put_back(folder, is_whole):
  """Puts right what a kill inside of `room` has left; by one process.

  In a bucket, a save that was killed has the name of the step, and a new name
  is a copy of each file, of which some may be missing.

  Args:
    folder: an `epath.Path`.
    is_whole: a function from a name in it to whether all of a step is there.
  """
  for old in sorted(folder.glob(f'*{SUFFIX}')):
    there = folder / old.name.removesuffix(SUFFIX)
    if there.exists() and is_whole(there.name):
      old.rmtree()
    elif is_whole(old.name) or not there.exists():
      if there.exists():
        there.rmtree()
      old.rename(there)


def tell_killed(folder, log):
  """Says which steps only the next start of a training gives back."""
  for old in sorted(folder.glob(f'*{SUFFIX}')):
    if not (folder / old.name.removesuffix(SUFFIX)).exists():
      log(
        f'{old} is of a save that was killed, and is not looked at; start the '
        'training again to have it back.'
      )
