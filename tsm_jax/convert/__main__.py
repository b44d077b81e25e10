"""`python -m tsm_jax.convert SOURCE OUT`: converts files and checkpoints.

A file of PyTorch becomes a checkpoint of ours, and a checkpoint of ours a file.
"""

import argparse
import os
import sys

import ml_collections

from tsm_jax import cli, configuration, convert, errors, modalities, models
from tsm_jax.convert import infer, official_form, weight_files
from tsm_jax.data.input import preprocess
from tsm_jax.data.sources import folder
from tsm_jax.runs import checkpoints, identity


def to_checkpoint(
  source, out, labels_file='', image_size=224, short_side=256, **overrides
):
  """Writes a PyTorch file as a checkpoint of ours.

  Args:
    source: path of a file that `from_torch` reads.
    out: the new workdir.
    labels_file: text file with a class name per line, in the order of the
      classifier; without it, classes are named by their index.
    image_size: side of the network's input in pixels.
    short_side: shorter side in pixels to which frames are resized before that
      is cut out.
    **overrides: fields of `models.DEFAULTS`.

  Returns:
    Lines for the user.

  Raises:
    InputError: as `from_torch`; if the numbers of labels and classes differ, or
      `out` already holds a checkpoint.
  """
  lines = []
  config, variables = convert.from_torch(source, log=lines.append, **overrides)
  labels = [str(i) for i in range(config['num_classes'])]
  if labels_file:
    labels = folder.read_labels(labels_file, '--labels')
  if len(labels) != config['num_classes']:
    raise errors.InputError(
      f'--labels is {labels_file!r} with {len(labels)} classes, but the '
      f'weights have {config["num_classes"]}.'
    )
  name = weight_files.official_name(source)
  preprocessing = released_preprocessing(config, name, image_size, short_side)
  data = vars(preprocessing).copy()
  for field in ('num_frames', 'modality'):  # fields of the model
    del data[field]
  run = ml_collections.ConfigDict({'name': name, 'model': config, 'data': data})
  meta = identity.describe(run, labels, '')
  meta['converted_from'] = {
    'file': os.path.basename(source),
    'sha256': weight_files.sha256(source),
  }
  checkpoints.save_model(out, variables, meta)
  identity.freeze_config(out, run)
  special = {k: v for k, v in config.items() if v != models.DEFAULTS[k]}
  fields = ', '.join(f'{k}={v!r}' for k, v in sorted(special.items()))
  return [*lines, f'{out}: {config["name"]} with {fields}.']


def released_preprocessing(config, file_name, image_size, short_side):
  """The preprocessing that the released weights of a model were trained with.

  Args:
    config: of the model; `name`, `modality` and `num_frames` are used.
    file_name: the official name, which may state dense sampling.
    image_size: side of the network's input in pixels.
    short_side: shorter side of the resized frames in pixels.
  """
  usual = modalities.normalization(config['name'], config['modality'])
  return preprocess.Preprocessing(
    num_frames=config['num_frames'],
    image_size=image_size,
    modality=config['modality'],
    **usual._asdict(),
    short_side=short_side,
    sampling=infer.sampling_from_name(file_name),
  )


@cli.command()
def main(argv=None):
  args, rest = _parser().parse_known_args(argv)
  options = vars(args)
  source, out = options.pop('source'), options.pop('out')
  options.update(configuration.parse_fields(rest, models.DEFAULTS))
  try:
    if not official_form.is_checkpoint(source):
      lines = to_checkpoint(source, out, **options)
    elif options:
      name = min(options).removesuffix('_file')
      raise errors.InputError(
        f'{source} is a checkpoint of ours and is written as it is; --{name} '
        f'is only for a file of PyTorch.'
      )
    else:
      lines = official_form.to_file(source, out)
  except OSError as error:  # for example a full disk
    raise errors.InputError(f'{error} ({out})') from error
  print('\n'.join(lines))


def _parser():
  parser = cli.Parser(
    'convert',
    description='Makes a PyTorch file of weights a checkpoint of ours, or a '
    "checkpoint of ours a file in the authors' form.",
    epilog='Any field of the model may be given, for example --num_frames=16.',
    argument_default=argparse.SUPPRESS,
  )
  kinds = ', '.join(weight_files.SUFFIXES)
  add = parser.add_argument
  add('source', help=f'{kinds}, or a workdir')
  add('out', help=f'the new workdir, or file ({kinds})')
  add('--labels', dest='labels_file', help='a file with a class per line')
  add('--image_size', type=int, help='pixels (224)')
  add('--short_side', type=int, help='pixels (256)')
  return parser


if __name__ == '__main__':
  sys.exit(main())
