"""Weights between PyTorch's files and our variables, number for number.

Read are the checkpoints of the authors, of OpenMMLab's TSM, and torchvision's
ImageNet files as an initialisation; written is the authors' form. Nothing here
executes a pickle.

`python -m tsm_jax.convert SOURCE OUT` makes a file a checkpoint of ours, and a
checkpoint of ours a file.
"""

import argparse
import os

from absl import logging
import ml_collections

from tsm_jax import (
  checkpoints,
  cli,
  convert_back,
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

to_torch = convert_back.to_torch  # the other way


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
    where, name = str(source), convert_files.name_of(source)
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
  told = _told_by(shapes, kind, overrides)
  by_name = convert_infer.from_file_name(name or '', told['name'])
  told.update(by_name)
  in_file = {**models.DEFAULTS, **told}
  config = {**in_file, **overrides}
  logging.info('Model of the weights: %s', config)
  if config['shift'] is None:
    raise errors.InputError(
      "The names of BNInception's weights do not tell where it is shifted; "
      "give shift, 'block', 'none' or a mask."
    )
  convert_fit.check_name(where, in_file['name'], config['name'])
  if name is not None:
    _log_untold(config, {**by_name, **overrides}, log)
  if kind != 'imagenet':  # whose weights are of no shifted network
    convert_fit.log_differences(told, config, log)
  origin = {convert_names.plain(v): k for k, v in names.items()}
  classes = in_file['num_classes'] or None
  return config, convert_fit.fit(config, weights, classes, origin, log)


def _told_by(shapes, kind, overrides):
  """The fields that weights tell; a ResNet of an odd size must be meant."""
  given = {'depth', 'stage_sizes'} & set(overrides)
  told = convert_infer.from_shapes(shapes, kind, bool(given))
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
  name = convert_files.name_of(source)
  how = preprocessing_of(config, name, image_size, short_side)
  data = vars(how).copy()
  for field in ('num_frames', 'modality'):  # of the model
    del data[field]
  run = ml_collections.ConfigDict({'name': name, 'model': config, 'data': data})
  meta = runs.describe(run, labels, '')
  meta['converted_from'] = {
    'file': os.path.basename(source),
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
    sampling=convert_infer.sampling_of(file_name),
  )


def main(argv=None):
  parser = argparse.ArgumentParser(
    prog='python -m tsm_jax.convert',
    description='Makes a PyTorch file of weights a checkpoint of ours, or a '
    "checkpoint of ours a file in the authors' form.",
    epilog='Any field of the model may be given, for example --num_frames=16.',
    allow_abbrev=False,
    argument_default=argparse.SUPPRESS,
  )
  kinds = ', '.join(convert_files.SUFFIXES)
  parser.add_argument('source', help=f'{kinds}, or a workdir')
  parser.add_argument('out', help=f'the new workdir, or file ({kinds})')
  parser.add_argument('--labels', dest='labels_file', help='a class per line')
  parser.add_argument('--image_size', type=int, help='pixels (224)')
  parser.add_argument('--short_side', type=int, help='pixels (256)')
  args, rest = parser.parse_known_args(argv)
  options = vars(args)
  source, out = options.pop('source'), options.pop('out')
  try:
    options.update(cli.parse_fields(rest, models.DEFAULTS))
    if not convert_back.is_ours(source):
      lines = to_checkpoint(source, out, **options)
    elif options:
      name = min(options).removesuffix('_file')
      raise errors.InputError(
        f'{source} is a checkpoint of ours, which is written as it is: '
        f'--{name} is only for a file of PyTorch.'
      )
    else:
      lines = convert_back.to_file(source, out)
  except (errors.InputError, ImportError) as error:
    cli.fail(error)
  except OSError as error:  # for example a full disk
    cli.fail(f'{error} ({out})')
  print('\n'.join(lines))


if __name__ == '__main__':
  main()
