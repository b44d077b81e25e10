"""The part that all networks share: frames in, logits out."""

import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from tsm_jax import errors, modalities
from tsm_jax.models import shift_forms
from tsm_jax.models.layers import batch_norm, convolution, temporal_shift

CHANNELS = {name: m.channels for name, m in modalities.MODALITIES.items()}
REMAT = ('none', 'block', 'stage')


class VideoClassifier(nn.Module):
  """A 2D network that is applied to every frame and averages their logits.

  A subclass defines `features(x, num_frames, train)`, which maps the frames
  `[B * T, H, W, C]` to features `[B * T', F]`.

  Attributes:
    num_classes: number of logits.
    direction: 'both' or 'past', see `temporal_shift`.
    fold_div: see `temporal_shift`.
    shift_form: how the shift is written, see `shift_forms.choose`.
    platform: of the devices that run it, 'cpu', 'gpu' or 'tpu'; None is any. It
      decides how convolutions and, with `shift_form='auto'`, shifts are
      written, which changes no number but by rounding.
    dropout: probability; every frame draws its own mask.
    modality: 'rgb', 'flow' or 'rgb_diff', which decides the channels of a
      frame.
    partial_bn: in training, only the first BatchNorm uses and updates batch
      statistics; the others normalise by the running ones. Keeping their scale
      and bias fixed is up to the optimiser. The norm of a non-local block is
      trained all the same: it starts at zero, and with the official code,
      which freezes it, the block never contributes.
    frozen_bn: all norms use their running statistics in training, too.
    ghost_clips: in training, consecutive groups of this many clips are each
      normalised by their own statistics; 0 means the whole batch.
    consensus: what a clip's logits are: the 'mean' over its frames, or over its
      'frames' from `consensus_from` on; 'none' leaves those of each frame. How
      they are trained is up to the step, see `program.step`.
    consensus_from: with 'frames', the first of them, from 1.
    streaming: a call goes on where the last one ended: the shifts keep what the
      next frame needs in the collection 'cache' (see `tsm_jax.stream`). It sees
      one frame per row, or with `consensus='none'` several.
    dtype: of the computation; parameters, statistics and logits are float32.
    remat: in training, the activations inside every 'block' or every 'stage'
      are recomputed in the backward pass; 'none' stores them.
  """

  # Whether shifts by products suit the network, see `folding.folded`: only
  # convolutions read what is shifted, and there are few channels.
  shift_by_products = False

  num_classes: int
  direction: str = 'both'
  fold_div: int = 8
  shift_form: str = 'auto'
  platform: str | None = None
  dropout: float = 0.5
  modality: str = 'rgb'
  partial_bn: bool = False
  frozen_bn: bool = False
  ghost_clips: int = 0
  consensus: str = 'mean'
  consensus_from: int = 1
  streaming: bool = False
  dtype: Any = jnp.float32
  remat: str = 'none'

  @nn.compact
  def __call__(self, frames, train=False):
    """Classifies clips.

    Args:
      frames: `[B, T, H, W, C]` float, normalised; C is 3 for RGB, 10 for flow,
        15 for RGB difference.
      train: use batch statistics and dropout (rng 'dropout').

    Returns:
      Logits `[B, num_classes]` float32, the mean over the frames that
      `consensus` says; with 'none' those of each frame, `[B, T, num_classes]`.

    Raises:
      ValueError: if `frames` has not five axes or the modality's channels.
    """
    channels = CHANNELS[self.modality]
    if frames.ndim != 5 or frames.shape[-1] != channels:
      raise ValueError(
        f'A {self.modality} model takes frames [B, T, H, W, {channels}], got '
        f'the shape {frames.shape}.'
      )
    batch_size, num_frames = frames.shape[:2]
    if self.streaming and num_frames != 1 and self.consensus != 'none':
      raise ValueError(f'A stream takes one frame at a time, got {num_frames}.')
    x = frames.reshape((-1, *frames.shape[2:])).astype(self.dtype)
    x = self.features(x, num_frames, train)  # [B * T', F]
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    logits = head(self.num_classes, self.dtype)(x)  # [B * T', K]
    logits = logits.astype(jnp.float32)
    logits = logits.reshape((batch_size, -1, self.num_classes))
    return logits if self.consensus == 'none' else self.clip_logits(logits)

  def clip_logits(self, logits):
    """The logits of clips `[B, K]` from those of their frames `[B, T, K]`.

    Raises:
      ValueError: if a clip ends before `consensus_from`.
    """
    if self.consensus == 'frames':
      logits = self.decisive(logits)
    return logits.mean(axis=1)

  def decisive(self, logits):
    """Of the logits of frames `[B, T, K]`, those from `consensus_from` on."""
    if logits.shape[1] < self.consensus_from:
      raise ValueError(
        f'The clip has {logits.shape[1]} frames, but its consensus begins with '
        f'frame {self.consensus_from}.'
      )
    return logits[:, self.consensus_from - 1 :]

  def apply_stage(self, blocks, x, train):
    """Applies the blocks of a stage in turn, recomputed as `remat` says.

    Args:
      blocks: lists of modules with a name and without a parent, which become
        children of this module. 'block' recomputes each list as a whole.
      x: features.
      train: as in `__call__`.

    Returns:
      The features after the last block.
    """

    def apply(modules, parent, x):
      for module in modules:
        x = module.clone(parent=parent)(x)
      return x

    stage = [module for block in blocks for module in block]
    if not train or self.remat == 'none':
      return apply(stage, self, x)
    for modules in blocks if self.remat == 'block' else [stage]:
      x = nn.remat(functools.partial(apply, modules))(self, x)
    return x

  def norms(self, train, batch_size, **fields):
    """Constructors of the first BatchNorm and of all others.

    Args:
      train: as in `__call__`.
      batch_size: number of clips.
      **fields: other fields of `BatchNorm`.

    Returns:
      Two functions from the remaining fields of `BatchNorm` to the module.

    Raises:
      InputError: if the batch does not divide into ghost batches.
    """
    clips = self.ghost_clips if train else 0
    if clips and batch_size % clips:
      raise errors.InputError(
        f'model.ghost_clips is {clips}, which does not divide the batch of '
        f'{batch_size} clips.'
      )
    norm = functools.partial(
      batch_norm.BatchNorm,
      dtype=self.dtype,
      num_groups=batch_size // clips if clips else 1,
      **fields,
    )
    first = train and not self.frozen_bn
    others = first and not self.partial_bn
    return functools.partial(norm, first), functools.partial(norm, others)

  def convolutions(self, **fields):
    """Constructor of convolutions, see `convolution.convolution`."""
    return functools.partial(
      convolution.convolution,
      dtype=self.dtype,
      conv_general_dilated=convolution.form(self.platform),
      **fields,
    )

  def temporal_shift(self, num_frames, train):
    """Constructor of the temporal shift, for clips of `num_frames` frames."""
    use = 'training' if train else 'inference'
    return functools.partial(
      temporal_shift.TemporalShift,
      num_frames,
      self.fold_div,
      self.direction,
      self.streaming,
      shift_forms.choose(self.shift_form, self.platform, use),
    )


def head(num_classes, dtype=jnp.float32):
  """The linear classifier of a frame's features."""
  return nn.Dense(
    num_classes,
    kernel_init=nn.initializers.normal(0.001),
    dtype=dtype,
    name='head',
  )
