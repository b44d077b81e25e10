"""What is stored of a clip: JPEG frames, or an H.264 video.

Either way a record holds the bytes of every frame in `frames`, and only those
that are wanted are decoded.
"""

from tsm_jax import errors
from tsm_jax.data.clips import h264, limits, videos

KINDS = ('frames', 'video')
# What decides the stored form of a clip, as in a configuration's `data`, and
# how a dataset was built whose metadata lacks an option.
DEFAULTS = {'short_side': 256, 'quality': 90, 'storage': 'frames', 'fps': 0.0}
MAX_FPS = 1000.0


def options_of(config):
  """The options among the fields of a configuration's `data`.

  Raises:
    InputError: if one is outside its range.
  """
  options = {name: config[name] for name in DEFAULTS}
  check(options, 'data.')
  return options


def check(options, prefix):
  """Raises InputError if an option is outside its range.

  Args:
    options: as `DEFAULTS`.
    prefix: of their names in messages.
  """
  if options['storage'] not in KINDS:
    raise errors.InputError(
      f'{prefix}storage is {options["storage"]!r}; choose from '
      f'{", ".join(map(repr, KINDS))}.'
    )
  for name, low, high in (
    ('short_side', 1, 10_000),
    ('quality', 1, 100),
    ('fps', 0, MAX_FPS),
  ):
    if not low <= options[name] <= high:
      raise errors.InputError(
        f'{prefix}{name} is {options[name]}; it must be from {low} to {high:g}.'
      )


def limited(options, max_frames, prefix):
  """The options of a build, with `max_frames` if that is not the usual.

  A model does not know it, as it changes no clip that is used. Left out, the
  names of datasets are those of before there was a limit.

  Args:
    options: as `DEFAULTS`.
    max_frames: of a clip; a longer one is excluded.
    prefix: of its name in messages.

  Raises:
    InputError: if it is less than 1.
  """
  if max_frames < 1:
    raise errors.InputError(
      f'{prefix}max_frames is {max_frames}; it must be at least 1.'
    )
  if max_frames == limits.MAX_FRAMES:
    return options
  return {**options, 'max_frames': max_frames}


def to_record(
  path,
  short_side,
  quality,
  storage='frames',
  fps=0,
  max_frames=limits.MAX_FRAMES,
):
  """The stored form of a video file, shrunk, never enlarged.

  Args:
    path: the file.
    short_side: pixels of the shorter side; smaller videos stay as they are.
    quality: of the JPEG, 1 to 100.
    storage: 'frames' (JPEG) or 'video' (H.264, see `h264`).
    fps: see `videos.read`.
    max_frames: likewise.

  Returns:
    `(record, video)`: a dict with frames (list of the bytes of each),
    num_frames, height, width and fps, and the `videos.Video` that made it.

  Raises:
    VideoError: as `videos.read`.
  """
  store = Store(short_side, quality, storage)
  video = videos.read(path, store.add, fps, max_frames)
  frames = store.end()
  height, width = store.size
  record = {
    'frames': frames,
    'num_frames': len(frames),
    'height': height,
    'width': width,
    'fps': video.fps,
  }
  return record, video._replace(frames=frames)


class Store:
  """Frames, one after the other, to their stored form."""

  def __init__(self, short_side, quality, storage):
    self.size = None  # (height, width) of the stored frames
    self._short_side = short_side
    self._quality = quality
    self._encoder = h264.Encoder() if storage == 'video' else None
    self._frames = []
    self._source = self._image = None

  def add(self, image):
    """Adds a frame `[H, W, 3]` uint8, shrunk to the short side."""
    repeated = image is self._source
    if not repeated:
      self._source = image
      height, width = image.shape[:2]
      if min(height, width) > self._short_side:
        size = videos.short_side_size(width, height, self._short_side)
        image = videos.resize(image, *size)
      self._image = image
      self.size = image.shape[:2]
    if self._encoder:
      self._encoder.add(self._image)
    elif repeated:
      self._frames.append(self._frames[-1])
    else:
      self._frames.append(videos.encode_jpeg(self._image, self._quality))

  def end(self):
    """A list of the stored bytes of each frame."""
    return self._encoder.end() if self._encoder else self._frames


def decode(record, indices):
  """The chosen frames of a record, of either storage.

  Args:
    record: as from `to_record`.
    indices: of frames, distinct and increasing.

  Returns:
    uint8 `[H, W, 3]` each.

  Raises:
    ValueError: if the bytes of a frame are damaged.
  """
  frames = record['frames']
  if h264.is_packet(frames[0]):
    return h264.decode(frames, indices, record['height'], record['width'])
  return [videos.decode_jpeg(frames[i]) for i in indices]
