"""A frame and the second at which it is shown."""

from collections.abc import Callable
import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
  """A frame and the second at which it is shown.

  Attributes:
    time: seconds since the beginning of the source; it never goes back.
    make: makes `image`; what nobody asks for is never converted to RGB.
    anew: whether what came before it is of no use, as a camera was away.
  """

  time: float
  make: Callable[[], np.ndarray]
  anew: bool = False

  @functools.cached_property
  def image(self):
    """The upright picture, uint8 `[H, W, 3]` RGB, of the size it came in."""
    return self.make()

  def after(self, other):
    """It in the place of `other`, which nobody has seen."""
    return dataclasses.replace(self, anew=self.anew or other.anew)
