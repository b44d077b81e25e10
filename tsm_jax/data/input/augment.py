"""Augmentation of a batch on the device, inside jit.

All of it is the same for the frames of a clip, and follows from the key.
"""

import jax
import jax.numpy as jnp

from tsm_jax import errors
from tsm_jax.data.input import cropping, flips, randaugment

# Of an erased box: its share of the frame, and its height by its width.
ERASE_AREA = (0.02, 1 / 3)
ERASE_RATIO = (0.3, 1 / 0.3)


def check(config):
  """Raises InputError unless the fields of augmentation make sense."""
  data = config.data
  flips.check_mode(data.flip)
  cropping.check_resize(data.resize)
  scales = tuple(data.scales)
  # A crop is a pixel at least.
  if not scales or not all(1 / data.short_side <= s <= 1 for s in scales):
    raise errors.InputError(
      f'data.scales is {scales}; it must hold shares of the short side '
      f'({data.short_side} pixels), each of a pixel at least and at most 1.'
    )
  for field, value, most in (
    ('mixup_alpha', config.mixup_alpha, float('inf')),
    ('cutmix_alpha', config.cutmix_alpha, float('inf')),
    ('erase_probability', config.erase_probability, 1),
    ('data.randaugment_ops', data.randaugment_ops, float('inf')),
    (
      'data.randaugment_magnitude',
      data.randaugment_magnitude,
      randaugment.MAX_MAGNITUDE,
    ),
  ):
    if not 0 <= value <= most:
      limits = 'at least 0' if most == float('inf') else f'from 0 to {most}'
      raise errors.InputError(f'{field} is {value}; it must be {limits}.')
  if config.model.modality == 'flow' and data.randaugment_ops > 0:
    raise errors.InputError(
      f'data.randaugment_ops is {data.randaugment_ops}, but RandAugment '
      "changes colours, and those of 'flow' are motion; it must be 0."
    )


def augment(key, batch, config, mirrored=None):
  """A batch as the network sees it in training.

  Args:
    key: of this step.
    batch: frames uint8 `[B, T, S, S, C']` and label int32 `[B]`; of clips of
      several labels `[B, K]`, 1 for each.
    config: a configuration; mixup_alpha, cutmix_alpha, erase_probability, the
      normalisation in its section data, model.modality and, for mixed labels,
      model.num_classes count.
    mirrored: from `flips.mirrored_classes`.

  Returns:
    `(frames, label)`: float32 `[B, T, S, S, C]`, normalised; int32 `[B]`, or
    float32 `[B, K]`, the shares of the classes, where clips are mixed.
  """
  flip_key, erase_key, mix_key = jax.random.split(key, 3)
  frames, label = batch['frames'], batch['label']
  modality = config.model.modality
  if mirrored is not None:
    frames, label = random_flip(flip_key, frames, label, mirrored, modality)
  data = config.data
  frames = cropping.normalize(
    frames, data.mean, data.std, data.divisor, data.channel_order, modality
  )
  if config.erase_probability > 0:
    frames = random_erase(erase_key, frames, config.erase_probability)
  if config.mixup_alpha > 0 or config.cutmix_alpha > 0:
    if label.ndim == 1:
      label = jax.nn.one_hot(label, config.model.num_classes)
    weights = mix_weights(
      mix_key, frames.shape[2:4], config.mixup_alpha, config.cutmix_alpha
    )
    frames, label = mix(frames, label, weights)
  return frames, label


def random_flip(key, frames, label, mirrored, modality='rgb'):
  """Mirrors each clip left to right, or not, at random.

  Args:
    key: of the draws.
    frames: `[B, T, H, W, C]`.
    label: int32 `[B]`, or of several ones `[B, K]`, of which each is mirrored.
    mirrored: int `[K]`, the class of a mirrored clip, or -1 for one that must
      stay as it is.
    modality: see `cropping.mirror`.

  Returns:
    `(frames, label)`.
  """
  other, allowed = _mirrored_label(jnp.asarray(mirrored), label)
  flip = jax.random.bernoulli(key, shape=label.shape[:1]) & allowed
  where = flip.reshape((-1, 1, 1, 1, 1))
  frames = jnp.where(where, cropping.mirror(frames, modality), frames)
  flip = flip.reshape((-1, *[1] * (label.ndim - 1)))
  return frames, jnp.where(flip, other, label)


def _mirrored_label(mirrored, label):
  """The label of mirrored clips, and whether they may be mirrored, bool `[B]`.

  A clip of several labels stays as it is if one of them must.
  """
  if label.ndim == 1:
    other = mirrored[label]
    return other, other >= 0
  stays = mirrored < 0
  # Two classes that mirror each other: taking is giving.
  other = label[:, jnp.where(stays, jnp.arange(len(mirrored)), mirrored)]
  return other, ~(label.astype(bool) & stays[None]).any(-1)


def random_erase(key, frames, probability):
  """Sets a random box of each clip to 0, the mean, or not, at random.

  Random erasing (Zhong et al., arXiv 1708.04896) with one box for all frames.
  A box drawn longer than the frame is cut to it instead of drawn again.

  Args:
    key: of the draws.
    frames: `[B, T, H, W, C]`, normalised.
    probability: of a clip to get a box.
  """
  batch_size, _, height, width, _ = frames.shape
  keys = jax.random.split(key, 5)
  area, log_ratio, top, left = (
    jax.random.uniform(k, (batch_size,), minval=low, maxval=high)
    for k, (low, high) in zip(
      keys, (ERASE_AREA, jnp.log(jnp.array(ERASE_RATIO)), (0, 1), (0, 1))
    )
  )
  area, ratio = area * height * width, jnp.exp(log_ratio)
  h = jnp.minimum(jnp.round(jnp.sqrt(area * ratio)), height)
  w = jnp.minimum(jnp.round(jnp.sqrt(area / ratio)), width)
  top, left = (
    jnp.floor(top * (height - h + 1)),
    jnp.floor(left * (width - w + 1)),
  )
  inside = box(top, left, top + h, left + w, height, width)  # [B, H, W]
  erased = jax.random.bernoulli(keys[4], probability, (batch_size, 1, 1))
  return jnp.where((inside & erased)[:, None, :, :, None], 0, frames)


def box(top, left, bottom, right, height, width):
  """Which pixels are in boxes given by `[B]` edges, bool `[B, H, W]`."""
  top, left, bottom, right = (
    edge[:, None] for edge in (top, left, bottom, right)
  )
  y, x = jnp.arange(height)[None], jnp.arange(width)[None]
  rows = (y >= top) & (y < bottom)  # [B, H]
  columns = (x >= left) & (x < right)  # [B, W]
  return rows[:, :, None] & columns[:, None, :]


def mix_weights(key, size, mixup_alpha, cutmix_alpha):
  """How much of itself a clip keeps at each pixel, float32 `[H, W]` in [0, 1].

  The same for a batch. Mixup (Zhang et al., arXiv 1710.09412) keeps a share
  drawn from Beta(alpha, alpha) everywhere; CutMix (Yun et al., arXiv
  1905.04899) everything but a box of a share drawn so. With both, each batch
  gets one of them with equal probability.
  """
  kind_key, mixup_key, cutmix_key, y_key, x_key = jax.random.split(key, 5)
  height, width = size
  if mixup_alpha > 0:
    share = jax.random.beta(mixup_key, mixup_alpha, mixup_alpha)
    mixup = jnp.full(size, share)
  if cutmix_alpha > 0:
    share = jax.random.beta(cutmix_key, cutmix_alpha, cutmix_alpha)
    h, w = (jnp.floor(jnp.sqrt(1 - share) * n) for n in size)
    y = jax.random.randint(y_key, (), 0, height)
    x = jax.random.randint(x_key, (), 0, width)
    edges = (y - h // 2, x - w // 2, y + h // 2, x + w // 2)
    inside = box(*(edge[None] for edge in edges), height, width)[0]
    cutmix = 1 - inside.astype(jnp.float32)
  if mixup_alpha > 0 and cutmix_alpha > 0:
    return jnp.where(jax.random.bernoulli(kind_key), cutmix, mixup)
  return mixup if mixup_alpha > 0 else cutmix


def mix(frames, label, weights):
  """Mixes every clip with the one before it in the batch.

  Args:
    frames: `[B, T, H, W, C]`.
    label: `[B, K]`, shares of the classes.
    weights: `[H, W]`, from `mix_weights`.

  Returns:
    `(frames, label)`; labels are mixed in the mean proportion of the pixels.
  """
  share = weights.mean()
  pixels = weights[None, None, :, :, None]
  frames = pixels * frames + (1 - pixels) * jnp.roll(frames, 1, axis=0)
  return frames, share * label + (1 - share) * jnp.roll(label, 1, axis=0)
