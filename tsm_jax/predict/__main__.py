"""Labels for video files: `python -m tsm_jax.predict CHECKPOINT VIDEO...`."""

import json
import sys

from tsm_jax import cli, compilation_cache, errors, predict, progress
from tsm_jax.data.input import cropping
from tsm_jax.data.sources import arguments
from tsm_jax.predict import tables
from tsm_jax.stream import flags, watch


@cli.command()
def main(argv=None):
  args = _parser().parse_args(argv)
  tables.check(args)
  flags.check(args)
  compilation_cache.switch_on()
  model = predict.load(args.checkpoint)
  if args.stream:
    return watch.run(model, args)
  views = predict.checked_views(args.clips, args.crops, args.full_resolution)
  options = args.top, args.max_frames, views
  results, num_bad = [], 0
  videos = list(_videos(args.videos))
  with (
    tables.Rows(args.csv, min(args.top, len(model.labels))) as rows,
    progress.bar(videos, 'predict', unit='video', leave=False) as bar,
  ):
    for name, path, reason in bar:
      if not reason:
        found, reason = _answer(model, name, path, options)
      rows.add(name, [] if reason else found, reason)
      if reason:
        bar.write(errors.printable(f'error: {reason}'), file=sys.stderr)
        num_bad += 1
      else:
        predictions = [prediction._asdict() for prediction in found]
        results.append({'video': name, 'predictions': predictions})
  if args.json:
    print(json.dumps(results, indent=1))
  elif args.csv:
    print(
      f'{len(results)} videos are answered in {args.csv}, '
      f'{num_bad} could not be.'
    )
  else:
    tables.show(results)
  return 0 if not num_bad else 1 if results else 2


def _videos(named):
  """Yields `(name, path, reason)` of the videos that arguments stand for.

  All are known before the first is answered. The reason says why an argument
  stands for none, else it is ''.
  """
  for argument in named:
    if argument == arguments.STANDARD_INPUT:
      yield argument, argument, ''
      continue
    try:
      for path in arguments.expand(argument, _tell):
        yield path, path, ''
    except (errors.InputError, OSError) as error:
      yield argument, '', str(error)


def _tell(line):
  print(errors.printable(line), file=sys.stderr)


def _answer(model, name, path, options):
  """`(predictions, reason)` of a video; one of them says nothing."""
  try:
    if path != arguments.STANDARD_INPUT:
      return model.predict_one(path, *options), ''
    with arguments.standard_input() as path:
      return model.predict_one(path, *options), ''
  except (errors.InputError, OSError) as error:
    return [], str(error).replace(path, name)


def _parser():
  parser = cli.Parser(
    'predict',
    description='Prints the most probable labels of video files, or of folders '
    'of their images (for optical flow always these).',
    epilog='A folder of videos stands for the videos in it, a quoted pattern '
    'for the files it fits, a list (.txt: a path in each line; .csv and .json: '
    'with a column path) for what it names, and - for one that comes through '
    'a pipe. The status is 0, 1 if some videos cannot be answered, or 2 if '
    'none can.',
  )
  add, positive = parser.add_argument, cli.at_least(1)
  add('checkpoint', help='a workdir, or one step in it')
  add('videos', nargs='+', metavar='video')
  add('--top', type=positive, default=5, help='labels per video')
  add('--clips', type=positive, default=1, help='views over time')
  add(
    '--crops', type=int, default=1, choices=cropping.CROPS, help='of each clip'
  )
  parser.add_switch('full_resolution', 'crops of the whole short side')
  add(
    '--max_frames',
    type=positive,
    default=predict.MAX_FRAMES,
    help='longer videos are refused (default %(default)s)',
  )
  add(
    '--csv',
    default='',
    metavar='FILE',
    help='write a row for every video there, also for those that cannot be '
    'answered, instead of printing a table',
  )
  parser.add_switch('json', 'print JSON instead of a table')
  flags.add(parser)
  return parser


if __name__ == '__main__':
  sys.exit(main())
