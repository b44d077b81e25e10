"""What a network sees: RGB, optical flow or RGB difference.

The facts of each: the form of its input, and the normalisation that published
weights expect (TSN, arXiv 1608.00859, section 3.2; the authors' code).
"""

from typing import NamedTuple


class Modality(NamedTuple):
  """How the input at each of the T chosen frames of a clip is made.

  Attributes:
    stored: what a dataset holds for it, 'rgb' or 'flow'.
    images: L, the number of consecutive images that are read from a chosen
      frame on; at the end of a video the last one repeats.
    read_channels: channels of the L images together, as they leave the host.
    channels: channels of the network's input.
    scales: sizes of the training crops, as shares of the short side.
  """

  stored: str
  images: int
  read_channels: int
  channels: int
  scales: tuple[float, ...]


MODALITIES = {
  'rgb': Modality('rgb', 1, 3, 3, (1.0, 0.875, 0.75, 0.66)),
  # x0, y0, x1, y1, ... of five consecutive flows
  'flow': Modality('flow', 5, 10, 10, (1.0, 0.875, 0.75)),
  # the five differences between six consecutive frames
  'rgb_diff': Modality('rgb', 6, 18, 15, (1.0, 0.875, 0.75)),
}
STORED = ('rgb', 'flow')


class Normalization(NamedTuple):
  """Pixels 0..255 to the input: `(pixels / divisor - mean) / std`.

  Attributes:
    mean: one for all channels, or one for each in the network's order.
    std: one for all channels, or one for each in the network's order.
    divisor: of the pixels.
    channel_order: of the colours, 'rgb' or 'bgr'.
  """

  mean: tuple[float, ...]
  std: tuple[float, ...]
  divisor: float = 255.0
  channel_order: str = 'rgb'


def normalization(model_name, modality):
  """The `Normalization` that the published weights of a network expect.

  >>> normalization('resnet', 'rgb').mean
  (0.485, 0.456, 0.406)

  RGB difference is neither centred nor scaled, as in the authors' code.

  Args:
    model_name: 'resnet', 'mobilenet_v2' or 'bn_inception'.
    modality: a key of `MODALITIES`.
  """
  if model_name == 'bn_inception':  # Caffe's weights: BGR in 0..255
    mean = {'rgb': (104.0, 117.0, 128.0), 'flow': (128.0,), 'rgb_diff': (0.0,)}
    order = 'rgb' if modality == 'flow' else 'bgr'
    return Normalization(mean[modality], (1.0,), 1.0, order)
  return {
    'rgb': Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    'flow': Normalization((0.5,), (0.226,)),
    'rgb_diff': Normalization((0.0,), (1.0,)),
  }[modality]
