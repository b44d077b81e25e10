"""The kinds of things that can be wrong with a dataset."""

from typing import NamedTuple

MIN_FRAMES = 3  # with fewer, nothing moves on; the official code drops them
IMBALANCE = 10  # times the clips of the rarest class

PROBLEM, NOTE = 'problem', 'note'


class Kind(NamedTuple):
  """A kind of finding.

  Attributes:
    severity: 'problem', or 'note' of what training copes with.
    title: a few words.
    meaning: one sentence, shown to the user.
  """

  severity: str
  title: str
  meaning: str


BY_NAME = {
  'unreadable': Kind(
    PROBLEM, 'Unreadable', 'Cannot be opened, or is not a video; not used.'
  ),
  'no_frames': Kind(
    PROBLEM, 'Zero frames', 'Opens, but no frame decodes; not used.'
  ),
  'truncated': Kind(
    PROBLEM, 'Truncated', 'Ends before the time that its container states.'
  ),
  'damaged': Kind(
    PROBLEM,
    'Damaged',
    'Frames are missing, do not decode or are damaged.',
  ),
  'frame_count': Kind(
    PROBLEM, 'Frame count', 'Another number of frames than is stated.'
  ),
  'too_short': Kind(PROBLEM, 'Too short', f'Fewer than {MIN_FRAMES} frames.'),
  'rotation': Kind(
    PROBLEM, 'Odd rotation', 'The rotation is not a multiple of 90 degrees.'
  ),
  'static': Kind(
    # Something small may move in it, which is below the noise of a camera.
    NOTE,
    'Static',
    'The picture hardly changes from first to last.',
  ),
  'label': Kind(PROBLEM, 'Label', 'Has no label, or one not in the map.'),
  'unusable': Kind(
    PROBLEM, 'Not used', 'Listed, but missing, listed twice or not a video.'
  ),
  'duplicate_split': Kind(
    PROBLEM,
    'Duplicate, other split',
    'The same frames are in several splits: evaluation has seen them.',
  ),
  'duplicate_label': Kind(
    PROBLEM,
    'Duplicate, other label',
    'The same frames have several labels.',
  ),
  'near_split': Kind(
    NOTE,
    'Alike, other split',
    'Frames look nearly the same as in a clip that is trained on: perhaps it '
    'is the same recording.',
  ),
  'uneven_split': Kind(
    NOTE,
    'Uneven split',
    'A class has another share of its clips in a split than all together.',
  ),
  'variable_rate': Kind(
    NOTE,
    'Variable frame rate',
    'Frames do not follow each other evenly; chosen by number, their times '
    'are uneven.',
  ),
  'rotated': Kind(
    NOTE, 'Rotated', 'Stored on its side; it is turned upright when read.'
  ),
  'short': Kind(
    NOTE, 'Short', 'Fewer frames than a clip needs; some are repeated.'
  ),
  'cut': Kind(NOTE, 'Cut', 'The list states fewer frames; no others are used.'),
  'duplicate': Kind(
    NOTE, 'Duplicate', 'The same frames, in one split and with one label.'
  ),
  'imbalance': Kind(
    NOTE,
    'Class imbalance',
    f'A class has more than {IMBALANCE} times the training clips of another; '
    'data.balance is for that.',
  ),
}
