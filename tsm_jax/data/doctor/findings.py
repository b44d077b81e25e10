"""What is wrong with the clips of a dataset, from the facts of each."""

from collections.abc import Sequence
from typing import NamedTuple

from tsm_jax.data.clips import containers
from tsm_jax.data.doctor import kinds, scenes, shares
from tsm_jax.data.sources import listings

STATIC = 4  # levels of grey; if no part changes more, nothing moves
ODD_INTERVALS = 0.05  # share of intervals; a single dropped frame is below it
SHOWN = 5  # of equal clips in a sentence


class Finding(NamedTuple):
  """One thing found.

  Attributes:
    kind: a key of `kinds.BY_NAME`.
    clips: the names of the clips that it is about; of classes if none is.
    detail: what exactly, in words.
  """

  kind: str
  clips: Sequence[str]
  detail: str


def judge(facts, num_frames):
  """Yields `(kind, detail)` of all that is odd about one clip.

  Args:
    facts: from `examine.facts`.
    num_frames: T, that a clip of training needs.
  """
  if reason := facts.get('error'):
    yield 'no_frames' if facts['empty'] else 'unreadable', reason
    return
  yield from _broken(facts)
  count, rotation = facts['num_frames'], facts['rotation']
  if count < kinds.MIN_FRAMES:
    yield 'too_short', _plural(count, 'frame')
  elif count < num_frames:
    yield 'short', f'{count} frames, where a clip has {num_frames}'
  if rotation:
    kind = 'rotation' if rotation % 90 else 'rotated'
    yield kind, f'by {rotation:g} degrees'
  if _is_uneven(facts):
    slow, fast = facts['rates']
    yield (
      'variable_rate',
      f'{slow:.2f} to {fast:.2f} frames per second; '
      f'{facts["odd_intervals"]:.0%} of the intervals are odd',
    )
  if count > 1 and facts['motion'] < STATIC:
    yield 'static', f'changes by at most {facts["motion"]} of 255 levels'


def _is_uneven(facts):
  return facts['odd_intervals'] > ODD_INTERVALS


def _broken(facts):
  """The one kind of damage that a clip has, if any."""
  count, stated = facts['num_frames'], facts['stated_frames']
  damage, end = facts['damage'], facts['end']
  duration = facts['stated_duration']
  if facts['fps']:  # of a cut AVI file, FFmpeg corrects the duration
    duration = max(duration, stated / facts['fps'])
  if end and end < containers.MIN_DURATION * duration:
    ends = f'ends after {end:.2f} of {duration:.2f} s'
    yield 'truncated', ends if damage in ('', ends) else f'{ends}; {damage}'
  elif damage.endswith(containers.UNEVEN) and _is_uneven(facts):
    return  # it is not damage, but the other of the two
  elif damage:
    missing = damage.endswith(containers.MISSING)
    yield 'frame_count' if missing else 'damaged', damage
  elif stated and stated != count:
    yield 'frame_count', f'{count} frames decode, where {stated} are stated'


def _plural(count, noun):
  return f'{count} {noun}' if count == 1 else f'{count} {noun}s'


def from_excluded(excluded):
  """Findings of `listings.Listing.excluded`."""
  for name, reason in excluded:
    is_label = reason == listings.NO_LABEL or reason.endswith(
      listings.NOT_IN_MAP
    )
    yield Finding('label' if is_label else 'unusable', [name], reason)


class Tally:
  """What only all clips together show; add them one by one.

  Attributes:
    findings: of the clips so far, in their order.
    counts: clips by split and label.
    lengths: frame counts by split.
    notes: sentences on all clips together, after the `end`.
  """

  def __init__(self, num_frames):
    self.findings = []
    self.counts = {}
    self.lengths = {}
    self.notes = []
    self._num_frames = num_frames
    self._first = {}  # content to the first clip that has it
    self._copies = {}  # content to the others
    self._scenes = []

  def add(self, item, facts):
    """Adds one clip.

    Args:
      item: a `listings.Item`.
      facts: from `examine.facts`.
    """
    for kind, detail in judge(facts, self._num_frames):
      self.findings.append(Finding(kind, [item.video_id], detail))
    if facts.get('error'):
      return
    count = facts['num_frames']
    if item.num_frames and item.num_frames != count:
      self.findings.append(
        Finding(
          'cut' if item.num_frames < count else 'frame_count',
          [item.video_id],
          f'has {count} frames, its list {item.num_frames}',
        )
      )
    for name in item.classes:
      key = (item.split, name)
      self.counts[key] = self.counts.get(key, 0) + 1
    self.lengths.setdefault(item.split, []).append(facts['num_frames'])
    content = bytes.fromhex(facts['content'])
    if facts['scenes']:
      self._scenes.append(
        scenes.Clip(item.video_id, item.split, content, facts['scenes'])
      )
    if content in self._first:
      self._copies.setdefault(content, []).append(item)
    else:
      self._first[content] = item

  def end(self, labels):
    """Adds the findings that need all clips.

    Args:
      labels: class names.
    """
    for content, others in self._copies.items():
      self.findings.append(_duplicates([self._first[content], *others]))
    for found in scenes.across(self._scenes):
      self._add_scenes(found)
    for label, detail in shares.uneven(self.counts, labels):
      self.findings.append(Finding('uneven_split', [label], detail))
    train = {la: self.counts.get(('train', la), 0) for la in labels}
    present = {la: count for la, count in train.items() if count}
    if present:
      most = max(present, key=present.get)
      least = min(present, key=present.get)
      if present[most] > kinds.IMBALANCE * present[least]:
        self.findings.append(
          Finding(
            'imbalance',
            [],
            f'{most!r} has {present[most]} training clips, {least!r} '
            f'{present[least]}',
          )
        )

  def _add_scenes(self, found):
    """Adds what is alike in two splits; all pairs, unless most clips are."""
    if note := scenes.note(found):
      self.notes.append(note)
    for clip, other, bits in (
      found.pairs if found.share <= scenes.COMMON else ()
    ):
      detail = (
        f'{bits} of 63 bits differ in the frames that are most alike; one is '
        f'in {clip.split}, {other.name} in {other.split}'
      )
      self.findings.append(
        Finding('near_split', [clip.name, other.name], detail)
      )


def _duplicates(items):
  names = [item.video_id for item in items]
  if len({item.split for item in items}) > 1:
    kind = 'duplicate_split'
  elif len({item.label for item in items}) > 1:
    kind = 'duplicate_label'
  else:
    kind = 'duplicate'
  some = [f'{i.video_id} ({i.split}, {i.label})' for i in items[:SHOWN]]
  if len(items) > SHOWN:
    some.append(f'{len(items) - SHOWN} more')
  return Finding(kind, names, f'the same frames: {", ".join(some)}')
