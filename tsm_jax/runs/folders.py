"""Folders of checkpoints: orbax's managers of them, and what goes wrong there.

A workdir has two: `checkpoints`, from whose latest a run continues, and `best`,
of models by their top-1.
"""

import orbax.checkpoint as ocp

from tsm_jax import errors, files
from tsm_jax.runs import hashes, steps, stopping

# In the names of steps that are being saved.
UNFINISHED = '.orbax-checkpoint-tmp'


def open_latest(workdir, keep=2):
  """The manager of `workdir/checkpoints`, which keeps the `keep` latest."""
  return _open(files.path(workdir) / 'checkpoints', max_to_keep=keep)


def open_best(workdir, keep=1):
  """The manager of `workdir/best`, which keeps the models of highest top-1.

  They are for use only. A run continues from the latest checkpoint, which is
  kept separately: an evaluation comes after the save of its step, so that a
  kill loses neither.

  Args:
    workdir: of the run.
    keep: how many; 0 none, and the result is None.
  """
  if not keep:
    return None
  return _open(
    files.path(workdir) / steps.BEST,
    best_fn=lambda metrics: metrics['top1'],
    max_to_keep=keep,
  )


class _Manager(ocp.CheckpointManager):
  """A manager that hashes what it saves, and does not ask when to stop.

  When all processes stop is up to `stopping.Stop`. JAX lets them agree on a
  number that only grows. Orbax would ask with numbers of its own, the steps. If
  a SIGTERM came then, the agreed point had passed already, and they never
  stopped.
  """

  def reached_preemption(self, step):
    del step
    return False

  def save(self, step, **kwargs):
    self.wait_until_finished()  # the last save still needs its number
    self._saving = step
    return super().save(step, **kwargs)

  def write_hashes(self):
    """Hashes the step that is complete and has no name yet, in process 0.

    In a bucket, where nothing can be renamed, it has its name already.
    """
    name = str(self._saving)
    (step,) = [
      path
      for path in self.directory.iterdir()
      if path.name == name or path.name.startswith(f'{name}{UNFINISHED}')
    ]
    hashes.write(step)


def _open(folder, **options):
  manager = None
  manager = _Manager(
    folder,
    options=ocp.CheckpointManagerOptions(
      cleanup_tmp_directories=True,
      # Two managers may save the same step at once, and their processes must
      # not wait for each other's.
      multiprocessing_options=ocp.options.MultiprocessingOptions(
        barrier_sync_key_prefix=folder.name
      ),
      async_options=ocp.AsyncOptions(
        post_finalization_callback=lambda: manager.write_hashes()
      ),
      **options,
    ),
    item_handlers=_handlers(),
  )
  return manager


def _handlers():
  return {
    'model': ocp.StandardCheckpointHandler(),
    'train': ocp.StandardCheckpointHandler(),
    'data': ocp.JsonCheckpointHandler(),
  }


class failed_save_explained:
  """Turns what storage reports into one sentence."""

  def __init__(self, manager, latest=None):
    self._folder = manager.directory
    self._latest = latest or manager

  def __enter__(self):
    return self

  def __exit__(self, kind, error, traceback):
    # A lost process is reported by `main`.
    if isinstance(error, Exception) and not stopping.is_lost(error):
      self._latest.reload()
      whole = self._latest.all_steps()
      reason = str(error).splitlines()[0]
      if len(reason) > 300:  # the cause is at the end, after long paths
        reason = f'... {reason[-290:]}'
      raise errors.InputError(
        f'A checkpoint could not be written to {self._folder} '
        f'({reason}); '
        + (f'that of step {max(whole)} is whole. ' if whole else '')
        + 'Put that right (often: make room) and run the same command again.'
      ) from error


def find(path):
  """The folder of checkpoints that a path means, and the step or None.

  Raises:
    InputError: if there is no checkpoint.
  """
  path = files.path(path)
  step = None
  if path.name.isdigit() and (
    (path / 'data').exists()
    or (path.is_dir() and path.parent.name in ('checkpoints', steps.BEST))
  ):
    path, step = path.parent, int(path.name)
  folder = path / 'checkpoints' if (path / 'checkpoints').is_dir() else path
  if not folder.is_dir() or not any(p.name.isdigit() for p in folder.iterdir()):
    raise errors.InputError(
      f'{str(path)!r} holds no checkpoint; give a workdir of a training run, '
      f'its folder checkpoints or {steps.BEST}, or one step in that.'
    )
  return folder, step
