"""What programs write in which people mark parts of videos."""

from typing import NamedTuple


class Annotation(NamedTuple):
  """A part of a video, and what it is called.

  Attributes:
    video: its name or path, as the file has it.
    start: seconds.
    end: seconds.
    label: text.
    split: 'train', 'val', 'test', or '' if it is not said.
  """

  video: str
  start: float
  end: float
  label: str
  split: str = ''


class Problem(Exception):
  """Why a file is not one of annotations; the rest of a sentence."""
