"""How clips are chosen and stored unless the user says otherwise.

Configurations, commands and tests take these values from here.
"""

from typing import NamedTuple

from tsm_jax import errors

HOLDOUT = 0.2  # share of each class that becomes 'val' where no split is given
MAX_EXCLUDED = 0.02  # share of unusable videos that stops a build
MAX_FPS = 1000.0
STORAGES = ('frames', 'video')
RULES = ('stratified', 'hash')


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
      if getattr(self, name) is None:
        raise errors.InputError(f'{prefix}{name} is None; give it a value.')
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


class Splits(NamedTuple):
  """Which clips are held out, where no list or folder says it.

  Attributes:
    holdout: the share of each class that becomes 'val', in [0, 1).
    holdout_seed: decides which clips these are.
    holdout_rule: 'stratified', see `splitting.hold_out`, or 'hash', that of
      earlier versions, see `splitting.by_hash`.
    group: a regular expression; what it finds in the path of a clip (its first
      group, else all of it) names what the clip belongs to, such as a person,
      of which all clips are on one side. '': the column `group`, if any.
    folds: as many parts of equal shares in the place of a hold-out, see
      `splitting.folds`; 0: none.
    fold: the part that is 'val', from 0.
  """

  holdout: float = HOLDOUT
  holdout_seed: int = 0
  holdout_rule: str = 'stratified'
  group: str = ''
  folds: int = 0
  fold: int = 0

  @classmethod
  def from_fields(cls, fields, called='data.{}'.format):
    """The fields of these names of a mapping, checked.

    Those that are missing have their defaults, but for the rule: a run that
    does not name one is older than 'stratified'.

    Args:
      fields: for example a configuration's `data`.
      called: how messages call one of them.

    Raises:
      InputError: if one is outside its range, or contradicts another.
    """
    found = {name: fields[name] for name in cls._fields if name in fields}
    splits = cls(**{'holdout_rule': 'hash', **found})
    splits.check(called)
    return splits

  def check(self, called):
    """Raises InputError if a field is outside its range."""
    if not 0 <= self.holdout < 1:
      raise errors.InputError(
        f'{called("holdout")} is {self.holdout!r}; it must be in [0, 1).'
      )
    if self.holdout_rule not in RULES:
      raise errors.InputError(
        f'{called("holdout_rule")} is {self.holdout_rule!r}; choose from '
        f'{", ".join(map(repr, RULES))}.'
      )
    for name in ('group', 'folds'):
      if self.holdout_rule == 'hash' and (value := getattr(self, name)):
        raise errors.InputError(
          f'{called(name)} is {value!r}, which needs '
          f"{called('holdout_rule')}='stratified', not 'hash'."
        )
    if self.folds < 0 or self.folds == 1:
      raise errors.InputError(
        f'{called("folds")} is {self.folds}; it must be at least 2, or 0 for '
        'none.'
      )
    if not 0 <= self.fold < max(self.folds, 1):
      raise errors.InputError(
        f'{called("fold")} is {self.fold}; it must be from 0 to '
        f'{called("folds")} - 1, and {called("folds")} is {self.folds}.'
      )
