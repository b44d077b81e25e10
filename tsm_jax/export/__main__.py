"""A trained model as a file for another runtime, with proof that it is equal.

python -m tsm_jax.export CHECKPOINT OUT --format litert
python -m tsm_jax.export verify OUT
"""

import argparse
import sys

from tsm_jax import cli, compilation_cache
from tsm_jax.configuration import flags


@cli.command('Interrupted: nothing is written.')
def main(argv=None):
  argv = sys.argv[1:] if argv is None else argv
  is_verify = argv[:1] == ['verify']
  fields, argv = flags.split_flags(cli.normalized(argv))
  if is_verify:
    args = _verify_parser().parse_args(argv[1:])
  else:
    args = _parser().parse_args(argv)
  args.fields = fields
  from tsm_jax.export import commands

  compilation_cache.switch_on()
  return (commands.verify if is_verify else commands.export)(args)


def _parser():
  parser = cli.Parser(
    'export',
    description='Writes a trained model for another runtime, and proves on '
    'validation clips that it answers there as it does here.',
    epilog='python -m tsm_jax.export verify OUT proves it again, anywhere.',
  )
  add = parser.add_argument
  add('checkpoint', help='a workdir, or one step in it')
  add('out', help='the folder to write')
  add(
    '--format',
    required=True,
    choices=('litert', 'onnx', 'stablehlo'),
    help='litert (Android, Raspberry Pi, browsers), onnx (servers) or '
    'stablehlo (JAX, on CPU, GPU and TPU)',
  )
  add(
    '--what',
    choices=('clip', 'step'),
    help='probabilities of a whole clip, or of one frame after the other; by '
    'default a step, if the model was trained with direction=past',
  )
  add(
    '--precision',
    default='float32',
    choices=('float32', 'float16', 'int8'),
    help='of the weights; int8 also of the features (default %(default)s)',
  )
  add(
    '--batch',
    type=_batch,
    default=1,
    help='clips or streams at once, or any (default %(default)s)',
  )
  add(
    '--converter',
    default='',
    metavar='PYTHON',
    help='a Python that has the converter; by default one that is made in the '
    "user's cache on first use",
  )
  _add_proof(parser)
  return parser


def _verify_parser():
  parser = cli.Parser(
    'export verify',
    description='Proves again that an exported model answers as before, from '
    'what its folder holds.',
  )
  parser.add_argument('out', help='the folder of an export')
  parser.add_argument(
    '--checkpoint',
    default='',
    metavar='RUN',
    help='take clips from the dataset of this checkpoint, and what it answers '
    'now; by default the clips that the folder holds',
  )
  _add_proof(parser)
  return parser


def _add_proof(parser):
  parser.add_argument(
    '--clips',
    type=cli.at_least(50),
    default=50,
    help='of the validation split, for the proof (default %(default)s)',
  )
  parser.add_argument(
    '--config.data.FIELD',
    metavar='VALUE',
    dest='_',
    default=argparse.SUPPRESS,
    help='where the clips are now, such as --config.data.source=/videos',
  )
  parser.add_argument(
    '--max_difference',
    type=_share,
    help='largest difference of a probability; by default 1e-4 in float32, '
    '1e-2 in float16, and any in int8',
  )
  parser.add_argument(
    '--min_equal',
    type=_share,
    help='smallest share of clips with the same top-1; by default 0.98 in '
    'int8, and any otherwise',
  )


def _batch(text):
  """The type of `--batch`: None for any."""
  return None if text == 'any' else cli.at_least(1)(text)


_batch.__name__ = 'int'  # argparse names it when the text is none


def _share(text):
  """The type of a number from 0 to 1."""
  if not 0 <= float(text) <= 1:
    raise argparse.ArgumentTypeError(f'is {text}; it must be from 0 to 1')
  return float(text)


_share.__name__ = 'float'


if __name__ == '__main__':
  sys.exit(main())
