"""Drawn scenes, and how far a decoded one is off."""

import fractions

import av
import numpy as np
from PIL import Image

from tsm_jax.data.clips import videos

_MS = fractions.Fraction(1, 1000)
# Frames every 6 of which is a key frame, as damage is then soon over.
FORMATS = {
  'mp4': ('libx264', {'g': '6', 'crf': '15'}),
  'mov': ('libx264', {'g': '6', 'crf': '15', 'bf': '2'}),
  'mkv': ('libx264', {'g': '6', 'crf': '15'}),
  'avi': ('mpeg4', {'g': '6', 'qmin': '3', 'qmax': '3'}),
  'webm': (
    'libvpx-vp9',
    {'g': '6', 'crf': '20', 'deadline': 'realtime', 'cpu-used': '8'},
  ),
}


def scene(num_frames, size=(96, 128)):
  """Frames unlike each other: a texture that moves, so that packets are big."""
  rng = np.random.default_rng(0)
  texture = rng.integers(0, 256, (40, 40), np.uint8)
  texture = Image.fromarray(texture).resize((400, 400), Image.BICUBIC)
  texture = 64 + np.asarray(texture) // 2
  height, width = size
  return [
    np.stack([gray, 255 - gray, 0 * gray + 90], -1)
    for gray in (
      np.roll(texture, (-3 * t, -7 * t), (0, 1))[:height, :width]
      for t in range(num_frames)
    )
  ]


def write(path, frames, suffix):
  """A video in the usual form of a container; its path."""
  codec, options = FORMATS[suffix]
  videos.write(path, frames, codec=codec, options=options)
  return path


def mean_error(frames, expected):
  return np.mean(
    [
      abs(a.astype(int) - b).mean()
      for a, b in zip(frames, expected, strict=True)
    ]
  )


def write_variable(path, times, rate=30):
  """A video with frames at the given milliseconds, each of its own gray."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('libx264', rate=rate, options={'qp': '0'})
    stream.width, stream.height, stream.pix_fmt = 32, 32, 'yuv420p'
    stream.codec_context.time_base = _MS
    for number, time in enumerate(times):
      gray = np.full((32, 32, 3), 20 + 3 * number, np.uint8)
      frame = av.VideoFrame.from_ndarray(gray, 'rgb24')
      frame.pts, frame.time_base = time, _MS
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path
