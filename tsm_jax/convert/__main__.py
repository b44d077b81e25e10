"""`python -m tsm_jax.convert SOURCE OUT`: converts files and checkpoints.

A file of PyTorch becomes a checkpoint of ours, and a checkpoint of ours a file.
"""

import argparse
import os
import sys

import ml_collections

from tsm_jax import cli, convert, errors, modalities, models
from tsm_jax.configuration import flags
from tsm_jax.convert import file_names, official_form, weight_files
from tsm_jax.data.input import preprocess
from tsm_jax.data.sources import label_files, listings
from tsm_jax.runs import checkpoints, identity


def to_checkpoint(
  source, out, labels_file='', image_size=None, short_side=None, **fields
):
  """Writes a PyTorch file as a checkpoint of ours.

  Args:
    source: path of a file that `from_torch` reads.
    out: the new workdir.
    labels_file: file that names the classes, see `label_files.read`; without
      it, they are those that the source names, or called by their index.
    image_size: side of the network's input in pixels; by default what the file
      states, or 224.
    short_side: shorter side in pixels to which frames are resized before that
      is cut out; by default what the file states, or 256.
    **fields: `sampling`, 'uniform' or 'dense', which otherwise follows from
      the file or its name; and fields of `models.DEFAULTS`.

  Returns:
    Lines for the user.

  Raises:
    InputError: as `from_torch`; if the numbers of labels and classes differ, or
      `out` already holds a checkpoint.
  """
  lines, sampling = [], fields.pop('sampling', None)
  converted = convert.read(source, log=lines.append, **fields)
  config = converted.config
  labels = class_names(labels_file, converted, lines)
  name = weight_files.official_name(source)
  given = {
    'image_size': image_size,
    'short_side': short_side,
    'sampling': sampling,
  }
  preprocessing = released_preprocessing(config, name, 224, 256)
  data = vars(preprocessing) | converted.data
  data.update({k: value for k, value in given.items() if value is not None})
  if data.get('background', labels[0]) not in labels:
    lines.append(
      f'The background {data.pop("background")!r} is none of the classes now; '
      'name it when things happen, by --background.'
    )
  if not (sampling or 'sampling' in converted.data or file_names.tells(name)):
    lines.append(
      "sampling is not in the weights; 'uniform' is used (--sampling=dense)."
    )
  for field in ('num_frames', 'modality'):  # fields of the model
    del data[field]
  run = ml_collections.ConfigDict(
    {'name': errors.printable(name), 'model': config, 'data': data}
  )
  preprocess.Preprocessing.from_config(run)  # raises what contradicts itself
  meta = identity.describe(run, labels, '')
  meta['converted_from'] = {
    'file': os.path.basename(source),
    'sha256': weight_files.sha256(source),
  }
  checkpoints.save_model(out, converted.variables, meta)
  identity.freeze_config(out, run)
  special = {k: v for k, v in config.items() if v != models.DEFAULTS[k]}
  shown = ', '.join(f'{k}={v!r}' for k, v in sorted(special.items()))
  return [
    *lines,
    f'Classes, in the order of the classifier: {listings.shown(labels)}.',
    f'{errors.printable(out)}: {config["name"]} with {shown}, '
    f'sampling={data["sampling"]!r}.',
  ]


def class_names(labels_file, converted, lines):
  """The names of the classes, from `--labels` or from the file of weights.

  Raises:
    InputError: if `--labels` has another number of names, or the same names as
      the file of weights in another order.
  """
  count, own = converted.config['num_classes'], converted.labels
  if own and len(own) != count:  # the classifier is a new one
    own = None
  if not labels_file:
    return own or [str(i) for i in range(count)]
  labels = label_files.read(labels_file, '--labels')
  if len(labels) != count:
    raise errors.InputError(
      f'--labels is {labels_file!r} with {len(labels)} classes, but the '
      f'weights have {count}.'
    )
  if own and own != labels:
    if sorted(own) == sorted(labels):
      raise errors.InputError(
        f'--labels is {labels_file!r} with the classes in the order '
        f'{listings.shown(labels)}, but the weights have '
        f'{listings.shown(own)}; leave out --labels.'
      )
    lines.append(
      f'--labels takes the place of the names in the file: '
      f'{listings.shown(own)}.'
    )
  return labels


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
    sampling=file_names.sampling_from_name(file_name),
  )


@cli.command()
def main(argv=None):
  args, rest = _parser().parse_known_args(argv)
  options = vars(args)
  source, out = options.pop('source'), options.pop('out')
  options.update(flags.parse_fields(rest, models.DEFAULTS))
  try:
    if not official_form.is_checkpoint(source):
      lines = to_checkpoint(source, out, **options)
    elif options:
      name = min(options).removesuffix('_file')
      raise errors.InputError(
        f'{errors.printable(source)} is a checkpoint of ours and is written as '
        f'it is; --{name} is only for a file of PyTorch.'
      )
    else:
      lines = official_form.to_file(source, out)
  except OSError as error:  # for example a full disk
    raise errors.InputError(f'{error} ({errors.printable(out)})') from error
  print('\n'.join(map(errors.printable, lines)))


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
  add(
    '--sampling', choices=('uniform', 'dense'), help='of frames (from the name)'
  )
  add('--image_size', type=int, help='pixels (224)')
  add('--short_side', type=int, help='pixels (256)')
  return parser


if __name__ == '__main__':
  sys.exit(main())
