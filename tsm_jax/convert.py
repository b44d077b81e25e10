"""Weights between PyTorch's files and our variables, number for number.

Read are the checkpoints of the authors, of OpenMMLab's TSM, and torchvision's
ImageNet files as an initialisation; written is the authors' form. Nothing here
executes a pickle.

`python -m tsm_jax.convert SOURCE OUT` makes a file a checkpoint of ours.
"""

import argparse
import os

from absl import logging
import ml_collections
import numpy as np

from tsm_jax import (
  checkpoints,
  cli,
  convert_files,
  convert_fit,
  convert_infer,
  convert_names,
  errors,
  modalities,
  models,
  runs,
)
from tsm_jax.data import folder, preprocess


def from_torch(source, *, log=logging.warning, **overrides):
  """Reads a checkpoint of PyTorch.

  What weights cannot tell comes from the official file name where that says it
  (`fold_div`, `num_frames`), else it is the released models' value (8, 8), and
  `overrides` have the last word. They may also change the model: another
  `shift` (TSN to TSM), a new head of `num_classes`, non-local blocks to be
  trained, or `modality='flow'` over the weights of an RGB model.

  Args:
    source: path of a `.pth`, `.pth.tar`, `.pt` or `.safetensors` file, or a
      mapping from name to float32 array.
    log: called with a sentence on what is dropped, remade or new.
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
  where = 'The source'
  file_name = ''
  if isinstance(source, str | os.PathLike):
    where = str(source)
    file_name = os.path.basename(source)
    source = convert_files.read(source)
  arrays = convert_files.float32_arrays(source)
  names = convert_names.official(arrays)
  kind = convert_infer.kind_of(arrays, names)
  if kind == 'imagenet':  # its classes are not of videos
    arrays = {
      k: v for k, v in arrays.items() if not convert_infer.is_head(names[k])
    }
  weights = convert_fit.by_plain_name(arrays, names)
  shapes = {names[k]: v.shape for k, v in arrays.items()}
  in_file = {**models.DEFAULTS, **convert_infer.from_shapes(shapes, kind)}
  in_file.update(convert_infer.from_file_name(file_name, in_file['name']))
  config = {**in_file, **overrides}
  logging.info('Model of the weights: %s', config)
  if config['shift'] is None:
    raise errors.InputError(
      "The names of BNInception's weights do not tell where it is shifted; "
      "give shift, 'block', 'none' or a mask."
    )
  check_name(where, in_file['name'], config['name'])
  origin = {convert_names.plain(v): k for k, v in names.items()}
  classes = in_file['num_classes'] or None
  return config, convert_fit.fit(config, weights, classes, origin, log)


def from_ours(
  old_config, variables, config, *, keep_head=True, log=logging.warning
):
  """Variables of one model of ours for another one, by the same rules.

  Args:
    old_config: of the model that `variables` are of.
    variables: 'params' and 'batch_stats'.
    config: of the model that they are wanted for.
    keep_head: whether a classifier of as many classes is taken over.
    log: called with a sentence on what is dropped, remade or new.

  Returns:
    'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: as `from_torch`.
  """
  check_name('The checkpoint', old_config['name'], config['name'])
  weights = {}
  for path, leaf in convert_fit.flat(variables).items():
    plain = convert_names.of_leaf(path[1:], old_config['name'])
    if keep_head or not convert_infer.is_head(plain):
      weights[plain] = convert_fit.to_torch_layout(np.asarray(leaf), plain)
  classes = old_config['num_classes'] if keep_head else None
  origin = {name: name for name in weights}
  return convert_fit.fit(config, weights, classes, origin, log)


def check_name(where, found, wanted):
  """Raises InputError if weights are of another network than is wanted."""
  if found != wanted:
    raise errors.InputError(
      f'{where} holds the weights of a {found}, but model.name is {wanted!r}.'
    )


def to_torch(model_config, variables):
  """Writes variables in the authors' form.

  Names begin with `module.base_model.` as the authors' trainer saves them. With
  `direction='past'`, MobileNetV2 is written as that of the online demo, without
  a prefix and with the head `classifier`. PyTorch's count of batches, which
  enters no computation, is 0.

  Args:
    model_config: as of `from_torch`.
    variables: 'params' and 'batch_stats'.

  Returns:
    A dict from name to array, float32 but for `num_batches_tracked` (int64).
  """
  state = {}
  for path, leaf in convert_fit.flat(variables).items():
    plain = convert_names.of_leaf(path[1:], model_config['name'])
    name = convert_infer.official_name(plain, model_config)
    state[name] = convert_fit.to_torch_layout(np.asarray(leaf), plain)
    if name.endswith('.running_var'):
      count = name.replace('running_var', 'num_batches_tracked')
      state[count] = np.zeros((), np.int64)
  return state


def to_checkpoint(
  source, out, labels_file='', image_size=224, short_side=256, **overrides
):
  """Writes a PyTorch file as a checkpoint of ours, for prediction and so on.

  Args:
    source: path of a file that `from_torch` reads.
    out: the new workdir.
    labels_file: text file with a class name per line, in the order of the
      classifier; by default a class is called by its index.
    image_size: pixels of the network's input.
    short_side: pixels of the shorter side from which that is cut.
    **overrides: fields of the model configuration.

  Returns:
    Lines for the user.

  Raises:
    InputError: as `from_torch`; if the labels are not as many as the classes,
      or `out` holds a checkpoint.
  """
  lines = []
  config, variables = from_torch(source, log=lines.append, **overrides)
  labels = [str(i) for i in range(config['num_classes'])]
  if labels_file:
    labels = folder.read_labels(labels_file, '--labels')
  if len(labels) != config['num_classes']:
    raise errors.InputError(
      f'--labels is {labels_file!r} with {len(labels)} classes, but the '
      f'weights have {config["num_classes"]}.'
    )
  name = os.path.basename(source)
  how = preprocessing_of(config, name, image_size, short_side)
  data = vars(how).copy()
  for field in ('num_frames', 'modality'):  # of the model
    del data[field]
  run = ml_collections.ConfigDict({'name': name, 'model': config, 'data': data})
  meta = runs.describe(run, labels, '')
  meta['converted_from'] = {
    'file': name,
    'sha256': convert_files.sha256(source),
  }
  checkpoints.save_model(out, variables, meta)
  runs.freeze_config(out, run)
  told = {k: v for k, v in config.items() if v != models.DEFAULTS[k]}
  fields = ', '.join(f'{k}={v!r}' for k, v in sorted(told.items()))
  return [*lines, f'{out}: {config["name"]} with {fields}.']


def preprocessing_of(config, file_name, image_size, short_side):
  """What the released weights of a model were trained with."""
  usual = modalities.normalization(config['name'], config['modality'])
  return preprocess.Preprocessing(
    num_frames=config['num_frames'],
    image_size=image_size,
    modality=config['modality'],
    **usual._asdict(),
    short_side=short_side,
    quality=90,
    # Only the official file name tells.
    sampling='dense' if '_dense' in file_name else 'uniform',
  )


def main(argv=None):
  parser = argparse.ArgumentParser(
    prog='python -m tsm_jax.convert',
    description='Makes a PyTorch file of weights a checkpoint of ours.',
    epilog='Any field of the model may be given, for example --num_frames=16.',
    allow_abbrev=False,
  )
  parser.add_argument('source', help='.pth, .pth.tar, .pt or .safetensors')
  parser.add_argument('out', help='the new workdir')
  parser.add_argument('--labels', default='', help='file, a class per line')
  parser.add_argument('--image_size', type=int, default=224, help='pixels')
  parser.add_argument('--short_side', type=int, default=256, help='pixels')
  args, rest = parser.parse_known_args(argv)
  try:
    lines = to_checkpoint(
      args.source,
      args.out,
      args.labels,
      args.image_size,
      args.short_side,
      **cli.parse_fields(rest, models.DEFAULTS),
    )
  except (errors.InputError, ImportError) as error:
    cli.fail(error)
  print('\n'.join(lines))


if __name__ == '__main__':
  main()
