"""How fast training clips are ready, compared with other ways to make them.

Measures the processor time of all threads together, so that idle cores do not
matter: clips per second of it is a rate per core. All ways take turns; the
tables show medians.
"""

import functools
import importlib
import os
import pathlib
import platform
import statistics
import tempfile
import time

import jax
import psutil
from rich import table

import tsm_jax
from tsm_jax import cli, progress
from tsm_jax.bench import interleave, machine
from tsm_jax.bench.inputs import ways
from tsm_jax.data import defaults
from tsm_jax.data.sources import folder
from tsm_jax.data.store import builder, dataset

QUIET = 0.004  # seconds of work in a tenth of a second that count as none
PACKAGES = ('jax', 'grain', 'av', 'cv2', 'PIL', 'numpy')
TITLES = {
  'frames': "ours, storage 'frames'",
  'video': "ours, storage 'video'",
  'pytorch': 'PyTorch DataLoader, H.264 as found',
  'pil decode': 'PIL: only decode the JPEGs',
  'pil decode crop': 'PIL: decode, crop, resize',
}


def main(argv=None):
  args = _parser().parse_args(argv)
  with tempfile.TemporaryDirectory() as scratch:
    scratch = pathlib.Path(scratch)
    found = pathlib.Path(
      args.source or ways.draw(scratch / 'drawn', args.videos)
    )
    listing = folder.scan(found, holdout=0.0)
    paths = [item.path for item in listing.items]
    print(_machine(args, paths), flush=True)
    sources = build(listing, found, scratch / 'data')
    for kind, source in sources.items():
      sizes = memory(source, args.clips, args.threads)
      print(
        f'{kind}: {", ".join(f"{size:.0f}" for size in sizes)} MB resident at '
        f'the start, in the middle and at the end of {args.clips} clips.',
        flush=True,
      )
    rows = ways.our_rows(sources, args.threads)
    rows |= ways.their_rows(sources, paths)
    runs = {name: functools.partial(work, run) for name, run in rows.items()}
    times = interleave.measure(runs, args.repeats)
    show(times, ways.kilobytes(sources, paths), args.clips_per_s)


def build(listing, found, data_dir):
  """Training clips of a folder by kind of storage: `{kind: record source}`."""
  sources = {}
  for kind in defaults.STORAGES:
    options = defaults.USUAL._replace(storage=kind)
    plan = builder.Plan(listing, found, data_dir, options, max_excluded=0.0)
    path = builder.build(plan, log=lambda line: None)
    sources[kind] = dataset.open(path).split('train')
  return sources


def _parser():
  parser = cli.Parser('bench input', description=__doc__)
  add, count = parser.add_argument, cli.at_least(1)
  add('--source', default='', help='folder of videos (default: drawn ones)')
  add('--videos', type=count, default=16, help='videos to draw (%(default)s)')
  add(
    '--clips',
    type=count,
    default=1000,
    help='clips over which memory is watched (%(default)s)',
  )
  add('--repeats', type=count, default=7, help='turns (%(default)s)')
  add(
    '--threads',
    type=count,
    default=os.cpu_count(),
    help='threads that decode (default: one per core)',
  )
  add(
    '--clips_per_s',
    type=float,
    default=1000.0,
    help='clips that an accelerator takes per second; the table shows how many '
    'cores make them (%(default)s)',
  )
  return parser


def memory(source, clips, threads):
  """Resident megabytes before, in the middle of and after many clips."""
  batches = ways.train_clips(source, threads)
  steps = max(2, clips // ways.BATCH)
  resident = []
  for step in progress.bar(range(steps + 1), 'memory', leave=False):
    next(batches)
    if step in (0, steps // 2, steps):
      settle()  # the same number of clips is read ahead each time
      resident.append(psutil.Process().memory_info().rss / 1e6)
  return resident


def settle():
  """Waits until no thread of this process works: reading ahead is done."""
  before = time.process_time()
  while True:
    time.sleep(0.1)
    now = time.process_time()
    if now - before < QUIET:
      return
    before = now


def work(run, clips=4 * ways.BATCH):
  """Milliseconds of processor time per clip that `run(clips)` takes."""
  settle()
  before = time.process_time()
  run(clips)
  settle()
  return (time.process_time() - before) / clips * 1e3


def show(times, sizes, clips_per_s):
  """Prints the tables.

  Args:
    times: lists of milliseconds per clip, by way.
    sizes: kilobytes of a clip, by way.
    clips_per_s: that an accelerator takes.
  """
  median = {name: statistics.median(values) for name, values in times.items()}
  cli.show(_speeds(median, sizes, clips_per_s), _stages(median))
  print(
    f'Normalised on the device, here {jax.devices()[0].platform}: '
    f'{median["normalise"]:.2f} ms per clip.'
  )


def _speeds(median, sizes, clips_per_s):
  rows = table.Table(
    'input',
    'KB per clip',
    'ms per clip',
    'clips/s per core',
    'x PyTorch',
    'x PIL, decode',
    'x PIL, decode + crop',
    f'cores for {clips_per_s:g} clips/s',
  )
  for name, title in TITLES.items():
    ms = median[name]
    others = ('pytorch', 'pil decode', 'pil decode crop')
    rows.add_row(
      title,
      f'{sizes[name]:.0f}' if name in sizes else '',
      f'{ms:.2f}',
      f'{1e3 / ms:.0f}',
      *(f'{median[other] / ms:.2f}' for other in others),
      f'{clips_per_s * ms / 1e3:.1f}',
    )
  return rows


def _stages(median):
  rows = table.Table('share of', 'read', 'decode', 'crop, resize', 'the rest')
  for kind in defaults.STORAGES:
    parts = [median[f'{kind} {s}'] for s in ('read', 'decode', 'crop')]
    parts.append(median[kind] - sum(parts))
    rows.add_row(
      f"'{kind}'",
      *(f'{p:.2f} ms ({p / median[kind]:.0%})' for p in parts),
    )
  return rows


def _machine(args, paths):
  versions = (
    f'{name} {importlib.import_module(name).__version__}' for name in PACKAGES
  )
  return (
    f'tsm_jax {tsm_jax.__version__}, {", ".join(versions)}, Python '
    f'{platform.python_version()}; {machine.processor()}; '
    f'{args.threads} threads. '
    f'{len(paths)} videos, {args.repeats} turns, medians.'
  )
