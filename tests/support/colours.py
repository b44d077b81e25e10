"""A network that tells colours, and long videos in which they come and go."""

import jax
import numpy as np

from support import helpers, nets
from tsm_jax import models
from tsm_jax.data import intervals
from tsm_jax.data.clips import videos
from tsm_jax.data.input import preprocess
from tsm_jax.runs import checkpoints, identity

COLOURS = {
  'idle': (128, 128, 128),
  'red': (220, 60, 60),
  'blue': (60, 60, 220),
}
LABELS = list(COLOURS)
SIZE = 32
FPS = 8


def frame(label):
  """uint8 `[32, 32, 3]`, all of a colour."""
  return np.full((SIZE, SIZE, 3), COLOURS[label], np.uint8)


def save_model(workdir, interval=0.25, direction='past'):
  """A checkpoint, whose last layer is solved for; returns the workdir."""
  config = helpers.tiny_config('', '')
  config.model.update(
    stage_sizes=(1,), num_frames=2, direction=direction, num_classes=16
  )
  how = preprocess.Preprocessing.from_config(config)
  clips = np.stack([[frame(label)] * 2 for label in LABELS])
  clips = how.normalize(clips)
  model = models.create_model(config.model)
  variables = nets.tiny_variables(model, clips)
  head = variables['params']['head']
  head.update(kernel=np.eye(len(head['kernel']), dtype=np.float32))
  config.model.num_classes = len(head['kernel'])
  head.update(bias=np.zeros(config.model.num_classes, np.float32))
  model = models.create_model(config.model)
  features = np.asarray(jax.jit(model.apply)(variables, clips), np.float64)
  features = np.concatenate([features, np.ones((len(LABELS), 1))], axis=1)
  solved = np.linalg.pinv(features) @ (6 * np.eye(len(LABELS)))
  head.update(
    kernel=solved[:-1].astype(np.float32), bias=solved[-1].astype(np.float32)
  )
  config.model.num_classes = len(LABELS)
  known = interval and intervals.Interval(interval, interval, interval)
  meta = identity.describe(config, LABELS, '', known)
  checkpoints.save_model(workdir, variables, meta)
  return workdir


def write_video(path, parts, fps=FPS):
  """A video of `(seconds, label)` parts, one after the other; its path."""
  frames = [
    frame(label)
    for seconds, label in parts
    for _ in range(round(seconds * fps))
  ]
  path.parent.mkdir(parents=True, exist_ok=True)
  videos.write(path, frames, fps=fps)
  return path


def write_y4m(path, parts, fps=10, size=(96, 128)):
  """The same for the camera of a browser, uncompressed; its path."""
  height, width = size
  shapes = (size, (height // 2, width // 2), (height // 2, width // 2))
  with path.open('wb') as file:
    file.write(b'YUV4MPEG2 W%d H%d F%d:1 Ip C420\n' % (width, height, fps))
    for seconds, label in parts:
      red, green, blue = (value / 255 for value in COLOURS[label])
      luma = 0.299 * red + 0.587 * green + 0.114 * blue
      planes = (
        16 + 219 * luma,
        128 + 224 * (blue - luma) / 1.772,
        128 + 224 * (red - luma) / 1.402,
      )
      frame = b''.join(
        np.full(shape, round(value), np.uint8).tobytes()
        for shape, value in zip(shapes, planes)
      )
      file.write((b'FRAME\n' + frame) * round(seconds * fps))
  return path
