"""What turns a video into a network's input, in one value.

It follows from the configuration, travels with the checkpoint, and is all that
prediction, evaluation and streams need to know of the data.
"""

import dataclasses

from tsm_jax import errors, modalities
from tsm_jax.data import defaults, sampling
from tsm_jax.data.input import cropping

MAX_INTERVAL = 3600.0  # seconds between two frames
MAX_CLIP = 2**29  # values of one clip at the network's input, 2 GiB of float32


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """All that turns a video into the network's input; stored in a checkpoint.

  Attributes:
    num_frames: T, frames of a clip.
    image_size: S, both sides of the input in pixels.
    mean: one for all channels, or one of each, after `divisor`.
    std: of all channels, or of each.
    short_side: pixels of the shorter side as stored.
    quality: of the stored JPEG.
    sampling: 'uniform' (over the whole video) or 'dense' (64 frames a clip).
    official_quirks: whether training and its evaluation choose frames as the
      official code does, oddities included; see `sampling.py`.
    storage: 'frames' or 'video', see `codec.py`.
    fps: frames per second as stored; 0: those of the video.
    modality: a key of `modalities.MODALITIES`.
    divisor: of pixel values, 255 or 1.
    channel_order: of colours at the network's input, 'rgb' or 'bgr'.
    frame_interval: seconds between the frames of a clip; 0: as `sampling`.
    frame_interval_jitter: the share by which it varies in training.
  """

  num_frames: int
  image_size: int
  mean: tuple[float, ...]
  std: tuple[float, ...]
  short_side: int = defaults.USUAL.short_side
  quality: int = defaults.USUAL.quality
  sampling: str = 'uniform'
  official_quirks: bool = False
  storage: str = defaults.USUAL.storage
  fps: float = defaults.USUAL.fps
  modality: str = 'rgb'
  divisor: float = 255.0
  channel_order: str = 'rgb'
  frame_interval: float = 0.0
  frame_interval_jitter: float = 0.0

  @classmethod
  def from_config(cls, config):
    """The preprocessing in a configuration; the only place that maps them.

    Raises:
      InputError: if a field is outside its range or does not fit the others.
    """
    data = config.data
    sizes = {
      'model.num_frames': config.model.num_frames,
      'data.image_size': data.image_size,
    }
    for field, value in sizes.items():
      if value < 1:
        raise errors.InputError(f'{field} is {value}; it must be at least 1.')
    if data.sampling not in ('uniform', 'dense'):
      raise errors.InputError(
        f"data.sampling is {data.sampling!r}; choose from 'uniform', 'dense'."
      )
    _check_memory(config.model, data.image_size)
    window = sampling.DENSE_WINDOW
    if data.sampling == 'dense' and config.model.num_frames > window:
      raise errors.InputError(
        f'model.num_frames is {config.model.num_frames}, but a dense clip '
        f"spans {window} frames; choose fewer, or data.sampling='uniform'."
      )
    _check_normalization(config.model, data)
    interval, jitter = _checked_interval(data, config.model.modality)
    options = defaults.Options.from_fields(data)
    return cls(
      num_frames=config.model.num_frames,
      image_size=data.image_size,
      mean=tuple(data.mean),
      std=tuple(data.std),
      sampling=data.sampling,
      official_quirks=data.official_quirks,
      short_side=options.short_side,
      quality=options.quality,
      storage=options.storage,
      fps=options.fps,
      modality=config.model.modality,
      divisor=data.divisor,
      channel_order=data.channel_order,
      frame_interval=interval,
      frame_interval_jitter=jitter,
    )

  def kind(self):
    """The `modalities.Modality`."""
    return modalities.MODALITIES[self.modality]

  def stored(self):
    """The `defaults.Options`, with the usual `max_frames`."""
    return defaults.Options(
      self.short_side, self.quality, self.storage, self.fps
    )

  def clip_shape(self):
    """The shape of one clip as the network sees it, `(1, T, S, S, C)`."""
    size = self.image_size
    return (1, self.num_frames, size, size, self.kind().channels)

  def read_shape(self):
    """The shape of one clip as the host reads it, `(1, T, S, S, C')`."""
    return (*self.clip_shape()[:-1], self.kind().read_channels)

  def normalize(self, frames):
    """The network's input from uint8 frames `[..., C']`; on the device."""
    return cropping.normalize(
      frames,
      self.mean,
      self.std,
      self.divisor,
      self.channel_order,
      self.modality,
    )


def _check_memory(model, size):
  """Raises InputError for a clip that no memory holds."""
  if model.modality in modalities.MODALITIES:
    channels = modalities.MODALITIES[model.modality].channels
    if model.num_frames * size**2 * channels > MAX_CLIP:
      raise errors.InputError(
        f'data.image_size is {size} and model.num_frames {model.num_frames}: '
        f'a clip would have more than {MAX_CLIP:,} values; choose smaller ones.'
      )


def _checked_interval(data, modality):
  """`(frame_interval, frame_interval_jitter)`; older runs have neither."""
  interval = data.get('frame_interval', 0.0)
  jitter = data.get('frame_interval_jitter', 0.0)
  if not 0 <= interval <= MAX_INTERVAL:
    raise errors.InputError(
      f'data.frame_interval is {interval}; it must be from 0 (off) to '
      f'{MAX_INTERVAL:g} seconds.'
    )
  if not 0 <= jitter <= 0.5:
    raise errors.InputError(
      f'data.frame_interval_jitter is {jitter}; it must be from 0 to 0.5.'
    )
  if not interval and jitter:
    raise errors.InputError(
      f'data.frame_interval_jitter is {jitter}, but data.frame_interval, which '
      'it varies, is 0; set both or none.'
    )
  for field, usual in (('sampling', 'uniform'), ('official_quirks', False)):
    if interval and data[field] != usual:
      raise errors.InputError(
        f'data.{field} is {data[field]!r}, but data.frame_interval is '
        f'{interval:g}, which chooses the frames by their times instead; set '
        'one of them.'
      )
  if interval and modality != 'rgb':
    raise errors.InputError(
      f'data.frame_interval is {interval:g}, but model.modality is '
      f"{modality!r}, whose images are those of the video's own rate; choose "
      "'rgb', or set it to 0."
    )
  fps = data.get('fps', 0.0)
  if interval and fps and interval * fps < 1 - 1e-6:
    raise errors.InputError(
      f'data.frame_interval is {interval:g}, but with data.fps={fps:g} a frame '
      f'is stored every {1 / fps:.3g} seconds; set a longer interval or a '
      'higher rate.'
    )
  return interval, jitter


def _check_normalization(model, data):
  """Raises InputError unless the fields fit the channels of the modality."""
  for field, value, choices in (
    ('model.modality', model.modality, tuple(modalities.MODALITIES)),
    ('data.divisor', data.divisor, (1.0, 255.0)),
    ('data.channel_order', data.channel_order, ('rgb', 'bgr')),
  ):
    if value not in choices:
      raise errors.InputError(f'{field} is {value!r}; choose from {choices}.')
  channels = modalities.MODALITIES[model.modality].channels
  usual = modalities.normalization(model.name, model.modality)
  for field in ('mean', 'std'):
    if len(data[field]) not in (1, channels):
      raise errors.InputError(
        f'data.{field} has {len(data[field])} values, but model.modality '
        f'{model.modality!r} has {channels} channels; give one value for each '
        f'or for all, usually {getattr(usual, field)}, as --config '
        f'FILE:modality={model.modality} does.'
      )
