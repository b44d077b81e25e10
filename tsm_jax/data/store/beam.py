"""The shards of a dataset by Apache Beam, the engine for several machines.

Beam makes the shards that are missing, each in one piece on one worker; they
are then put together as without it. So the dataset is the same, and what a
killed pipeline has finished is kept.
"""

import contextlib
import functools
import os
import pathlib
import threading
from typing import Any, NamedTuple

from tensorflow_datasets.core import example_serializer, writer

from tsm_jax import errors, progress
from tsm_jax.data.clips import workers
from tsm_jax.data.store import films, shards, tfds_builder


class Engine(NamedTuple):
  """Which Beam runner makes the shards, and how.

  Attributes:
    runner: its name, for example 'DirectRunner' or 'FlinkRunner'.
    options: of the pipeline, `name=value` each.
  """

  runner: str
  options: tuple[str, ...] = ()


class Job(NamedTuple):
  """What a worker needs to know to make any shard; it is pickled.

  Attributes:
    work: `films.read` of one argument.
    labels: class names.
    fps: of clips that do not state it.
    folder: where finished shards are; all workers must see it, and the clips.
    multi_label: whether a clip may have several labels.
  """

  work: Any
  labels: list[str]
  fps: float
  folder: str
  multi_label: bool = False


def run(parts, job, engine):
  """Makes shards, as many at a time as the runner has workers.

  Args:
    parts: the `shards.Part`s.
    job: a `Job`.
    engine: an `Engine`.

  Raises:
    InputError: if Beam is not installed, or does not know the runner.
  """
  try:
    import apache_beam as beam  # an extra, and slow to import
    from apache_beam.options import pipeline_options
  except ImportError as error:
    raise errors.InputError(
      f'--beam_runner is {engine.runner!r}, which needs the extra [beam]: '
      f'{error}.'
    ) from error
  flags = [f'--{option}' for option in engine.options]
  if engine.runner == 'DirectRunner':  # threads, each with a process that reads
    flags = [
      '--direct_running_mode=multi_threading',
      f'--direct_num_workers={os.cpu_count()}',
      *flags,
    ]
  options = pipeline_options.PipelineOptions(flags=flags)
  try:
    pipeline = beam.Pipeline(runner=engine.runner, options=options)
  except ValueError as error:
    raise errors.InputError(
      f'--beam_runner is {engine.runner!r}, which Beam refuses: {error}.'
    ) from error
  with _progress(parts, job.folder), pipeline:
    _ = (
      pipeline
      | 'Parts' >> beam.Create([_absolute(part) for part in parts])
      | 'Make' >> beam.Map(functools.partial(make, job))
    )


def _absolute(part):
  """The part with paths that do not depend on where a worker is started."""
  items = [
    item._replace(path=pathlib.Path(os.path.abspath(item.path)))
    for item in part.items
  ]
  return part._replace(items=items)


def make(job, part):
  """Makes one shard, in a process of Beam's; returns its name."""
  kept = shards.Shards(job.folder)
  kept.report = shards.new_report()
  with workers.Workers(job.work, size=1, limit=films.limit(part.items)) as pool:
    arguments = part.arguments()
    stream = films.outcomes(arguments, pool.outcomes(arguments))
    clips = shards.examples(part.items, stream, job.fps, kept.report)
    features = tfds_builder.features(job.labels, job.multi_label)
    writer.ShardWriter(
      features=features,
      serializer=example_serializer.ExampleSerializer(
        features.get_serialized_info()
      ),
      example_writer=kept,
    ).write(clips, pathlib.Path(job.folder, part.name))
  return part.name


@contextlib.contextmanager
def _progress(parts, folder):
  """Shows how many shards are finished, whoever makes them."""
  kept = shards.Shards(folder)
  before, ended = kept.count(), threading.Event()

  def watch():
    with progress.bar(total=len(parts), desc='shards', leave=False) as bar:
      while not ended.wait(1):
        bar.update(kept.count() - before - bar.n)

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    thread.join()
