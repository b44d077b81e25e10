"""Temporal Shift Module (arXiv 1811.08383) in JAX and Flax."""

import sys

__version__ = '0.1.0'

if sys.platform == 'win32':
  raise ImportError(
    'tsm_jax does not run on Windows itself; install WSL2 (wsl --install), and '
    'use tsm_jax in its Linux.'
  )
if sys.argv[:1] == ['-m']:  # so while Python looks for the module to run
  from tsm_jax import interrupts

  if interrupts.is_ours(sys.orig_argv):
    interrupts.install()


def load(checkpoint):
  """The model of a checkpoint, ready to predict: `predict.load`.

    model = tsm_jax.load('runs/folder')
    model.predict('clip.mp4')  # [Prediction(label='jump', ...), ...]

  Args:
    checkpoint: a workdir, its folder `checkpoints` or `best`, or one step in
      that; a local path or a URL.

  Returns:
    A `predict.Model`.

  Raises:
    InputError: if there is no checkpoint.
  """
  from tsm_jax import predict  # imported late, as it needs jax

  return predict.load(checkpoint)


def load_config(name, /, **fields):
  """The configuration of a recipe or file: `configuration.load`.

  >>> config = load_config('ssv2:depth=18', batch_size=4)
  >>> config.model.depth, config.batch_size, config.learning_rate
  (18, 4, 0.000625)

  Args:
    name: a recipe ('ssv2') or the path of a file; after a colon, its arguments.
    **fields: new values; those of a section are a dict, as in
      `data={'source': 'videos'}`.

  Returns:
    A locked `ml_collections.ConfigDict`: fields can be set, but not added.

  Raises:
    InputError: if a file, an argument or a field does not exist (it suggests
      the nearest), or a value has the wrong type.
  """
  from tsm_jax import configuration

  return configuration.load(name, **fields)


def fit(config, workdir, log=print):
  """Trains a model, or continues to train it, in `workdir`.

  Args:
    config: from `load_config`; it is not changed.
    workdir: a local folder or the URL of one in a bucket. It gets config.json,
      metrics.jsonl, checkpoints and a report.
    log: called with every line for the user.

  Returns:
    The trained `predict.Model`.

  Raises:
    InputError: if the configuration, the data or the checkpoint in `workdir` do
      not fit; the sentence names the value.
    SystemExit: after SIGTERM (75) or Ctrl-C (130), once the checkpoint is
      saved; the same call continues.
  """
  from tsm_jax import predict, train

  train.train(config, workdir, log)
  return predict.load(workdir)
