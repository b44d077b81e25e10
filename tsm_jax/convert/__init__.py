"""Weights between PyTorch's files and our variables, number for number.

`from_torch` reads checkpoints of the authors and of OpenMMLab's TSM, and
torchvision's ImageNet files as an initialisation. `to_torch` writes the
authors' form. Nothing here executes a pickle.

`python -m tsm_jax.convert SOURCE OUT` converts files and checkpoints.
"""

import os
from typing import Any, NamedTuple

from absl import logging

from tsm_jax import errors, models
from tsm_jax.convert import (
  beside,
  checks,
  file_names,
  fit,
  infer,
  naming,
  official_form,
  openmmlab,
  weight_files,
)
from tsm_jax.convert.reading import state_dicts
from tsm_jax.models import config as model_config

to_torch = official_form.to_torch


def from_torch(source, *, log=logging.warning, **overrides):
  """Reads the weights of a PyTorch checkpoint.

  The configuration is inferred from the names and shapes of the weights.
  `fold_div` and `num_frames` are not in them: they come from the configuration
  that OpenMMLab's trainer writes into its files, or from the official name of
  the file (of the folder, for `ckpt.pth.tar` and `epoch_50.pth`); if nothing
  states them, they are 8, as in the released models, which is logged for a
  path. A JSON that was written beside the file (see `beside`) states all.

  `overrides` have the last word, and may change the model: another `shift` (TSN
  to TSM), a new head of `num_classes`, new non-local blocks, or
  `modality='flow'` on top of RGB weights. A ResNet of no published depth is
  refused unless they include `stage_sizes`.

  Args:
    source: path of a `.pth`, `.pth.tar`, `.pt` or `.safetensors` file, or a
      mapping from name to array. Weights of 16 or 64 bits become float32.
    log: called with a sentence about everything that is dropped, adapted, new,
      assumed, or different from what the weights say.
    **overrides: fields of `models.DEFAULTS`.

  Returns:
    `(model_config, variables)`: a dict for `models.create_model`, and its
    variables 'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: if the file cannot be read without executing code, if the
      weights belong to no known model, if some do not fit, or if some are not
      finite; it names them.

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
  converted = read(source, log=log, **overrides)
  return converted.config, converted.variables


class Converted(NamedTuple):
  """A model out of PyTorch's weights.

  Attributes:
    config: all fields of the model.
    variables: 'params' and 'batch_stats' as NumPy arrays.
    data: fields of the section `data` that the file states.
    labels: names of the classes that the file states, or None.
  """

  config: dict[str, Any]
  variables: dict[str, Any]
  data: dict[str, Any]
  labels: list[str] | None


def read(source, *, log=logging.warning, **overrides):
  """As `from_torch`, with all that the file states: a `Converted`."""
  model_config.check_names(overrides)
  where, name, content = _open(source, log)
  told = beside.Beside({}, {}, None)
  if name is not None:
    told = beside.read(source, log)
  arrays, sources = state_dicts.float32(content.weights, log)
  described = openmmlab.describe(content.meta, arrays, name or '', log)
  names = naming.official(arrays)
  kind = infer.source_kind(arrays, names)
  if kind == 'imagenet':  # its classes are not those of videos
    arrays = {k: v for k, v in arrays.items() if not infer.is_head(names[k])}
  weights = fit.with_plain_names(arrays, names)
  shapes = {names[k]: v.shape for k, v in arrays.items()}
  inferred = _infer(shapes, kind, {**told.model, **overrides})
  by_name = file_names.from_file_name(name or '', inferred['name'])
  known = {**by_name, **described.fields}
  if not told.model:
    _log_contradictions(by_name, known, log)
  known.update(told.model)
  inferred.update(known)
  in_file = {**models.DEFAULTS, **inferred}
  config = {**in_file, **overrides}
  logging.info('Model of the weights: %s', config)
  if config['shift'] is None:
    raise errors.InputError(
      "The names of BNInception's weights do not show where it is shifted; "
      "give shift: 'block', 'none' or a mask."
    )
  checks.check_network(where, in_file, config)
  if name is not None:
    _log_assumed(config, {**known, **overrides}, log)
  if kind != 'imagenet':  # those weights are of a network without a shift
    checks.log_differences(inferred, config, log)
  origin = {naming.plain(v): str(sources[k]) for k, v in names.items()}
  checks.check_finite(where, weights, {k: origin.get(k, k) for k in weights})
  if described.scaled:
    fit.scale_attention(weights, log)
  classes = in_file['num_classes'] or None
  variables = fit.fit(config, weights, classes, origin, log)
  labels = told.labels or content.labels or openmmlab.class_names(content.meta)
  if labels and len(labels) != classes:
    labels = None  # of something else
  return Converted(config, variables, {**described.data, **told.data}, labels)


def _open(source, log):
  """`(where, name, content)`: for messages, the official name, what is read."""
  if not isinstance(source, str | os.PathLike):
    return 'The source', None, weight_files.unwrap(source, 'The source', log)
  name = weight_files.official_name(source)
  return errors.printable(source), name, weight_files.read(source, log)


def _log_contradictions(by_name, known, log):
  for field, value in by_name.items():
    if known[field] != value:
      log(
        f'The name of the file says {field}={value}, the configuration in it '
        f'{known[field]}, which is used.'
      )


def _infer(shapes, kind, overrides):
  """The fields that the weights show."""
  given = {'depth', 'stage_sizes'} & set(overrides)
  inferred = infer.from_shapes(shapes, kind, bool(given))
  if given == {'depth'} and inferred.get('stage_sizes'):
    # Weights of that depth, of which some are missing: those are listed.
    inferred.update(stage_sizes=(), depth=overrides['depth'])
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
