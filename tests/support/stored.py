"""Records as of a built dataset, in memory."""

import numpy as np

from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, pixels
from tsm_jax.data.input import preprocess

PREPROCESSING = preprocess.Preprocessing(
  4, 28, (0.5,) * 3, (0.25,) * 3, 256, 90
)

LENGTHS = (1, 2, 3, 4, 5, 8, 9, 12, 13, 16, 20, 20, 24)  # frames of 13 clips


def textured(seed):
  """An image unlike that of any other seed."""
  image = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
  return pixels.resize(image, 48, 40)


def record(images, kind, **fields):
  """The images as a record of a kind of storage."""
  writer = codec.Writer(defaults.Options(quality=95, storage=kind))
  for image in images:
    writer.add(image)
  return {'frames': writer.end(), 'height': 40, 'width': 48, **fields}


def source(kind):
  """A split of 13 clips, whose labels are their numbers."""
  return [
    record([textured(100 * i + k) for k in range(n)], kind, label=i)
    for i, n in enumerate(LENGTHS)
  ]
