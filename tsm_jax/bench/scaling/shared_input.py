"""The input over several processes, each of which reads its part of a batch."""

import os
import pathlib
import tempfile
import time
import types

import numpy as np

from tsm_jax.bench import processes
from tsm_jax.bench.inputs import ways
from tsm_jax.data import defaults
from tsm_jax.data.input import pipeline
from tsm_jax.data.sources import folder
from tsm_jax.data.store import builder, dataset

DRAIN = 4  # batches, after which none is ready that was read ahead
_batches = {}  # of this process, by the number of all


def measure(counts, options):
  """What a clip costs where so many processes share every batch.

  Args:
    counts: of processes.
    options: with `videos` to draw, `clips` of each process in a turn, and the
      number of turns, `repeats`.

  Returns:
    A list of dicts: `processes`; `processor_time`, seconds of all of them for a
    clip; `clips_per_s`, of all of them together; medians.
  """
  with tempfile.TemporaryDirectory() as scratch, processes.opened() as open_:
    path = build(scratch, options)
    workers = [open_() for _ in range(max(counts))]
    found = {count: [] for count in counts}
    for turn in range(options.repeats + 1):  # the first one warms up
      for count in counts:
        tasks = [
          worker.submit(read, path, (index, count), options.clips)
          for index, worker in enumerate(workers[:count])
        ]
        parts = [task.result() for task in tasks]
        if turn:
          found[count].append(together(parts, whole(options.clips)))
  return [
    {'processes': count, **_medians(turns)} for count, turns in found.items()
  ]


def build(scratch, options):
  """Draws videos and stores them as frames; the folder of the dataset."""
  scratch = pathlib.Path(scratch)
  source = ways.draw(scratch / 'drawn', options.videos)
  usual = defaults.USUAL._replace(storage='frames')
  listing = folder.scan(source, holdout=0.0)
  plan = builder.Plan(
    listing, source, scratch / 'data', usual, max_excluded=0.0
  )
  return os.fspath(builder.build(plan, log=lambda line: None))


def read(path, process, clips):
  """Reads some clips in this process, as one of several.

  Args:
    path: of the dataset.
    process: `(index, count)`.
    clips: that this process reads.

  Returns:
    Seconds `(time, processor time)`.
  """
  count = process[1]
  if count not in _batches:
    _batches[count] = training(path, process)
  batches = _batches[count]
  for _ in range(DRAIN):
    next(batches)
  before = time.perf_counter(), time.process_time()
  for _ in range(whole(clips) // ways.BATCH):
    next(batches)
  after = time.perf_counter(), time.process_time()
  return tuple(b - a for a, b in zip(before, after))


def whole(clips):
  """So many clips in whole batches, which is what is read."""
  return -(-clips // ways.BATCH) * ways.BATCH


def training(path, process):
  """Training batches of one of several processes, each of 8 clips."""
  data = types.SimpleNamespace(
    scales=ways.SCALES,
    num_threads=1,
    balance='off',
    randaugment_ops=0,
    randaugment_magnitude=0.0,
    resize='fast',
  )
  size = ways.BATCH * process[1]
  config = types.SimpleNamespace(batch_size=size, seed=0, data=data)
  source = ways.Cycle(dataset.open(path).split('train'))
  return pipeline.train_batches(source, config, ways.PREPROCESSING, 0, process)


def together(parts, clips):
  """What processes that read at the same time took, as one.

  Args:
    parts: `(time, processor time)` of each.
    clips: that each of them read.

  Returns:
    A dict of `processor_time`, seconds for one clip, and `clips_per_s`.
  """
  times, processor = zip(*parts)
  count = clips * len(parts)
  return {
    'processor_time': sum(processor) / count,
    'clips_per_s': count / max(times),
  }


def _medians(turns):
  names = turns[0]
  return {
    name: float(np.median([turn[name] for turn in turns])) for name in names
  }
