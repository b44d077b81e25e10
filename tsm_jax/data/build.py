"""Builds a dataset ahead of training: `python -m tsm_jax.data.build NAME`."""

import os
import pathlib
import sys

from tsm_jax import cli, errors, modalities
from tsm_jax.data import defaults
from tsm_jax.data.sources import folder, published
from tsm_jax.data.sources.recordings import background
from tsm_jax.data.sources.splitting import folds, split_flags
from tsm_jax.data.store import beam, build_report, builder

EXAMPLE = """
NAME is one of %s; each is read as its authors distribute it. 'folder' is your
own folder of classes, a CSV or JSON list, or a recording marked in ELAN or VIA.

example:
  python -m tsm_jax.data.build ucf101 --split 1 \\
    --manual_dir /path/to/unpacked --data_dir /path/to/datasets
"""


@cli.command('Interrupted; the same command continues.')
def main(argv=None):
  args = _parser().parse_args(argv)
  _check(args)
  path = build(args)
  clips = build_report.read(path)['num_frames']
  split = ' --config.eval.split=test'  # training evaluates on 'val'
  more = split if clips.get('test') and not clips.get('val') else ''
  if count := len(folds.names(clips)):
    more = f' --config.data.folds={count} --config.data.fold=0'
  print(f'Train on it with --config.data.source={path}{more}')


def build(args):
  """Builds what the arguments name; returns the path of the dataset."""
  if args.name == 'folder':
    listing = folder.scan(
      args.manual_dir,
      args.labels,
      args.modality,
      multi_label=args.multi_label,
      called=lambda name: f'--{"manual_dir" if name == "source" else name}',
      **split_flags.fields(args),
    )
    listing = background.add(
      listing,
      args.background,
      args.holdout_seed,
      args.labels,
      called='--background',
    )
    stem = ''
  else:
    listing = published.read(
      args.name, args.manual_dir, args.split, args.modality
    )
    several = args.name in published.NUM_VIDEOS_OF_SPLIT
    stem = f'{args.name}_{args.split}' if several else args.name
  plan = builder.Plan(
    listing,
    args.manual_dir,
    pathlib.Path(args.data_dir).expanduser(),
    defaults.Options.from_fields(vars(args), '--'),
    args.max_excluded,
    stem,
    _engine(args),
  )
  return builder.build(plan, log=lambda line: print(line, flush=True))


def _engine(args):
  """The `beam.Engine` that the arguments name, or None."""
  options = tuple(filter(None, args.beam_pipeline_options.split(',')))
  if args.beam_runner:
    return beam.Engine(args.beam_runner, options)
  if options:
    raise errors.InputError(
      f'--beam_pipeline_options is {args.beam_pipeline_options!r}, but there '
      'is no --beam_runner.'
    )
  return None


def _check(args):
  """Raises InputError if a value is outside its range or has no meaning."""
  defaults.Options.from_fields(vars(args), '--')
  if not 0 <= args.max_excluded <= 1:
    raise errors.InputError(
      f'--max_excluded is {args.max_excluded}; it must be from 0 to 1.'
    )
  if args.name == 'folder' and args.split != 1:
    raise errors.InputError(
      f"--split is {args.split}; a 'folder' has no published splits."
    )
  usual = {
    'labels': '',
    'background': '',
    'multi_label': False,
    **split_flags.USUAL,
  }
  for name, unset in usual.items():
    if args.name != 'folder' and (value := getattr(args, name)) != unset:
      raise errors.InputError(
        f"--{name} is {value!r}; only a 'folder' takes it."
      )


def _parser():
  parser = cli.Parser(
    'data.build',
    description='Builds a published dataset, or your own folder, for training.',
    epilog=EXAMPLE % ', '.join(published.READERS),
  )
  add = parser.add_argument
  add('name', metavar='NAME', help='of the dataset, see below')
  add('--manual_dir', required=True, help='folder of the unpacked files')
  add(
    '--data_dir',
    default=os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets'),
    help='folder of built datasets (default %(default)s)',
  )
  add(
    '--split',
    type=int,
    default=1,
    metavar='K',
    help='which of the published splits of UCF101 or HMDB51 (default 1)',
  )
  add(
    '--modality',
    choices=modalities.STORED,
    default='rgb',
    help="'flow' reads extracted flow of 'frame_lists' or a 'folder'",
  )
  _add_storage(add)
  add(
    '--max_excluded',
    type=float,
    default=defaults.MAX_EXCLUDED,
    help='share of unusable videos that stops it (default %(default)s)',
  )
  _add_beam(add)
  add('--labels', default='', help="classes of a 'folder', one per line")
  parser.add_switch(
    'multi_label', 'clips of a list may have several labels, as a|b'
  )
  split_flags.add(parser)
  add(
    '--background',
    default='',
    metavar='LABEL',
    help="of a 'folder': a class of what is between the parts of its videos",
  )
  return parser


def _add_storage(add):
  """The flags of how clips are stored, as in `defaults.Options`."""
  add(
    '--short_side',
    type=int,
    default=defaults.USUAL.short_side,
    help='pixels; smaller clips are not enlarged (default %(default)s)',
  )
  add(
    '--quality',
    type=int,
    default=defaults.USUAL.quality,
    help='of stored JPEGs, 1 to 100 (default %(default)s)',
  )
  add(
    '--storage',
    choices=defaults.STORAGES,
    default=defaults.USUAL.storage,
    help="JPEG 'frames', fastest to read, or 'video': H.264, about seven times "
    'smaller (default %(default)s)',
  )
  add(
    '--fps',
    type=float,
    default=defaults.USUAL.fps,
    help='frames per second to which videos are resampled by their timestamps; '
    '0: keep their frames (default %(default)s)',
  )
  add(
    '--max_frames',
    type=int,
    default=defaults.USUAL.max_frames,
    help='of a clip; longer ones are not used (default %(default)s)',
  )


def _add_beam(add):
  """The flags of `beam.Engine`."""
  add(
    '--beam_runner',
    default='',
    metavar='RUNNER',
    help='build by Apache Beam (extra [beam]), for example DirectRunner',
  )
  add(
    '--beam_pipeline_options',
    default='',
    metavar='NAME=VALUE,...',
    help="of the runner, for example 'flink_master=host:8081'",
  )


if __name__ == '__main__':
  sys.exit(main())
