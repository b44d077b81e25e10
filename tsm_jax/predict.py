"""Labels for video files: `python -m tsm_jax.predict CHECKPOINT VIDEO...`."""

import argparse
import json
import sys

import jax
import numpy as np
from rich import table

from tsm_jax import cli, errors, evaluate
from tsm_jax.data.clips import images, limits, videos
from tsm_jax.data.input import cropping, records
from tsm_jax.runs import checkpoints


def make_predict(trained):
  """The function `frames uint8 [V, T, S, S, C] -> probabilities [K]`.

  Args:
    trained: a `checkpoints.TrainedModel`.

  Returns:
    A jitted function; the logits of the views are averaged before the softmax,
    as in evaluation.
  """
  model = trained.module()

  @jax.jit
  def predict(frames):
    logits = evaluate.view_logits(
      model, trained.variables, frames[None], trained.preprocessing
    )
    return jax.nn.softmax(logits[0])

  return predict


def predict_video(
  predict, trained, path, views=None, max_frames=limits.MAX_FRAMES
):
  """Probabilities `[K]` float32 of a video file or folder of its images.

  The file takes the way of a training video: the same storage, frames and
  crops, so that the result is that of evaluation.

  Args:
    predict: as from `make_predict`.
    trained: a `checkpoints.TrainedModel`.
    path: as of `images.to_record`; for flow a folder.
    views: a `records.Views`; by default the centre of one clip.
    max_frames: of the file; a longer one would take much memory.

  Raises:
    InputError: if the file cannot be decoded; it names file and reason.
  """
  how = trained.preprocessing
  try:
    record, video = images.to_record(
      path,
      **how.stored(),
      modality=how.kind().stored,
      max_frames=max_frames,
    )
  except videos.VideoError as error:
    raise errors.InputError(f'{str(path)!r}: {error}.') from error
  if video.damage:
    print(f'{path}: damaged, {video.damage}', file=sys.stderr)
  return np.asarray(
    predict(records.eval_views(record, how, views or records.Views()))
  )


def main(argv=None):
  parser = argparse.ArgumentParser(
    prog='python -m tsm_jax.predict',
    description='Prints the most probable labels of video files, or of folders '
    'of their images (for optical flow always these).',
  )
  parser.add_argument('checkpoint', help='a workdir, or one step in it')
  parser.add_argument('videos', nargs='+', metavar='video')
  parser.add_argument('--top', type=int, default=5, help='labels per video')
  parser.add_argument('--clips', type=int, default=1, help='views over time')
  parser.add_argument(
    '--crops', type=int, default=1, choices=cropping.CROPS, help='of a clip'
  )
  parser.add_argument(
    '--full-resolution', action='store_true', help='crops of the short side'
  )
  parser.add_argument(
    '--max-frames',
    type=int,
    default=limits.MAX_FRAMES,
    help='of a video; longer ones are refused (default %(default)s)',
  )
  parser.add_argument('--json', action='store_true', help='for machines')
  args = parser.parse_args(argv)
  for name in ('top', 'clips', 'max_frames'):
    if getattr(args, name) < 1:
      parser.error(f'--{name} is {getattr(args, name)}; it must be at least 1.')
  try:
    trained = checkpoints.restore_model(args.checkpoint)
  except errors.InputError as error:
    cli.fail(error)
  predict = make_predict(trained)
  views = records.Views(args.clips, args.crops, args.full_resolution)
  results, failures = [], 0
  for path in args.videos:
    try:
      probabilities = predict_video(
        predict, trained, path, views, args.max_frames
      )
    except errors.InputError as error:
      print(f'error: {error}', file=sys.stderr)
      failures += 1
      continue
    best = np.argsort(-probabilities, kind='stable')[: args.top]
    top = [
      {'label': trained.labels[i], 'probability': float(probabilities[i])}
      for i in best
    ]
    results.append({'video': path, 'predictions': top})
  print(json.dumps(results, indent=1)) if args.json else print_table(results)
  sys.exit(1 if failures else 0)


def print_table(results):
  """One row per label, most probable first."""
  rows = table.Table('video', 'label', 'probability')
  for result in results:
    for rank, prediction in enumerate(result['predictions']):
      rows.add_row(
        result['video'] if rank == 0 else '',
        prediction['label'],
        f'{prediction["probability"]:.2%}',
      )
  cli.show(rows)


if __name__ == '__main__':
  main()
