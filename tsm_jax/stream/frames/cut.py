"""Ends that no container tells of: by the number of bytes alone."""

import av

_PACKETS = (188, 192, 204)  # bytes of MPEG-TS: plain, with times, with parity
_FRAME = b'FRAME\n'


def reason(container, stream, num_bytes, start):
  """Why a video is not whole, or ''.

  Args:
    container: of the video, open.
    stream: of the video.
    num_bytes: of the file.
    start: its first bytes.
  """
  kind = container.format.name
  if kind == 'mpegts' and all(num_bytes % size for size in _PACKETS):
    return 'its last packet is cut off'
  if kind == 'yuv4mpegpipe':
    head, _, rest = start.partition(b'\n')
    size = len(_FRAME) + _plain_size(stream.codec_context)
    if rest.startswith(_FRAME) and (num_bytes - len(head) - 1) % size:
      return 'ends in the middle of a frame'
  return ''


def _plain_size(context):
  """Bytes of a frame that is not compressed."""
  kind = av.VideoFormat(context.pix_fmt, context.width, context.height)
  return sum(
    part.width * part.height * ((part.bits + 7) // 8)
    for part in kind.components
  )
