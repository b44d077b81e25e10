"""One record of a built dataset as a training clip, or as views of it."""

import dataclasses

import numpy as np

from tsm_jax import errors
from tsm_jax.data import intervals, sampling
from tsm_jax.data.clips import codec, opening
from tsm_jax.data.input import cropping, randaugment


@dataclasses.dataclass(frozen=True)
class Views:
  """The views of a video over which evaluation averages the logits.

  Attributes:
    clips: over time: the middles of the segments, then their beginnings; or
      as many dense clips.
    crops: of each clip, 1, 3, 5 or 10; see `cropping.crop_positions`.
    full_resolution: whether crops are as large as the scaled short side.
    validation: whether this is an evaluation within a training; it matters to
      `official_quirks` and a single clip only.
  """

  clips: int = 1
  crops: int = 1
  full_resolution: bool = False
  validation: bool = False

  @classmethod
  def from_config(cls, config, validation=False):
    """The views in a configuration's `eval`.

    Raises:
      InputError: if a field has no such value.
    """
    views = config.eval
    if views.clips < 1:
      raise errors.InputError(
        f'eval.clips is {views.clips}; it must be at least 1.'
      )
    if views.crops not in cropping.CROPS:
      raise errors.InputError(
        f'eval.crops is {views.crops}; choose from '
        f'{", ".join(map(str, cropping.CROPS))}.'
      )
    return cls(views.clips, views.crops, views.full_resolution, validation)

  def shape(self, preprocessing):
    """The shape of a video's views as stored, `(V, T, S, S, C)`."""
    _, num_frames, size, _, channels = preprocessing.read_shape()
    if self.full_resolution:
      size = cropping.full_size(size)
    return (self.clips * self.crops, num_frames, size, size, channels)


def train_clip(
  record, rng, preprocessing, scales, randaugmented=(0, 0), resize='exact'
):
  """A record to a training clip: random frames, one random crop, RandAugment.

  Args:
    record: with frames, as stored, and label.
    rng: numpy Generator.
    preprocessing: a `preprocess.Preprocessing`.
    scales: see `cropping.multi_scale_crop`.
    randaugmented: number and magnitude of operations, see
      `randaugment.augment`.
    resize: a key of `cropping.RESIZES`.

  Returns:
    A dict of frames uint8 `[T, S, S, C]` and label int32.
  """
  quirks = preprocessing.official_quirks
  count, images = num_images(record, preprocessing), preprocessing.kind().images
  if preprocessing.frame_interval:
    indices = intervals.random_timed_indices(
      rng,
      count,
      frame_rate(record, preprocessing),
      preprocessing.num_frames,
      preprocessing.frame_interval,
      preprocessing.frame_interval_jitter,
    )
  elif preprocessing.sampling == 'dense':
    indices = sampling.random_dense_indices(
      rng, count, preprocessing.num_frames, official_quirks=quirks
    )
  else:
    indices = sampling.random_indices(
      rng, count, preprocessing.num_frames, images, official_quirks=quirks
    )
  following = sampling.following(indices, images, count)  # [T, L]
  frames = codec.decode(record, following.ravel(), preprocessing.kind().stored)
  clip = cropping.train_frames(
    frames, rng, preprocessing.image_size, scales, resize
  )
  clip = randaugment.augment(clip, rng, *randaugmented)
  clip = stack(clip.reshape((*following.shape, *clip.shape[1:])))
  return {'frames': clip, 'label': np.int32(record['label'])}


def eval_indices(num_frames, preprocessing, views, number=0, fps=0.0):
  """The frames of a video that evaluation sees, int64 `[clips, T]`.

  Args:
    num_frames: of the video.
    preprocessing: a `preprocess.Preprocessing`.
    views: a `Views`.
    number: of the video in its split; seeds the official validation's start
      of a dense clip, which is random.
    fps: its frames per second, which `frame_interval` needs; see `frame_rate`.
  """
  if preprocessing.frame_interval:
    return intervals.timed_indices(
      num_frames,
      fps,
      preprocessing.num_frames,
      preprocessing.frame_interval,
      views.clips,
    )
  dense, images = preprocessing.sampling == 'dense', preprocessing.kind().images
  if preprocessing.official_quirks and views.validation and views.clips == 1:
    if dense:
      rng = np.random.default_rng(number)
      indices = sampling.random_dense_indices(
        rng, num_frames, preprocessing.num_frames, official_quirks=True
      )
    else:
      indices = sampling.official_validation_indices(
        num_frames, preprocessing.num_frames, images
      )
    return indices[None]
  if dense:
    return sampling.dense_indices(
      num_frames, preprocessing.num_frames, views.clips
    )
  return sampling.uniform_indices(
    num_frames, preprocessing.num_frames, views.clips, images
  )


def eval_views(record, preprocessing, views, number=0):
  """A record to its views.

  Args:
    record: with frames, as stored.
    preprocessing: a `preprocess.Preprocessing`.
    views: a `Views`.
    number: see `eval_indices`.

  Returns:
    uint8 `[V, T, S, S, C]`, as the official test orders them: all clips of the
    first crop, then all of the second.
  """
  count = num_images(record, preprocessing)
  fps = frame_rate(record, preprocessing)
  indices = eval_indices(count, preprocessing, views, number, fps)  # [clips, T]
  following = sampling.following(indices, preprocessing.kind().images, count)
  chosen, inverse = np.unique(following, return_inverse=True)
  crops = cropping.eval_crops(
    codec.decode(record, chosen, preprocessing.kind().stored),
    preprocessing.image_size,
    views.crops,
    views.full_resolution,
    preprocessing.kind().stored,
  )  # [crops, frames, S, S, c]: frames that clips share are scaled once
  clips = crops[:, inverse.reshape(following.shape)]
  return stack(clips).reshape(views.shape(preprocessing))


def num_images(record, preprocessing):
  """The frames of a record, or its pairs of flow images."""
  per_image = 2 if preprocessing.kind().stored == 'flow' else 1
  return len(record['frames']) // per_image


def frame_rate(record, preprocessing):
  """The frames per second of a record; 0.0 where nobody needs them.

  Raises:
    VideoError: if `frame_interval` does, and they are unknown.
  """
  if not preprocessing.frame_interval:
    return 0.0
  fps = float(record['fps'])
  if not fps > 0:
    name = record['video_id'].decode() + ': ' if 'video_id' in record else ''
    raise opening.VideoError(
      f'{name}has no frame rate, without which no frames are '
      f'{preprocessing.frame_interval:g} seconds apart (data.frame_interval)'
    )
  return fps


def stack(images):
  """uint8 `[..., L, S, S, c]` to `[..., S, S, L * c]`, image by image."""
  if images.shape[-4] == 1:  # without a copy
    return images[..., 0, :, :, :]
  moved = np.moveaxis(images, -4, -2)  # [..., S, S, L, c]
  return moved.reshape((*moved.shape[:-2], -1))
