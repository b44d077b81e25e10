"""Labels for video files, from a checkpoint."""

import dataclasses
import functools
import os
from typing import NamedTuple

import jax
import numpy as np

from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, videos
from tsm_jax.data.input import cropping, records
from tsm_jax.data.sources import arguments
from tsm_jax.models import folding
from tsm_jax.models import views as seen
from tsm_jax.runs import checkpoints, request
from tsm_jax.stream import progress

MAX_FRAMES = defaults.USUAL.max_frames


class Prediction(NamedTuple):
  """A label and its probability, between 0 and 1."""

  label: str
  probability: float


@dataclasses.dataclass(frozen=True)
class Model(checkpoints.TrainedModel):
  """A trained model that labels video files; made by `load`.

  Its attributes are those of a `checkpoints.TrainedModel`.
  """

  def predict(self, video, top=5, max_frames=MAX_FRAMES, **views):
    """The most probable labels of a video, or of each of several.

    Args:
      video: path of a video file or of a folder of its images (of optical flow
        always a folder); or a list of paths.
      top: how many labels.
      max_frames: a longer video is refused, as it would take much memory.
      **views: clips, crops and full_resolution, over which the logits are
        averaged, see `records.Views`; by default the centre of one clip.

    Returns:
      A list of `Prediction`, the most probable first; for several videos, a
      list of such lists.

    Raises:
      InputError: if a file cannot be decoded (it names the file and the
        reason), or there is no such number of labels, clips or crops. To go
        past bad files, call it for one after the other.
    """
    views = checked_views(**views)
    if top < 1:
      raise errors.InputError(f'top is {top}; it must be at least 1.')
    if isinstance(video, str | os.PathLike):
      return self.predict_one(video, top, max_frames, views)
    return [self.predict_one(v, top, max_frames, views) for v in video]

  def predict_one(self, path, top, max_frames, views):
    """As `predict`, of one video seen in `records.Views`."""
    found = predict_video(self._predict, self, path, views, max_frames)
    best = np.argsort(-found, kind='stable')[:top]
    return [Prediction(self.labels[i], float(found[i])) for i in best]

  @functools.cached_property
  def _predict(self):
    return make_predict(self)


def checked_views(clips=1, crops=1, full_resolution=False):
  """The `records.Views`; raises InputError if there are none such."""
  if clips < 1:
    raise errors.InputError(f'clips is {clips}; it must be at least 1.')
  if crops not in cropping.CROPS:
    raise errors.InputError(
      f'crops is {crops}; choose from {", ".join(map(str, cropping.CROPS))}.'
    )
  return records.Views(clips, crops, full_resolution)


def load(checkpoint):
  """The model of a checkpoint, ready to predict.

  Args:
    checkpoint: a workdir, its folder `checkpoints` or `best`, or one step in
      that; a local path or a URL.

  Returns:
    A `Model`.

  Raises:
    InputError: if there is no checkpoint.
  """
  if os.path.isfile(checkpoint):
    raise errors.InputError(
      f'{str(checkpoint)!r} is a file; tsm_jax.convert makes it a checkpoint.'
    )
  return Model(**vars(checkpoints.restore_model(checkpoint)))


def make_predict(trained):
  """The function `frames uint8 [V, T, S, S, C] -> probabilities float32 [K]`.

  Args:
    trained: a `checkpoints.TrainedModel`.

  Returns:
    A function, which is compiled once per shape. The logits of the V
    views are averaged before the softmax, as in evaluation. Of a model of
    clips of several labels, each has a sigmoid, and a probability of its own.
  """
  model = trained.module()
  several = request.multi_label(trained)
  activation = jax.nn.sigmoid if several else jax.nn.softmax

  # Weights are an argument: another checkpoint finds the same program, which is
  # small, in the cache. They are placed once, and on CPU without BatchNorm,
  # which XLA would only fold into weights that it knows.
  variables, applied = folding.prepare(
    model, trained.variables, trained.preprocessing.clip_shape()
  )
  variables = jax.device_put(variables, jax.local_devices()[0])

  def predict(variables, frames):
    logits = seen.view_logits(
      model, variables, frames[None], trained.preprocessing
    )
    return activation(logits[0])

  size = trained.preprocessing.image_size
  return functools.partial(folding.jit(predict, applied, size), variables)


def predict_video(predict, trained, path, views=None, max_frames=MAX_FRAMES):
  """The probabilities of all labels for a video, float32 `[K]`.

  The video is stored, sampled and cropped as in evaluation, so that the result
  is the same.

  Args:
    predict: made by `make_predict`.
    trained: a `checkpoints.TrainedModel`.
    path: of a video file or of a folder of its images.
    views: a `records.Views`; by default the centre of one clip.
    max_frames: a longer video is refused, as it would take much memory.

  Raises:
    InputError: if it cannot be decoded (it names the file and the reason), or
      the model gives no finite number.
  """
  preprocessing, shown = trained.preprocessing, repr(str(path))
  arguments.refuse_address(path)
  try:
    options = preprocessing.stored()._replace(max_frames=max_frames)
    record, video = codec.to_record(path, options, preprocessing.kind().stored)
    frames = records.eval_views(record, preprocessing, views or records.Views())
  except videos.VideoError as error:
    raise errors.InputError(f'{shown}: {error}.') from error
  except Exception as error:  # a library's, about this file only
    said = ' '.join(f'{type(error).__name__}: {error}'[:200].split())
    raise errors.InputError(f'{shown} cannot be decoded ({said}).') from error
  if video.damage:
    progress.log(f'{path}: damaged, {video.damage}')
  found = np.asarray(predict(frames))
  if not np.isfinite(found).all():
    raise errors.InputError(
      f'{shown}: the model gives no finite number; its weights are not finite, '
      'or its preprocessing is not that of its training.'
    )
  return found
