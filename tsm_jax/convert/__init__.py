"""Weights between PyTorch's files and our variables, number for number.

`from_torch` reads checkpoints of the authors and of OpenMMLab's TSM, and
torchvision's ImageNet files as an initialisation. `to_torch` writes the
authors' form. Nothing here executes a pickle.

`python -m tsm_jax.convert SOURCE OUT` converts files and checkpoints.
"""

import os

from absl import logging

from tsm_jax import errors, models
from tsm_jax.convert import fit, infer, naming, official_form, weight_files
from tsm_jax.models import config as model_config

to_torch = official_form.to_torch


def from_torch(source, *, log=logging.warning, **overrides):
  """Reads the weights of a PyTorch checkpoint.

  The configuration is inferred from the names and shapes of the weights.
  `fold_div` and `num_frames` are not in them: they come from the official name
  of the file (or of the folder, for the authors' `ckpt.pth.tar`) if that states
  them; otherwise they are 8, as in the released models, which is logged for a
  path.

  `overrides` have the last word, and may change the model: another `shift` (TSN
  to TSM), a new head of `num_classes`, new non-local blocks, or
  `modality='flow'` on top of RGB weights. A ResNet of no published depth is
  refused unless they include `stage_sizes`.

  Args:
    source: path of a `.pth`, `.pth.tar`, `.pt` or `.safetensors` file, or a
      mapping from name to float32 array.
    log: called with a sentence about everything that is dropped, adapted, new,
      assumed, or different from what the weights say.
    **overrides: fields of `models.DEFAULTS`.

  Returns:
    `(model_config, variables)`: a dict for `models.create_model`, and its
    variables 'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: if the file cannot be read without executing code, if the
      weights belong to no known model, or if some do not fit, which it lists.

  >>> import numpy as np
  >>> from tsm_jax import convert
  >>> def norm(name):
  ...   leaves = ('weight', 'bias', 'running_mean', 'running_var')
  ...   return {f'{name}.{leaf}': np.ones(8, np.float32) for leaf in leaves}
  >>> weights = {  # a stem, one shifted block and a classifier
  ...   'base_model.conv1.weight': np.zeros((8, 3, 7, 7), np.float32),
  ...   **norm('base_model.bn1'),
  ...   'base_model.layer1.0.conv1.net.weight': np.zeros((8, 8, 3, 3), 'f'),
  ...   **norm('base_model.layer1.0.bn1'),
  ...   'base_model.layer1.0.conv2.weight': np.zeros((8, 8, 3, 3), 'f'),
  ...   **norm('base_model.layer1.0.bn2'),
  ...   'new_fc.weight': np.zeros((5, 8), np.float32),
  ...   'new_fc.bias': np.zeros(5, np.float32),
  ... }
  >>> config, variables = convert.from_torch(weights, stage_sizes=(1,))
  >>> config['name'], config['shift'], config['width'], config['num_classes']
  ('resnet', 'blockres', 8, 5)
  >>> variables['params']['layer1_0']['conv1']['kernel'].shape
  (3, 3, 8, 8)
  """
  model_config.check_names(overrides)
  where, name = 'The source', None  # of a mapping
  if isinstance(source, str | os.PathLike):
    where, name = str(source), weight_files.official_name(source)
    source = weight_files.read(source)
  arrays = weight_files.float32_arrays(source)
  names = naming.official(arrays)
  kind = infer.source_kind(arrays, names)
  if kind == 'imagenet':  # its classes are not those of videos
    arrays = {k: v for k, v in arrays.items() if not infer.is_head(names[k])}
  weights = fit.with_plain_names(arrays, names)
  shapes = {names[k]: v.shape for k, v in arrays.items()}
  inferred = _infer(shapes, kind, overrides)
  by_name = infer.from_file_name(name or '', inferred['name'])
  inferred.update(by_name)
  in_file = {**models.DEFAULTS, **inferred}
  config = {**in_file, **overrides}
  logging.info('Model of the weights: %s', config)
  if config['shift'] is None:
    raise errors.InputError(
      "The names of BNInception's weights do not show where it is shifted; "
      "give shift: 'block', 'none' or a mask."
    )
  fit.check_name(where, in_file['name'], config['name'])
  if name is not None:
    _log_assumed(config, {**by_name, **overrides}, log)
  if kind != 'imagenet':  # those weights are of a network without a shift
    fit.log_differences(inferred, config, log)
  origin = {naming.plain(v): k for k, v in names.items()}
  classes = in_file['num_classes'] or None
  return config, fit.fit(config, weights, classes, origin, log)


def _infer(shapes, kind, overrides):
  """The fields that the weights show."""
  given = {'depth', 'stage_sizes'} & set(overrides)
  inferred = infer.from_shapes(shapes, kind, bool(given))
  if given == {'depth'}:
    inferred['stage_sizes'] = ()  # of the depth; missing weights are listed
  return inferred


def _log_assumed(config, known, log):
  """Logs the fields that neither a name nor the caller states."""
  fields = ('num_frames',)
  if config['shift'] != 'none':  # without a shift, there is no fold
    fields = ('fold_div', 'num_frames')
  assumed = [field for field in fields if field not in known]
  if assumed:
    verb = 'is' if len(assumed) == 1 else 'are'
    log(
      f'{" and ".join(assumed)} {verb} not in the weights; '
      f'{" and ".join(str(config[f]) for f in assumed)} {verb} used.'
    )
