"""Small real things that several tests need."""

import io
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # configs are read from the repository's root

from configs import quickstart  # noqa: E402
from tsm_jax.data import defaults  # noqa: E402
from tsm_jax.data.clips import pixels, videos  # noqa: E402
from tsm_jax.data.store import dataset  # noqa: E402

DATA = {
  'source': '',
  'data_dir': '',
  'labels': '',
  'holdout': 0.25,
  'holdout_seed': 0,
  'max_excluded': defaults.MAX_EXCLUDED,
  **defaults.USUAL.as_dict(),
}


def write_video(path, num_frames=12, size=(32, 48), seed=0, bright=0, **kwargs):
  """A real video of smooth random frames, one channel brighter; its path."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  videos.write(path, draw(num_frames, size, seed, bright), **kwargs)
  return path


def file_of(packets):
  """The packets of a stored video as a file."""
  return io.BytesIO(b''.join(packets))


def write_frames(
  folder, num_frames=12, name='{:05d}.jpg', first=1, size=(32, 48), **kwargs
):
  """A clip as a folder of JPEG images; its path."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  for number, frame in enumerate(draw(num_frames, size, **kwargs), first):
    (folder / name.format(number)).write_bytes(pixels.encode_jpeg(frame, 90))
  return folder


def write_flow(
  folder,
  num_frames=6,
  name='flow_{}_{:05d}.jpg',
  size=(32, 48),
  mean=(128, 128),
):
  """Flow as a folder of grey JPEG images of x and y; the values.

  Args:
    folder: of the clip.
    num_frames: pairs of images.
    name: of an image, with places for 'x' or 'y' and the number.
    size: height and width.
    mean: of x and of y.

  Returns:
    uint8 `[num_frames, H, W, 2]`, before JPEG.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  waves = np.stack(draw(num_frames, size), 0)[..., :2].astype(int)
  flow = (np.array(mean) + waves // 8 - 12).astype(np.uint8)
  for number, pair in enumerate(flow, 1):
    for axis, image in zip('xy', np.moveaxis(pair, -1, 0)):
      path = folder / name.format(axis, number)
      path.write_bytes(pixels.encode_jpeg(np.ascontiguousarray(image), 95))
  return flow


def draw(num_frames, size, seed=0, bright=0):
  """Smooth random frames, one channel brighter."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[: size[0], : size[1]]
  frames = []
  for t in range(num_frames):
    waves = [np.sin((x + y * k + 9 * t) / 9 + rng.random()) for k in range(3)]
    image = 100 + 60 * np.stack(waves, -1)
    image[..., bright % 3] += 80
    frames.append(image.astype(np.uint8))
  return frames


def write_folder(root, classes=('jump', 'run'), clips=4, **kwargs):
  """A folder of classes with `clips` videos each; returns it."""
  for number, name in enumerate(classes):
    for clip in range(clips):
      write_video(
        pathlib.Path(root) / name / f'{clip}.mp4',
        seed=100 * number + clip,
        bright=number,
        **kwargs,
      )
  return pathlib.Path(root)


def write_splits(root):
  """A folder with 20 training and 4 validation clips of two classes."""
  write_folder(pathlib.Path(root) / 'train', clips=10)
  write_folder(pathlib.Path(root) / 'val', clips=2)
  return pathlib.Path(root)


def write_hmdb51(root, clips=2, num_frames=4):
  """A miniature of HMDB51: two classes, `clips` training clips of each."""
  root = pathlib.Path(root)
  (root / 'testTrainMulti_7030_splits').mkdir(parents=True)
  for label in ('wave', 'a jump'):
    lines = []
    for i in range(clips + 1):
      write_video(root / 'hmdb51_org' / label / f'{i}(!).avi', num_frames)
      lines.append(f'{i}(!).avi {1 if i < clips else 2} \n')
    path = root / 'testTrainMulti_7030_splits' / f'{label}_test_split1.txt'
    path.write_text(''.join(lines))
  return root


def build(source, data_dir, modality='rgb', **options):
  """Builds `source`; returns the built dataset's path and the lines logged."""
  lines = []
  config = {**DATA, 'source': str(source), 'data_dir': str(data_dir)}
  built = dataset.prepare({**config, **options}, modality, lines.append)
  return built.path, lines


def records(path, split):
  """The records of a built dataset by the names of their clips."""
  return {r['video_id'].decode(): r for r in dataset.open(path).split(split)}


def tiny_config(source, data_dir, **changes):
  """The quickstart's config, for a network and clips that train in seconds.

  Args:
    source: a folder of videos, for example from `write_folder`.
    data_dir: where the dataset is built.
    **changes: of top-level fields, or of `section__field`.
  """
  config = quickstart.get_config()
  config.data.update(
    source=str(source), data_dir=str(data_dir), image_size=32, num_threads=2
  )
  config.model.update(stage_sizes=(1,), width=8, num_frames=4)
  config.update(batch_size=8, epochs=5.0, log_every_steps=2)
  config.base_learning_rate = 2.0
  config.schedule.warmup_epochs = 0.0
  config.eval.every_epochs = 100.0
  config.checkpoint.every_steps = 100
  for name, value in changes.items():
    section, _, field = name.rpartition('__')
    (config[section] if section else config)[field] = value
  return config
