"""A dataset's clips, examined one by one and put together.

What is known of a clip is kept in a file, so that a killed process continues.
"""

import hashlib
import os
import statistics
from typing import Any, NamedTuple

from tsm_jax import progress
from tsm_jax.data.doctor import (
  examine,
  findings,
  kinds,
  reading,
  result_cache,
)
from tsm_jax.data.sources import label_sets, listings


class Source(NamedTuple):
  """A dataset to examine.

  Attributes:
    name: shown to the user.
    items: a `listings.Item` of every clip.
    clips: of every item, an argument of `examine.facts`.
    keys: of every item, a text that changes when the clip does.
    labels: class names.
    findings: what is known before any clip is read.
    notes: sentences on what is odd but harmless.
  """

  name: str
  items: list[listings.Item]
  clips: list[Any]
  keys: list[str]
  labels: list[str]
  findings: list[findings.Finding]
  notes: list[str]

  @classmethod
  def from_listing(cls, listing, name):
    """The `Source` of a `listings.Listing`."""
    keys = [_key(item.path, item.segment) for item in listing.items]
    if listing.modality != 'rgb':  # the same folder may hold RGB frames, too
      keys = [f'{listing.modality} {key}' for key in keys]
    clips = [_clip(item, listing.modality) for item in listing.items]
    return cls(
      name=name,
      items=listing.items,
      clips=clips,
      keys=keys,
      labels=listing.labels,
      findings=list(findings.from_excluded(listing.excluded)),
      notes=listing.notes,
    )

  @classmethod
  def from_dataset(cls, built):
    """The `Source` of a `dataset.Dataset`."""
    path, report = built.path, built.report
    counts = {split: len(n) for split, n in built.num_frames.items() if n}
    found = list(findings.from_excluded(report['excluded']))
    for name, damage in report['damaged']:
      found.append(findings.Finding('damaged', [name], damage))
    for name, cut in report['cut']:
      found.append(findings.Finding('cut', [name], cut))
    for split, count in counts.items():
      stored = len(built.split(split))
      if stored != count:
        detail = f'{stored} records of {split}, where {count} were built'
        found.append(findings.Finding('frame_count', [], detail))
      counts[split] = stored
    places = [(split, i) for split, n in counts.items() for i in range(n)]
    key = _key(path)
    return cls(
      name=str(path),
      # Their names and labels are in their records.
      items=[listings.Item(path, f'{s} {i}', '', s) for s, i in places],
      clips=[(os.fspath(path), *place) for place in places],
      keys=[f'{key} {split} {i}' for split, i in places],
      labels=built.labels,
      findings=found,
      notes=report['notes'],
    )


class Diagnosis(NamedTuple):
  """What is found in a dataset.

  Attributes:
    source: its name.
    findings: a list of `findings.Finding`, in the order of their kinds.
    splits: mapping from split to clips and their frames (least, median, most).
    classes: mapping from label to clips by split.
    notes: sentences on what is odd but harmless.
    clips: mapping from the name of a clip to the argument of `examine.facts`.
    examples: mapping from label to the name of one of its clips.
  """

  source: str
  findings: list[findings.Finding]
  splits: dict[str, dict[str, Any]]
  classes: dict[str, dict[str, int]]
  notes: list[str]
  clips: dict[str, Any]
  examples: dict[str, str]

  def problems(self):
    """The number of findings that are problems, not notes."""
    return sum(
      kinds.BY_NAME[found.kind].severity == kinds.PROBLEM
      for found in self.findings
    )

  def by_kind(self):
    """A mapping from `kinds.Kind` to its findings, of kinds that occur."""
    members = {}
    for found in self.findings:
      members.setdefault(kinds.BY_NAME[found.kind], []).append(found)
    return members

  def verdict(self):
    """The diagnosis in one sentence."""
    problems, clips = self.problems(), len(self.clips)
    notes = len(self.findings) - problems
    return (
      f'{_count(problems, "problem")} and {_count(notes, "note")} in '
      f'{_count(clips, "clip")} of {_count(len(self.classes), "class", "es")}.'
    )


def _clip(item, modality):
  """The argument of `examine.facts` for an item."""
  path = os.fspath(item.path)
  if item.segment:
    return reading.Film(path, (item.segment,), modality)
  return path if modality == 'rgb' else (path, modality)


def _key(path, segment=None):
  """A text that changes when a file or a folder of images does."""
  try:
    files = [path, *path.iterdir()] if path.is_dir() else [path]
    stats = [file.stat() for file in files]
  except OSError as error:  # reading it reports the reason
    return f'{os.path.abspath(path)} {error}'
  size = sum(stat.st_size for stat in stats)
  time = max(stat.st_mtime_ns for stat in stats)
  part = f' {segment}' if segment else ''
  return f'{os.path.abspath(path)} {len(files)} {size} {time}{part}'


def _count(number, noun, ending='s'):
  return f'{number} {noun}{"" if number == 1 else ending}'


def diagnose(source, num_frames, cache, pool):
  """Examines every clip of a dataset.

  Args:
    source: a `Source`.
    num_frames: T, that a clip of training needs.
    cache: folder of what is known of each clip.
    pool: `workers.Workers` of `examine.facts`.

  Returns:
    A `Diagnosis`.
  """
  tally = findings.Tally(num_frames)
  clips, examples = {}, {}
  for number, facts in enumerate(_facts(source, cache, pool)):
    item = source.items[number]
    if 'video_id' in facts:
      item = label_sets.labelled(item, facts, source.labels)
    clips[item.video_id] = source.clips[number]
    if not facts.get('error'):
      for name in item.classes:
        examples.setdefault(name, item.video_id)
    tally.add(item, facts)
  tally.end(source.labels)
  found = [*source.findings, *tally.findings]
  order = list(kinds.BY_NAME)
  found.sort(key=lambda finding: order.index(finding.kind))
  classes = {label: {} for label in source.labels}
  for (split, label), count in tally.counts.items():
    classes.setdefault(label, {})[split] = count
  splits = {
    split: {
      'clips': len(lengths),
      'frames': [min(lengths), statistics.median(lengths), max(lengths)],
    }
    for split, lengths in tally.lengths.items()
  }
  notes = [*source.notes, *tally.notes]
  return Diagnosis(source.name, found, splits, classes, notes, clips, examples)


def _facts(source, cache, pool):
  """Yields `examine.facts` of every clip, from the cache if it has them."""
  digest = hashlib.sha256(os.path.abspath(source.name).encode()).hexdigest()
  known = result_cache.ResultCache(
    cache / f'{digest[:16]}_{examine.VERSION}.sqlite'
  )
  unknown = [
    clip for clip, key in zip(source.clips, source.keys) if key not in known
  ]
  arguments = list(reading.merged(unknown))
  outcomes = reading.apart(arguments, pool.outcomes(arguments))
  bar = progress.bar(source.keys, desc='examine', leave=False)
  try:
    for key in bar:
      if key in known:
        yield known[key]
        continue
      facts, reason = next(outcomes)
      # A crash is not cached, nor a file that is away: it may be back later.
      if facts and not facts.get('passing'):
        known[key] = facts
      yield facts or {'error': reason, 'empty': False}
  finally:
    outcomes.close()
    known.close()


def as_json(diagnosis):
  """A diagnosis as a dict for JSON, with everything that is found."""
  return {
    'source': diagnosis.source,
    'num_clips': len(diagnosis.clips),
    'num_problems': diagnosis.problems(),
    'splits': diagnosis.splits,
    'classes': diagnosis.classes,
    'findings': [
      {'severity': kinds.BY_NAME[found.kind].severity, **found._asdict()}
      for found in diagnosis.findings
    ],
    'notes': diagnosis.notes,
  }
