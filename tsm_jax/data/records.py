"""One record of a built dataset as a training clip, or as views of it."""

import dataclasses

import numpy as np

from tsm_jax import errors
from tsm_jax.data import randaugment, sampling, storage, transforms


@dataclasses.dataclass(frozen=True)
class Views:
  """The views of a video over which evaluation averages the logits.

  Attributes:
    clips: over time: the middles of the segments, then their beginnings; or
      as many dense clips.
    crops: of each clip, 1, 3, 5 or 10; see `transforms.crop_positions`.
    full_resolution: whether crops are as large as the scaled short side.
    validation: whether this is an evaluation within a training; it matters to
      `official_quirks` alone, with a single clip.
  """

  clips: int = 1
  crops: int = 1
  full_resolution: bool = False
  validation: bool = False

  def shape(self, preprocessing):
    """The shape of a video's views, `(V, T, S, S, 3)`."""
    _, num_frames, size, _, channels = preprocessing.clip_shape()
    if self.full_resolution:
      size = transforms.full_size(size)
    return (self.clips * self.crops, num_frames, size, size, channels)


def views_of(config, validation=False):
  """The `Views` in a configuration's `eval`.

  Raises:
    InputError: if a field has no such value.
  """
  views = config.eval
  if views.clips < 1:
    raise errors.InputError(
      f'eval.clips is {views.clips}; it must be at least 1.'
    )
  if views.crops not in transforms.CROPS:
    raise errors.InputError(
      f'eval.crops is {views.crops}; choose from '
      f'{", ".join(map(str, transforms.CROPS))}.'
    )
  return Views(views.clips, views.crops, views.full_resolution, validation)


def train_clip(record, rng, preprocessing, scales, ops=0, magnitude=0):
  """A record to a training clip: random frames, one random crop, RandAugment.

  Args:
    record: with frames, as stored, and label.
    rng: numpy Generator.
    preprocessing: a `pipeline.Preprocessing`.
    scales: see `transforms.multi_scale_crop`.
    ops: see `randaugment.augment`.
    magnitude: likewise.

  Returns:
    A dict of frames uint8 `[T, S, S, 3]` and label int32.
  """
  how = preprocessing
  draw = (
    sampling.random_dense_indices
    if how.sampling == 'dense'
    else sampling.random_indices
  )
  indices = draw(
    rng,
    len(record['frames']),
    how.num_frames,
    official_quirks=how.official_quirks,
  )
  frames = decode(record, indices)
  clip = transforms.train_frames(frames, rng, how.image_size, scales)
  clip = randaugment.augment(clip, rng, ops, magnitude)
  return {'frames': clip, 'label': np.int32(record['label'])}


def eval_indices(num_frames, preprocessing, views, number=0):
  """The frames of a video that evaluation sees, int64 `[clips, T]`.

  Args:
    num_frames: of the video.
    preprocessing: a `pipeline.Preprocessing`.
    views: a `Views`.
    number: of the video in its split; seeds the official validation's start
      of a dense clip, which is random.
  """
  how = preprocessing
  dense = how.sampling == 'dense'
  if how.official_quirks and views.validation and views.clips == 1:
    if dense:
      rng = np.random.default_rng(number)
      indices = sampling.random_dense_indices(
        rng, num_frames, how.num_frames, official_quirks=True
      )
    else:
      indices = sampling.official_validation_indices(num_frames, how.num_frames)
    return indices[None]
  choose = sampling.dense_indices if dense else sampling.uniform_indices
  return choose(num_frames, how.num_frames, views.clips)


def eval_views(record, preprocessing, views, number=0):
  """A record to its views.

  Args:
    record: with frames, as stored.
    preprocessing: a `pipeline.Preprocessing`.
    views: a `Views`.
    number: see `eval_indices`.

  Returns:
    uint8 `[V, T, S, S, 3]`, as the official test orders them: all clips of the
    first crop, then all of the second.
  """
  indices = eval_indices(len(record['frames']), preprocessing, views, number)
  chosen, inverse = np.unique(indices, return_inverse=True)
  crops = transforms.eval_crops(
    decode(record, chosen),
    preprocessing.image_size,
    views.crops,
    views.full_resolution,
  )  # [crops, frames, S, S, 3]: frames that clips share are scaled once
  return crops[:, inverse.reshape(indices.shape)].reshape(
    views.shape(preprocessing)
  )


def decode(record, indices):
  """Decodes the chosen frames, each of them once."""
  chosen, inverse = np.unique(indices, return_inverse=True)
  images = storage.decode(record, chosen.tolist())
  return [images[i] for i in inverse.tolist()]
