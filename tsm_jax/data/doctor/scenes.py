"""Clips of several splits that show the same scene.

Of a few frames of every clip, a hash tells how bright its coarse structures are
(the low frequencies of its cosine transform, above their median or not). It
changes little with small movements, noise, brightness, size and encoding. Two
frames of a still camera differ by few bits, frames of different places by about
half of them.
"""

from typing import NamedTuple

import cv2
import numpy as np

FRAMES = 4  # of a clip: the last one, and the others evenly before it
# Of 63 bits, at most. Cuts of real videos that follow each other mostly differ
# by 0 to 6, those of different ones by 20 and more.
NEAR = 8
FLAT = 4  # levels of grey; what deviates less, as a black frame, has no hash
COMMON = 0.25  # share of all pairs above which being alike tells nothing
_SIDE, _LOW = 32, 8  # pixels of a frame, frequencies that count
_BLOCK = 250_000  # pairs of frames that are compared at a time
_MOST = 400_000_000  # pairs of clips; of more, clips are left out evenly


def frame_hash(grey):
  """64 bits in hexadecimal, or '' of a frame in which nothing is to be seen.

  Args:
    grey: uint8 `[H, W]`.
  """
  size = (_SIDE, _SIDE)
  small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
  if small.std() < FLAT:
    return ''
  low = cv2.dct(small.astype(np.float32))[:_LOW, :_LOW].ravel()
  low[0] = np.median(low[1:])  # the brightness; never above the median
  return np.packbits(low > low[0]).tobytes().hex()


class Hashes:
  """Those of some frames of a clip, which are added one by one."""

  def __init__(self):
    self._kept = []
    self._every = 1
    self._count = 0
    self._last = None

  def add(self, grey):
    """Adds the next frame, uint8 `[H, W]`."""
    if self._count % self._every == 0:
      if len(self._kept) == 2 * FRAMES:
        self._kept = self._kept[::2]
        self._every *= 2
      self._kept.append(frame_hash(grey))
    self._count += 1
    self._last = grey

  def chosen(self):
    """A list of up to `FRAMES` hashes, each once."""
    if not self._kept:
      return []
    places = np.linspace(0, len(self._kept) - 1, FRAMES)[:-1].astype(int)
    found = [*(self._kept[i] for i in places), frame_hash(self._last)]
    return [one for one in dict.fromkeys(found) if one]


class Clip(NamedTuple):
  """A clip to compare.

  Attributes:
    name: of the clip.
    split: it is in.
    content: a hash of all its pixels.
    hashes: from `Hashes.chosen`, at least one.
  """

  name: str
  split: str
  content: bytes
  hashes: list[str]


class Pair(NamedTuple):
  """A clip, and the one in another split that is most like it.

  Attributes:
    clip: the `Clip` that is evaluated.
    other: a `Clip`, of training.
    bits: by which their nearest frames differ, at most `NEAR`.
  """

  clip: Clip
  other: Clip
  bits: int


class Found(NamedTuple):
  """What a split has in common with training.

  Attributes:
    split: its name.
    pairs: a list of `Pair`, the nearest first.
    clips: how many of the split were compared.
    share: of all pairs of clips, those that are near.
  """

  split: str
  pairs: list[Pair]
  clips: int
  share: float


def across(clips):
  """Compares every split with training, or folds with each other.

  Clips of exactly the same frames are left out: they are another finding.

  Args:
    clips: a list of `Clip`.

  Yields:
    A `Found` of every split but 'train'.
  """
  splits = sorted({clip.split for clip in clips})
  for split in splits:
    if split == 'train':
      continue
    some = [clip for clip in clips if clip.split == split]
    others = [
      clip
      for clip in clips
      if clip.split == ('train' if 'train' in splits else clip.split)
      and clip.split != split
    ]
    if some and others:
      most = max(1, _MOST // len(others))
      some = some[:: -(-len(some) // most)]
      yield _compare(split, some, others)


def _compare(split, some, others):
  """The `Found` of a split."""
  table = _bits(others)
  contents = np.array([clip.content for clip in others])
  pairs, near = [], 0
  step = max(1, _BLOCK // (FRAMES * table.size))
  for start in range(0, len(some), step):
    block = some[start : start + step]
    apart = _bits(block)[:, :, None, None] ^ table
    bits = np.bitwise_count(apart).min(axis=(1, 3))
    same = np.array([clip.content for clip in block])[:, None] == contents
    bits[same] = 64
    near += int((bits <= NEAR).sum())
    for clip, row in zip(block, bits):
      nearest = int(row.argmin())
      if row[nearest] <= NEAR:
        pairs.append(Pair(clip, others[nearest], int(row[nearest])))
  pairs.sort(key=lambda pair: (pair.bits, pair.clip.name))
  share = near / (len(some) * len(others))
  return Found(split, pairs, len(some), share)


def _bits(clips):
  """The hashes of clips, uint64 `[N, FRAMES]`; the first one fills the row."""
  rows = [
    clip.hashes + clip.hashes[:1] * (FRAMES - len(clip.hashes))
    for clip in clips
  ]
  return np.array([[int(one, 16) for one in row] for row in rows], np.uint64)


def note(found):
  """What a `Found` means in a sentence, or '' if nothing is alike."""
  if not found.pairs:
    return ''
  count = f'{len(found.pairs)} of {found.clips} clips of {found.split!r}'
  if found.share > COMMON:
    return (
      f'{count} look like one that is trained on, as {found.share:.0%} of all '
      'pairs do: the camera stands still, or they are drawn; whether the same '
      'persons or recordings are on both sides, only their names tell'
    )
  return (
    f'{count} look like one that is trained on: where that is the same person, '
    'recording or camera, keep it on one side by data.group'
  )
