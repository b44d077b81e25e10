"""What a run is: its configuration, and when another one continues it."""

from importlib import metadata
import json
import platform

import tsm_jax
from tsm_jax import configuration, errors, files
from tsm_jax.configs import common

# Whose versions a checkpoint keeps.
LIBRARIES = (
  'flax',
  'grain',
  'jax',
  'jaxlib',
  'numpy',
  'optax',
  'orbax-checkpoint',
  'tensorflow-datasets',
)

# Fields that may differ when a run is continued: they do not change its result.
FREE = (
  'checkpoint.',
  'eval.',
  'fsdp',
  'init_from',  # only a new run reads it
  'log_every_steps',
  'model.remat',
  'stall_seconds',
  'data.data_dir',
  'data.dataset',  # the name of what data.source holds
  'data.max_excluded',
  'data.num_threads',
  'data.source',  # the dataset itself is compared by its hash
)
# Of these, what may differ between the processes of a run.
OF_A_HOST = ('data.data_dir', 'data.num_threads', 'data.source')


def freeze_config(workdir, config):
  """Writes the effective configuration to `workdir/config.json`."""
  files.write(
    files.path(workdir) / 'config.json', json.dumps(config.to_dict(), indent=1)
  )


def describe(config, labels, dataset):
  """The JSON item of a checkpoint, without what changes from step to step."""
  return {
    'config': _as_json(config),
    'labels': labels,
    'dataset': dataset,
    'initialised_from': None,  # see `init_from`
    'versions': {
      'tsm_jax': tsm_jax.__version__,
      'python': platform.python_version(),
      **{name: metadata.version(name) for name in LIBRARIES},
    },
  }


def check_same(folder, saved, meta):
  """Raises InputError if a run contradicts the checkpoint in `folder`.

  Args:
    folder: of the checkpoints.
    saved: the JSON item of the last one.
    meta: from `describe`, of the run that is to continue.
  """
  differing = []
  old, new = (configuration.flatten(m['config']) for m in (saved, meta))
  # A field that is newer than the checkpoint had its default there.
  defaults = configuration.flatten(_as_json(common.get_config('')))
  old = {**{k: v for k, v in defaults.items() if k in new}, **old}
  for field in sorted(old.keys() | new.keys()):
    if field.startswith(FREE):
      continue
    if old.get(field) != new.get(field):
      differing.append(
        f'{field} (there {old.get(field)!r}, now {new.get(field)!r})'
      )
  for field in ('labels', 'dataset'):
    if saved[field] != meta[field]:
      differing.append(f'{field} (there {saved[field]!r}, now {meta[field]!r})')
  if differing:
    raise errors.InputError(
      f'The checkpoint in {folder} is of another run; choose '
      f'another --workdir, or the same values of: {"; ".join(differing)}.'
    )


def shared_fields(config):
  """The fields of a configuration that all processes of a run must share."""
  flat = configuration.flatten(_as_json(config))
  return {k: v for k, v in flat.items() if k not in OF_A_HOST}


def _as_json(config):
  """A configuration as it is after it was written and read: without tuples."""
  return json.loads(json.dumps(config.to_dict()))
