"""Weights between PyTorch's files and our variables, number for number.

Read are the checkpoints of the authors, of OpenMMLab's TSM, and torchvision's
ImageNet files as an initialisation; written is the authors' form. Nothing here
executes a pickle.

`python -m tsm_jax.convert SOURCE OUT` makes a file a checkpoint of ours, and a
checkpoint of ours a file.
"""

import os

from absl import logging

from tsm_jax import errors, models
from tsm_jax.convert import fit, infer, naming, official_form, weight_files

to_torch = official_form.to_torch  # the other way


def from_torch(source, *, log=logging.warning, **overrides):
  """Reads a checkpoint of PyTorch.

  What weights cannot tell comes from the official name where that says it
  (`fold_div`, `num_frames`): of the file, or of the folder of the authors'
  `ckpt.pth.tar`. Else it is the released models' value (8, 8), which is logged
  for a path, and `overrides` have the last word. A ResNet of no published depth
  is refused unless they say `stage_sizes`. They may also change the model:
  another `shift` (TSN to TSM), a new head of `num_classes`, non-local blocks to
  be trained, or `modality='flow'` over the weights of an RGB model.

  Args:
    source: path of a `.pth`, `.pth.tar`, `.pt` or `.safetensors` file, or a
      mapping from name to float32 array.
    log: called with a sentence on what is dropped, remade, new, told by nobody
      or told otherwise by the weights.
    **overrides: fields of the model configuration.

  Returns:
    `(model_config, variables)`: a dict for `models.create_model`, and its
    variables 'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: if the file cannot be read without executing code, if the
      weights are of no model that is known here, or do not fit; all that do not
      fit are named.
  """
  if unknown := sorted(set(overrides) - set(models.DEFAULTS)):
    raise errors.InputError(
      f'The fields {unknown} are not of a model; choose from '
      f'{sorted(models.DEFAULTS)}.'
    )
  where, name = 'The source', None  # of a mapping
  if isinstance(source, str | os.PathLike):
    where, name = str(source), weight_files.name_of(source)
    source = weight_files.read(source)
  arrays = weight_files.float32_arrays(source)
  names = naming.official(arrays)
  kind = infer.kind_of(arrays, names)
  if kind == 'imagenet':  # its classes are not of videos
    arrays = {k: v for k, v in arrays.items() if not infer.is_head(names[k])}
  weights = fit.by_plain_name(arrays, names)
  shapes = {names[k]: v.shape for k, v in arrays.items()}
  told = _told_by(shapes, kind, overrides)
  by_name = infer.from_file_name(name or '', told['name'])
  told.update(by_name)
  in_file = {**models.DEFAULTS, **told}
  config = {**in_file, **overrides}
  logging.info('Model of the weights: %s', config)
  if config['shift'] is None:
    raise errors.InputError(
      "The names of BNInception's weights do not tell where it is shifted; "
      "give shift, 'block', 'none' or a mask."
    )
  fit.check_name(where, in_file['name'], config['name'])
  if name is not None:
    _log_untold(config, {**by_name, **overrides}, log)
  if kind != 'imagenet':  # whose weights are of no shifted network
    fit.log_differences(told, config, log)
  origin = {naming.plain(v): k for k, v in names.items()}
  classes = in_file['num_classes'] or None
  return config, fit.fit(config, weights, classes, origin, log)


def _told_by(shapes, kind, overrides):
  """The fields that weights tell; a ResNet of an odd size must be meant."""
  given = {'depth', 'stage_sizes'} & set(overrides)
  told = infer.from_shapes(shapes, kind, bool(given))
  if given == {'depth'}:
    told['stage_sizes'] = ()  # those of the depth; what is missing is listed
  return told


def _log_untold(config, told, log):
  """Says which of the facts that only a name can tell were told by nobody."""
  fields = ('fold_div', 'num_frames')
  untold = [f for f in fields[config['shift'] == 'none' :] if f not in told]
  if untold:
    verb = 'is' if len(untold) == 1 else 'are'
    log(
      f'{" and ".join(untold)} {verb} not in the weights; '
      f'{" and ".join(str(config[f]) for f in untold)} {verb} taken.'
    )
