"""The storage 'video': a clip as H.264 packets with quick access to any frame.

One packet of bytes per frame, a key frame every `KEY_EVERY`, and no frame that
refers to a later one. So a frame is decoded from the key frame before it, with
nothing to search, and decodes as in the whole stream. The packets of a clip,
one after the other, are a file that any player shows.
"""

import fractions

import av
from av.video import reformatter
import numpy as np

KEY_EVERY = 8
RATE = 25  # frames per second; only the encoder sees it
OPTIONS = {
  'g': str(KEY_EVERY),
  'sc_threshold': '0',  # no other key frames: they are where they are expected
  'bf': '0',
  # Off: with AVX-512 it reads memory that nothing wrote, so that one encoding
  # in a hundred of the same small clip differed from the others.
  'mbtree': '0',
  'crf': '20',
  'tune': 'fastdecode',
}
_START = b'\0\0\0\1'  # of every packet; no JPEG begins like this


class Encoder:
  """Encodes the frames of one clip, one after the other."""

  def __init__(self):
    self._context = None
    self._packets = []
    self._count = 0

  def add(self, image):
    """Adds a frame `[H, W, 3]` uint8; all must be of one size."""
    if self._context is None:
      self._context = _encoder(*image.shape[:2])
    # Chroma has half the size: odd sizes are completed, and cut when decoded.
    (height, width), context = image.shape[:2], self._context
    rest = ((0, height % 2), (0, width % 2), (0, 0))
    frame = av.VideoFrame.from_ndarray(np.pad(image, rest, 'edge'), 'rgb24')
    frame.pts, frame.time_base = self._count, context.time_base
    self._count += 1
    self._packets += map(bytes, context.encode(frame))

  def end(self):
    """The packets, one of each frame."""
    self._packets += map(bytes, self._context.encode(None))
    if len(self._packets) != self._count:
      raise RuntimeError(
        f'{self._count} frames became {len(self._packets)} packets.'
      )
    return self._packets


def _encoder(height, width):
  context = av.CodecContext.create('libx264', 'w')
  context.width, context.height = width + width % 2, height + height % 2
  context.pix_fmt = 'yuv420p'
  # The same for all clips: x264 keeps less of frames that are seen shortly.
  context.framerate = fractions.Fraction(RATE)
  context.time_base = 1 / context.framerate
  context.thread_count = 1  # the clips around it are parallel
  context.options = OPTIONS
  return context


def is_packet(data):
  """Whether bytes of a record are of this storage."""
  return data.startswith(_START)


def decode(packets, indices, height, width):
  """Decodes chosen frames, and before each what it needs of its eight.

  Args:
    packets: from `Encoder.end`.
    indices: increasing.
    height: of the frames, pixels.
    width: of the stored frames, pixels.

  Returns:
    The frames, `[height, width, 3]` uint8 each; equal to those of the whole
    stream decoded in order.

  Raises:
    ValueError: if a packet does not decode.
  """
  context = av.CodecContext.create('h264', 'r')
  context.thread_count = 1
  context.options = {'err_detect': 'explode'}  # nothing is concealed
  converter = reformatter.VideoReformatter()
  frames, following = [], 0
  for index in indices:
    key = index - index % KEY_EVERY
    for number in range(max(key, following), index + 1):
      frame = _decode(context, packets[number])
    following = index + 1
    image = converter.reformat(frame, format='rgb24').to_ndarray()
    frames.append(image[:height, :width])
  return frames


def _decode(context, packet):
  reason = ''
  try:
    decoded = context.decode(av.Packet(packet))
    if len(decoded) == 1:
      return decoded[0]
  except av.error.FFmpegError as error:
    reason = f': {error.strerror}'
  raise ValueError(f'{len(packet)} bytes that are not an H.264 frame{reason}')
