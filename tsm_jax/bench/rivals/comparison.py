"""Streams in JAX, in PyTorch and in the runtimes of exports, side by side.

Every contender has a process of its own with a fixed number of threads. All of
a network are open at once and take turns of some frames, so that a busy moment
of the machine hits all; the others sleep. A ratio is that of the same turn.
"""

import functools
import json
import pathlib
import platform

import jax
import numpy as np

import tsm_jax
from tsm_jax import cli, errors, models
from tsm_jax.bench import interleave, machine, processes
from tsm_jax.bench.clips import contests
from tsm_jax.bench.rivals import contenders, summary
from tsm_jax.export import card as cards
from tsm_jax.stream import cache

KINDS = ('jax', 'pytorch', 'exports')


def add_flags(parser):
  """Adds the flags of `main`."""
  parser.add_argument(
    '--exports',
    metavar='DIR',
    default='',
    help='compare with the exports of steps in this folder',
  )
  parser.add_argument(
    '--contenders',
    metavar='KIND',
    nargs='+',
    choices=KINDS,
    default=[],
    help=f'only some of {", ".join(KINDS)}',
  )
  count = cli.at_least(1)
  add = parser.add_argument
  add('--frames', type=count, default=20, help='of a turn (%(default)s)')
  add(
    '--threads',
    type=count,
    nargs='+',
    default=[1, 2],
    help='of each contender, a table for each number (1 2)',
  )


def main(options, configs):
  """Measures and prints the table of some networks.

  Args:
    options: what the flags of `add_flags` say, with `repeats` and `json`.
    configs: whole configurations of direction 'past'.
  """
  rows, ratios, left_out, versions = [], [], {}, {}
  for config in configs:
    names = contests.network_name(config.model)
    rivals = choose(config, options)
    for threads in options.threads:
      times, found, missing = measure(rivals, threads, options)
      left_out.update(missing)
      versions.update(found)
      where = {'network': names, 'threads': threads}
      rows += [{**where, **row} for row in summary.rows(times)]
      ratios += [{**where, **ratio} for ratio in summary.ratios(times)]
  shown = _machine(options, versions)
  if options.json:
    found = {'measured': shown, 'rows': rows, 'ratios': ratios}
    print(json.dumps({**found, 'left_out': left_out}, indent=1))
  else:
    print(shown, summary.table(rows), sep='\n\n', end='\n\n')
    print(summary.sentences(ratios))
    for title, reason in left_out.items():
      print(f'Left out: {title}: {reason}')


def choose(config, options):
  """The contenders of a network.

  Args:
    config: its configuration.
    options: with `contenders` and `exports`.

  Returns:
    A list of `contenders.Contender`.

  Raises:
    InputError: if the folder of exports has none, or one is damaged.
  """
  kinds = options.contenders or KINDS
  chosen = []
  if 'jax' in kinds:
    chosen.append(contenders.Contender('JAX', config))
  if 'pytorch' in kinds:
    chosen += [
      contenders.Contender(title, config) for title in contenders.PYTORCH
    ]
  if 'exports' in kinds and options.exports:
    chosen += [
      contenders.Contender(
        f'{folder.name}: {card.format}, {card.precision}', config, str(folder)
      )
      for folder, card in exports(options.exports)
      if is_of(card, config)
    ]
  return chosen


def exports(folder):
  """Yields `(folder, card)` of the exports at or below a folder.

  Raises:
    InputError: if there is none, or one is damaged.
  """
  found = sorted(pathlib.Path(folder).expanduser().rglob(cards.FILE))
  if not found:
    raise errors.InputError(
      f'--exports is {folder!r}, in which no export lies; python -m '
      'tsm_jax.export writes them.'
    )
  for path in found:
    yield path.parent, cards.read(path.parent)


def is_of(card, config):
  """Whether an export is the step of a network: it has the same caches."""
  model = models.create_model(config.model)
  fresh = cache.init_cache(model, 1, config.data.image_size)
  wanted = sorted(x.shape[1:] for x in jax.tree.leaves(fresh) if x.size)
  names = {old for old, _ in card.caches}
  found = sorted(x.shape[1:] for x in card.inputs if x.name in names)
  return card.what == 'step' and found == wanted


def measure(rivals, threads, options):
  """Lets contenders take turns, each in a process of its own.

  Args:
    rivals: `contenders.Contender`s.
    threads: of each.
    options: with `frames` of a turn and `repeats`.

  Returns:
    `(times, versions, left_out)`: milliseconds `[turns, frames, 2]` by title,
    see `contenders.turn`; versions by package; and by title, in a sentence,
    why a contender cannot be measured here.
  """
  with processes.opened(threads, 'cpu') as open_process:
    opened, facts, left_out = processes.prepare(
      rivals, functools.partial(contenders.prepare, threads), open_process
    )
    turns = processes.turns(opened, contenders.turn, options.frames)
    measured = interleave.measure(turns, options.repeats)
  times = {title: np.array(values) for title, values in measured.items()}
  versions = {k: v for found in facts.values() for k, v in found.items()}
  return times, versions, left_out


def _machine(options, versions):
  packages = ', '.join(f'{k} {v}' for k, v in sorted(versions.items()))
  return (
    f'tsm_jax {tsm_jax.__version__}, {packages}, Python '
    f'{platform.python_version()}; {machine.processor()}. {options.repeats} '
    f'turns of {options.frames} frames each; p50 and p99 of all frames, '
    'quartiles of the medians of turns.'
  )
