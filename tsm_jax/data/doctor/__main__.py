"""Examines a dataset before it is trained on: `python -m tsm_jax.data.doctor`.

Every clip is decoded whole. What is found goes to a table, a JSON file and a
page with contact sheets.
"""

import json
import os
import pathlib
import sys

from rich import box, console, table, text

from tsm_jax import cli, errors, modalities
from tsm_jax.data.clips import workers
from tsm_jax.data.doctor import diagnosis, examine, kinds, page, shares
from tsm_jax.data.sources import folder, published
from tsm_jax.data.sources.recordings import background
from tsm_jax.data.sources.splitting import split_flags
from tsm_jax.data.store import build_report, dataset, films

MAX_LINES = 10  # of each kind that are shown; the JSON file has all
EPILOG = """
PATH is a folder of classes, a CSV or JSON list, a dataset that was built, or,
with --name, the files of a published one as for tsm_jax.data.build.

The status is 0 if there is no problem (there may be notes), 1 if there is one,
2 if the command is wrong. Killed, the same command continues: what is known of
a file holds until its size or time changes.

examples:
  python -m tsm_jax.data.doctor /path/to/videos --html doctor.html
  python -m tsm_jax.data.doctor /path/to/unpacked --name ucf101 --split 1
"""


@cli.command('Interrupted; the same command continues.')
def main(argv=None):
  args = _parser().parse_args(argv)
  found = examine_all(args)
  if args.json:
    _write(args.json, json.dumps(diagnosis.as_json(found), indent=1))
  if args.html:
    _write(args.html, page.render(found))
  show(found, console.Console(width=None if sys.stdout.isatty() else 110))
  return 1 if found.problems() else 0


def examine_all(args):
  """The `diagnosis.Diagnosis` of what the arguments name."""
  if args.num_frames < 1:
    raise errors.InputError(
      f'--num_frames is {args.num_frames}; it must be at least 1.'
    )
  path = pathlib.Path(args.path).expanduser()
  if args.name:
    listing = published.read(args.name, path, args.split, args.modality)
    source = diagnosis.Source.from_listing(listing, str(path))
  elif build_report.exists(path):
    built = dataset.open(path)
    _check_built(built, args.modality)
    source = diagnosis.Source.from_dataset(built)
  else:
    listing = folder.scan(
      path,
      args.labels,
      args.modality,
      multi_label=args.multi_label,
      called=lambda name: 'PATH' if name == 'source' else f'--{name}',
      **split_flags.fields(args),
    )
    listing = background.add(
      listing,
      args.background,
      args.holdout_seed,
      args.labels,
      called='--background',
    )
    source = diagnosis.Source.from_listing(listing, str(path))
  cache = pathlib.Path(args.cache).expanduser()
  limit = films.limit(source.items)
  with workers.Workers(examine.facts, limit=limit) as pool:
    return diagnosis.diagnose(source, args.num_frames, cache, pool)


def _check_built(built, modality):
  """Raises InputError if flow is asked for and a dataset holds RGB."""
  if modality == 'flow' != built.modality:
    raise errors.InputError(
      f'--modality is {modality!r}, but the dataset {str(built.path)!r} holds '
      f'{built.modality}.'
    )


def show(found, out):
  """Prints a diagnosis.

  Args:
    found: a `diagnosis.Diagnosis`.
    out: a rich Console.
  """
  splits = table.Table(box=box.SIMPLE_HEAD)
  for heading in ('split', 'clips', 'frames: least', 'median', 'most'):
    splits.add_column(
      heading, justify='left' if heading == 'split' else 'right'
    )
  for split, counts in found.splits.items():
    frames = (f'{n:g}' for n in counts['frames'])
    splits.add_row(_text(split), str(counts['clips']), *frames)
  out.print(_text(f'Dataset {found.source}'))
  out.print(splits)
  if line := shares.described(found.classes):
    out.print(_text(line))
  rows = table.Table(box=box.SIMPLE_HEAD)
  rows.add_column('found', no_wrap=True)
  rows.add_column('clip', overflow='fold')
  rows.add_column('what', overflow='fold')
  for kind, members in found.by_kind().items():
    style = 'red' if kind.severity == kinds.PROBLEM else 'yellow'
    title = text.Text(f'{len(members)} x {kind.title}', style)
    for member in members[:MAX_LINES]:
      names = ', '.join(member.clips[:1])
      rows.add_row(title, *map(_text, (names, member.detail)))
      title = text.Text('')
    if len(members) > MAX_LINES:
      rows.add_row('', '', f'... and {len(members) - MAX_LINES} more')
  if found.findings:
    out.print(rows)
  for note in found.notes[:MAX_LINES]:
    out.print(_text(f'note: {note}'))
  if len(found.notes) > MAX_LINES:
    out.print(f'... and {len(found.notes) - MAX_LINES} more notes')
  out.print(text.Text(found.verdict()))


def _text(content):
  return text.Text(errors.printable(content))  # a name is no markup


def _write(path, content):
  """Writes a file whole or not at all."""
  path = pathlib.Path(path)
  unfinished = path.with_name(f'{path.name}.unfinished')
  unfinished.write_text(content, encoding='utf-8', errors='backslashreplace')
  unfinished.replace(path)


def _parser():
  parser = cli.Parser(
    'data.doctor',
    description='Decodes every clip of a dataset and reports what is wrong.',
    epilog=EPILOG,
  )
  add = parser.add_argument
  add('path', metavar='PATH', help='of the dataset, see below')
  add('--json', metavar='FILE', help='write all that is found')
  add('--html', metavar='FILE', help='write a page with contact sheets')
  add('--name', default='', help=f'one of {", ".join(published.READERS)}')
  add('--split', type=int, default=1, help='see tsm_jax.data.build')
  add(
    '--modality',
    choices=modalities.STORED,
    default='rgb',
    help="'flow' examines extracted flow of 'frame_lists' or a folder",
  )
  add('--labels', default='', help='classes of a folder, one per line')
  add(
    '--num_frames',
    type=int,
    default=8,
    metavar='T',
    help='that a clip needs; shorter ones are noted (default %(default)s)',
  )
  split_flags.add(parser)
  parser.add_switch('multi_label', 'clips may have several labels, as a|b')
  add('--background', default='', metavar='LABEL', help='as data.background')
  add(
    '--cache',
    metavar='FOLDER',
    default=os.path.join(
      os.environ.get('XDG_CACHE_HOME') or '~/.cache', 'tsm_jax', 'doctor'
    ),
    help='folder of cached results (default %(default)s)',
  )
  return parser


if __name__ == '__main__':
  sys.exit(main())
