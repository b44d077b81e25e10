"""Features behind the cache of a shift, which only convolutions can read.

Where a shift takes no slices, see `folding.folded`, it hands them on so.
"""

import dataclasses

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Behind:
  """Channels of the previous frame, then all of this one.

  Attributes:
    both: `[B, H, W, M + C]`, of which the first M are of the previous frame,
      and take the place of the first M of this one.
    count: M.
  """

  both: jax.Array
  count: int


def joined(x, kernel):
  """What a convolution takes in the place of `Behind` and its kernel.

  What the shift drops has weights of zero.

  Args:
    x: `Behind`, or an array, which stays as it is with its kernel.
    kernel: for shifted features, a NumPy array `[h, w, C, D]`.

  Returns:
    `(x, kernel)`: arrays `[B, H, W, M + C]` and `[h, w, M + C, D]`.

  >>> x = Behind(np.array([[[[5.0, 6.0, 7.0]]]]), count=1)
  >>> joined(x, np.array([[[[2.0], [3.0]]]]))[1].ravel()
  array([2., 0., 3.])
  """
  if not isinstance(x, Behind):
    return x, kernel
  first, rest = kernel[:, :, : x.count], kernel[:, :, x.count :]
  return x.both, np.concatenate([first, np.zeros_like(first), rest], axis=2)
