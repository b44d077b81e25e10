"""Small real things that several tests need."""

import pathlib

import numpy as np

from tsm_jax.data import builders, videos

DATA = {
  'source': '',
  'data_dir': '',
  'labels': '',
  'holdout': 0.25,
  'holdout_seed': 0,
  'max_excluded': 0.02,
  'short_side': 256,
  'quality': 90,
}


def write_video(path, num_frames=12, size=(32, 48), seed=0, **kwargs):
  """A real video of smooth random frames; returns its path."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[: size[0], : size[1]]
  frames = []
  for t in range(num_frames):
    waves = [np.sin((x + y * k + 9 * t) / 9 + rng.random()) for k in range(3)]
    frames.append((127 + 120 * np.stack(waves, -1)).astype(np.uint8))
  videos.write(path, frames, **kwargs)
  return path


def write_folder(root, classes=('jump', 'run'), clips=4, **kwargs):
  """A folder of classes with `clips` videos each; returns it."""
  for number, name in enumerate(classes):
    for clip in range(clips):
      write_video(
        pathlib.Path(root) / name / f'{clip}.mp4',
        seed=100 * number + clip,
        **kwargs,
      )
  return pathlib.Path(root)


def build(source, data_dir, **options):
  """Builds `source`; returns the built dataset's path and the lines logged."""
  lines = []
  config = {**DATA, 'source': str(source), 'data_dir': str(data_dir)}
  path = builders.prepare({**config, **options}, lines.append)
  return path, lines
