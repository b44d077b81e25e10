"""The official input by Pillow and PyTorch, to compare `bench input` with.

Written anew from its description: RGB frames of a file, the crop of
`cropping.multi_scale_crop`, Pillow's resize, a mirror half of the time, and
normalisation in float32 on the host.
"""

import io

import av
import numpy as np
from PIL import Image
import torch

from tsm_jax.data import sampling
from tsm_jax.data.input import cropping


class Clips(torch.utils.data.Dataset):
  """Training clips of video files, float32 `[T * 3, S, S]`, and their numbers.

  Args:
    paths: of the videos.
    length: number of clips; they take turns through the videos.
    preprocessing: a `preprocess.Preprocessing`: frames, size, mean and std.
    scales: of the multi-scale crop.
  """

  def __init__(self, paths, length, preprocessing, scales):
    self._paths = paths
    self._length = length
    self._num_frames = preprocessing.num_frames
    self._image_size = preprocessing.image_size
    self._scales = scales
    self._mean = self._by_channel(preprocessing.mean)
    self._std = self._by_channel(preprocessing.std)

  def _by_channel(self, rgb):
    return torch.tensor(rgb).repeat(self._num_frames)[:, None, None]

  def __len__(self):
    return self._length

  def __getitem__(self, number):
    rng = np.random.default_rng(number)
    path = self._paths[number % len(self._paths)]
    images = read(path, self._num_frames, rng)
    images = crop(images, rng, self._image_size, self._scales)
    if rng.random() < 0.5:
      images = [i.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for i in images]
    stacked = np.concatenate([np.asarray(image) for image in images], axis=2)
    tensor = torch.from_numpy(stacked).permute(2, 0, 1).contiguous()
    return (tensor.float().div(255) - self._mean) / self._std, number


def read(path, num_frames, rng):
  """Random frames of a file as images.

  Decodes in order up to the last of the frames and converts only those. This
  is faster than seeking each one, and faster than decoding the whole file.
  """
  with av.open(path) as container:
    stream = container.streams.video[0]
    stream.thread_count = 1
    indices = sampling.random_indices(rng, stream.frames, num_frames).tolist()
    images = {}
    for number, frame in enumerate(container.decode(stream)):
      if number in indices:
        images[number] = frame.to_image()
      if number == indices[-1]:
        break
  return [images[i] for i in indices]


def crop(images, rng, image_size, scales):
  """The multi-scale crop of images, by Pillow."""
  x, y, w, h = cropping.multi_scale_crop(
    rng, *images[0].size, image_size, scales
  )
  return [
    image.crop((x, y, x + w, y + h)).resize(
      (image_size, image_size), Image.Resampling.BILINEAR
    )
    for image in images
  ]


def decode(jpegs):
  """Images of JPEG bytes."""
  return [Image.open(io.BytesIO(data)).convert('RGB') for data in jpegs]


def loader(*args, batch_size, **kwargs):
  """An iterator of batches, made in this process: no time is lost in pipes."""
  torch.set_num_threads(1)
  return iter(torch.utils.data.DataLoader(Clips(*args, **kwargs), batch_size))
