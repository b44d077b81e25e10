"""RandAugment on the host: a few random image operations for a whole clip.

Cubuk et al., arXiv 1909.13719: 14 operations with the ranges of AutoAugment
(arXiv 1805.09501, table 6), on a scale of magnitudes from 0 to 30.
"""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

MAX_MAGNITUDE = 30
GRAY = (128, 128, 128)  # where an operation moves the image away

_ENHANCERS = {
  'brightness': ImageEnhance.Brightness,
  'color': ImageEnhance.Color,
  'contrast': ImageEnhance.Contrast,
  'sharpness': ImageEnhance.Sharpness,
}
_MATRICES = {  # of output to input coordinates
  'shear_x': lambda v: (1, v, 0, 0, 1, 0),
  'shear_y': lambda v: (1, 0, 0, v, 1, 0),
  'translate_x': lambda v: (1, 0, v, 0, 1, 0),
  'translate_y': lambda v: (1, 0, 0, 0, 1, v),
}
OPERATIONS = (
  *('identity', 'autocontrast', 'equalize', 'posterize', 'solarize'),
  *('rotate', *_MATRICES, *_ENHANCERS),
)


def augment(frames, rng, ops, magnitude):
  """Applies random operations, the same to all frames of a clip.

  Args:
    frames: uint8 `[T, H, W, 3]`.
    rng: numpy Generator; it is not used if `ops` is 0.
    ops: the number of operations.
    magnitude: of each, 0 to 30.

  Returns:
    uint8 `[T, H, W, 3]`.
  """
  for _ in range(ops):
    name = OPERATIONS[rng.integers(len(OPERATIONS))]
    sign = 1 - 2 * rng.integers(2)
    frames = np.stack([apply(f, name, magnitude, sign) for f in frames])
  return frames


def apply(frame, name, magnitude, sign=1):
  """One operation.

  Args:
    frame: uint8 `[H, W, 3]`.
    name: one of `OPERATIONS`.
    magnitude: 0 to 30; autocontrast and equalize have none.
    sign: 1 or -1, the direction of what has two.

  Returns:
    uint8 `[H, W, 3]`.
  """
  share = magnitude / MAX_MAGNITUDE
  if name == 'identity':
    return frame
  image = Image.fromarray(frame)
  if name == 'autocontrast':
    image = ImageOps.autocontrast(image)
  elif name == 'equalize':
    image = ImageOps.equalize(image)
  elif name == 'posterize':
    image = ImageOps.posterize(image, 8 - round(4 * share))
  elif name == 'solarize':
    image = ImageOps.solarize(image, round(256 * (1 - share)))
  elif name == 'rotate':
    image = image.rotate(
      sign * 30 * share, Image.Resampling.BILINEAR, fillcolor=GRAY
    )
  elif name in _ENHANCERS:
    image = _ENHANCERS[name](image).enhance(1 + sign * 0.9 * share)
  else:
    # A shear of up to 0.3, a translation of up to 0.45 of the side.
    side = image.width if name == 'translate_x' else image.height
    value = 0.3 * share if 'shear' in name else round(0.45 * share * side)
    image = image.transform(
      image.size,
      Image.Transform.AFFINE,
      _MATRICES[name](sign * value),
      Image.Resampling.BILINEAR,
      fillcolor=GRAY,
    )
  return np.asarray(image)
