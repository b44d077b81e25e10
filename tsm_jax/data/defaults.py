"""How clips are chosen and stored unless the user says otherwise.

Configurations, commands and tests take these values from here.
"""

from typing import NamedTuple

from tsm_jax import errors

HOLDOUT = 0.2  # share of each class that becomes 'val' where no split is given
MAX_EXCLUDED = 0.02  # share of unusable videos that stops a build
MAX_FPS = 1000.0
STORAGES = ('frames', 'video')


class Options(NamedTuple):
  """How a clip is stored.

  Attributes:
    short_side: pixels of the shorter side; smaller clips are not enlarged.
    quality: of the JPEGs, 1 to 100.
    storage: 'frames' (JPEG) or 'video' (H.264, see `h264`).
    fps: frames per second to which videos are resampled; 0 keeps their frames.
    max_frames: of a clip; a longer one is not used.
  """

  short_side: int = 256
  quality: int = 90
  storage: str = 'frames'
  fps: float = 0.0
  max_frames: int = 20_000

  @classmethod
  def from_fields(cls, fields, prefix='data.'):
    """The options among the fields of a mapping; the others are the usual.

    Args:
      fields: for example a configuration's `data`.
      prefix: of the names in messages.

    Raises:
      InputError: if one is outside its range.
    """
    options = cls(**{n: fields[n] for n in cls._fields if n in fields})
    options.check(prefix)
    return options

  def check(self, prefix):
    """Raises InputError if an option is outside its range."""
    if self.storage not in STORAGES:
      raise errors.InputError(
        f'{prefix}storage is {self.storage!r}; choose from '
        f'{", ".join(map(repr, STORAGES))}.'
      )
    for name, low, high in (
      ('short_side', 1, 10_000),
      ('quality', 1, 100),
      ('fps', 0, MAX_FPS),
    ):
      if not low <= getattr(self, name) <= high:
        raise errors.InputError(
          f'{prefix}{name} is {getattr(self, name)}; it must be from {low} to '
          f'{high:g}.'
        )
    if self.max_frames < 1:
      raise errors.InputError(
        f'{prefix}max_frames is {self.max_frames}; it must be at least 1.'
      )

  def as_dict(self):
    """A dict for JSON, which names of datasets are made of.

    The usual `max_frames` is left out: names are then those of before there was
    a limit, and a model need not know it, as it changes no clip that is used.

    >>> Options(fps=12.5).as_dict()
    {'short_side': 256, 'quality': 90, 'storage': 'frames', 'fps': 12.5}
    """
    options = self._asdict()
    if self.max_frames == USUAL.max_frames:
      del options['max_frames']
    return options


USUAL = Options()
