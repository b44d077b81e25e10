"""Why is my accuracy off? Hashes of 50 clips after each stage of the input.

  python -m tsm_jax.data.fingerprint --config configs/ssv2.py \\
      --config.data.source=/path/to/built --out here.json
  python -m tsm_jax.data.fingerprint compare here.json there.json

Comparing names the first stage at which two machines, versions or
configurations differ, and ends with status 1 if they do.
"""

import dataclasses
import hashlib
import json
import pathlib
import sys

import numpy as np

from tsm_jax import cli, errors
from tsm_jax.data import choosing, sampling
from tsm_jax.data.clips import codec
from tsm_jax.data.input import preprocess, records
from tsm_jax.data.store import build_report, dataset

NUM_CLIPS = 50
DECIMALS = 2  # of normalised values: hardware may differ in the last bits

# What is compared of a clip, in the order in which it comes about.
STAGES = {
  'video_id': 'the clips of the split',
  'label': 'the classes',
  'num_frames': 'the number of stored frames',
  'indices': 'the chosen frames',
  'validation': 'the frames that validation in training chooses',
  'record': 'the stored bytes',
  'decoded': 'the decoded frames',
  'cropped': 'the resized and cropped frames',
  'normalized': 'the normalised frames',
}


def fingerprint(source, labels, preprocessing, views):
  """The fingerprint of a split, as a dict for JSON.

  Args:
    source: of the split, from `Dataset.split`.
    labels: class names by index.
    preprocessing: a `preprocess.Preprocessing`.
    views: a `records.Views`.

  Returns:
    A dict of settings (of `preprocessing` and `views`) and clips: for each of
    50 spread evenly over the split, or of all, a dict of `STAGES`.
  """
  last = len(source) - 1
  numbers = np.unique(np.linspace(0, last, NUM_CLIPS).astype(int)).tolist()
  settings = {**dataclasses.asdict(preprocessing), **dataclasses.asdict(views)}
  return {
    'settings': settings,
    'clips': [
      _stages(source[number], number, labels, preprocessing, views)
      for number in numbers
    ],
  }


def _stages(record, number, labels, preprocessing, views):
  jpegs = record['frames']
  count, images = (
    records.num_images(record, preprocessing),
    preprocessing.kind().images,
  )
  fps = records.frame_rate(record, preprocessing)
  indices, validation = (
    records.eval_indices(count, preprocessing, seen, number, fps)
    for seen in (views, dataclasses.replace(views, validation=True))
  )
  following = sampling.following(indices, images, count)
  decoded = codec.decode(
    record, np.unique(following), preprocessing.kind().stored
  )
  cropped = records.eval_views(record, preprocessing, views, number)
  normalized = preprocessing.normalize(cropped)
  rounded = np.round(np.asarray(normalized), DECIMALS) + 0.0  # -0.0 is 0.0
  return {
    'video_id': record['video_id'].decode(),
    'label': _label(record['label'], labels),
    'num_frames': count,
    'indices': indices.tolist(),
    'validation': validation.tolist(),
    'record': _hash(jpegs),
    'decoded': _hash(decoded),
    'cropped': _hash([cropped]),
    'normalized': _hash([rounded]),
  }


def _hash(parts):
  """A hash of byte strings or arrays, and of where each ends."""
  digest = hashlib.sha256()
  for part in parts:
    if isinstance(part, np.ndarray):
      digest.update(f'{part.dtype} {part.shape} '.encode())
      part = np.ascontiguousarray(part)
    digest.update(f'{memoryview(part).nbytes} '.encode())
    digest.update(part)
  return digest.hexdigest()[:16]


def _label(label, labels):
  several = np.flatnonzero(label) if np.ndim(label) else [label]
  return ' | '.join(f'{i} {labels[i]}' for i in several)


def compare(one, other):
  """Where two fingerprints differ first.

  Args:
    one: from `fingerprint`.
    other: another one.

  Returns:
    `(stage, lines)`: one of `STAGES` or None, and lines of text.
  """
  a, b = one['clips'], other['clips']
  # A setting that is newer than a file had its default there.
  fields = dataclasses.fields(preprocess.Preprocessing)
  usual = {field.name: field.default for field in fields}
  first, second = ({**usual, **x['settings']} for x in (one, other))
  differing = [
    f'{name} ({first.get(name)} and {second.get(name)})'
    for name in {**one['settings'], **other['settings']}
    if first.get(name) != second.get(name)
  ]
  lines = [f'Settings that differ: {", ".join(differing)}.'] * bool(differing)
  if len(a) != len(b):
    message = f'They hold {len(a)} and {len(b)} clips: the splits differ.'
    return 'video_id', [message, *lines]
  for stage, meaning in STAGES.items():
    pairs = [(x, y) for x, y in zip(a, b) if x[stage] != y[stage]]
    if pairs:
      x, y = pairs[0]
      return stage, [
        f'They differ first in {stage!r}, {meaning}: {len(pairs)} of {len(a)} '
        f'clips.',
        f'Of {x["video_id"]!r}: {x[stage]} and {y[stage]}.',
        *lines,
      ]
  return None, [f'All {len(a)} clips are the same after every stage.', *lines]


def _read(path):
  try:
    found = json.loads(pathlib.Path(path).read_text())
    if _is_whole(found):
      return found
    reason = 'its settings or clips are missing, or not as written'
  except (OSError, ValueError, AttributeError) as error:
    reason = str(error)
  raise errors.InputError(
    f'{str(path)!r} is not a fingerprint that this program wrote: {reason}.'
  )


def _is_whole(found):
  clips = found.get('clips')
  return (
    isinstance(found.get('settings'), dict)
    and isinstance(clips, list)
    and all(isinstance(c, dict) and STAGES.keys() <= c.keys() for c in clips)
  )


def compare_files(argv):
  """The command's `compare`; returns the status."""
  parser = cli.Parser(
    'data.fingerprint compare',
    description='Names the first stage at which two fingerprints differ.',
  )
  parser.add_argument('files', nargs=2, metavar='FILE')
  stage, lines = compare(*map(_read, parser.parse_args(argv).files))
  print('\n'.join(map(errors.printable, lines)))
  return 0 if stage is None else 1


def write(config, out):
  """Builds the dataset of `config` if need be, and writes `out`."""
  choosing.require(config, 'data.image_size')
  source = config.data.source
  if source and build_report.exists(source):
    config.data.update(build_report.read(source)['options'])
  choosing.require(config, 'data.short_side')
  if not out:
    raise errors.InputError('--out is empty; give a file to write.')
  views = records.Views.from_config(config)
  # Wrong fields are reported before a build of hours.
  preprocess.Preprocessing.from_config(config)
  built = dataset.prepare(
    config.data, config.model.modality, splits=(config.eval.split,)
  )
  config.data.update(built.options)
  found = fingerprint(
    built.split(config.eval.split),
    built.labels,
    preprocess.Preprocessing.from_config(config),
    views,
  )
  pathlib.Path(out).write_text(json.dumps(found, indent=1))
  print(f'{len(found["clips"])} clips of {config.eval.split!r} are in {out}.')


@cli.command()
def main(argv=None):
  argv = sys.argv[1:] if argv is None else argv
  if argv[:1] == ['compare']:
    return compare_files(argv[1:])
  parser = cli.Parser('data.fingerprint', description=__doc__)
  parser.add_config()
  parser.add_argument(
    '--out', default='fingerprint.json', help='the file to write'
  )
  args = parser.parse_args(argv)
  write(args.config, args.out)


if __name__ == '__main__':
  sys.exit(main())
