"""What suits clips of one's own: a function for each field that may be open."""

import math
from typing import Any, NamedTuple

import numpy as np

from tsm_jax import models
from tsm_jax.data.input import flips, preprocess
from tsm_jax.models import cost

# Multiply-adds of a training step: its backward pass costs two forward ones.
STEP_COST = 3
# What training on a CPU may take, in multiply-adds: about a quarter of an hour
# of two cores, which together do about CPU_SPEED in a second (measured on an
# AMD EPYC).
CPU_SPEED = 14e9
CPU_BUDGET = 15 * 60 * CPU_SPEED
MANY = 5000  # clips, with which a large network is worth its time
# Elsewhere, the epochs of published recipes, and more where clips are few, so
# that at least that many are seen, all epochs together.
SCRATCH_EPOCHS, SCRATCH_PASSES = 50.0, 20_000
TUNED_EPOCHS, TUNED_PASSES = 25.0, 10_000
FEW_EPOCHS, FEW_PASSES = 60.0, 6000  # on a CPU, are enough for few clips
MIN_EPOCHS = 10.0  # on a CPU, however many clips there are
MAX_EPOCHS = 400.0  # however few
# A batch of 16 clips then has a rate of 0.02, with and without the weights.
SCRATCH_RATE = 0.16
TUNED_RATE = 0.02  # of the paper, for weights of ImageNet
SMALLEST = 32  # pixels, however small the videos are
EVALUATIONS = 10  # of a run
ONLY_RESNETS = 'only a ResNet has it'


class Facts(NamedTuple):
  """What choices follow from.

  Attributes:
    clips: number of clips for training.
    labels: class names by index.
    platform: 'cpu', 'gpu' or 'tpu'.
    weights: fields of the model that a run starts from, {} if there are such
      weights of several models; None without any.
    short_side: of the usual video, pixels; None if it is not known.
    stored: how the clips of a dataset that is built already are stored, as
      `defaults.Options`; None of others.
  """

  clips: int
  labels: list[str]
  platform: str
  weights: dict[str, Any] | None = None
  short_side: int | None = None
  stored: dict[str, Any] | None = None


class Choice(NamedTuple):
  """A value of a field, and why: the end of a sentence."""

  value: Any
  reason: str


def _name(config, facts):
  theirs = (facts.weights or {}).get('name')
  if theirs:
    return Choice(theirs, 'as the weights')
  return Choice('resnet', 'the network of the paper')


def _depth(config, facts):
  theirs = (facts.weights or {}).get('depth')
  if theirs:
    return Choice(theirs, 'as the weights')
  if config.model.name != 'resnet':
    return Choice(50, ONLY_RESNETS)
  if facts.platform == 'cpu':
    return Choice(18, 'the smallest, as this is a CPU')
  if facts.weights is None and facts.clips < MANY:
    return Choice(18, f'{facts.clips} clips are few for a larger one')
  return Choice(50, 'the network of the paper')


def _stage_sizes(config, facts):
  if facts.weights is not None:
    return Choice(facts.weights.get('stage_sizes', ()), 'as the weights')
  if config.model.name != 'resnet':
    return Choice((), ONLY_RESNETS)
  if facts.platform == 'cpu' and config.model.depth == 18:
    return Choice((1, 1, 1, 1), 'half of its blocks, which learn sooner')
  return Choice((), 'as published')


def _width(config, facts):
  if facts.weights is not None:
    return Choice(facts.weights.get('width', 64), 'as the weights')
  if config.model.name != 'resnet':
    return Choice(64, ONLY_RESNETS)
  if facts.platform == 'cpu':
    return Choice(32, 'half of the usual channels, as this is a CPU')
  return Choice(64, 'the usual number of channels')


def _fold_div(config, facts):
  theirs = (facts.weights or {}).get('fold_div')
  if theirs:
    return Choice(theirs, 'as the weights')
  if config.model.width < 64:
    return Choice(4, 'an eighth of few channels carries too little')
  return Choice(8, 'as published: an eighth of the channels in each direction')


def _dropout(config, facts):
  if facts.weights is None and facts.platform == 'cpu':
    return Choice(0.2, 'a small network needs little')
  return Choice(0.5, 'as published')


def _image_size(config, facts):
  tuned = facts.weights is not None
  if facts.platform == 'cpu':
    found = Choice(112 if tuned else 72, 'as this is a CPU')
  elif tuned or facts.clips >= MANY:
    found = Choice(224, 'as published')
  else:
    found = Choice(112, f'for {facts.clips} clips without weights')
  if config.model.name == 'bn_inception' and found.value % 32:
    size = 32 * math.ceil(found.value / 32)
    found = Choice(size, f'{found.reason}; bn_inception takes multiples of 32')
  if facts.short_side and facts.short_side < found.value:
    step = 32 if config.model.name == 'bn_inception' else 8
    size = max(SMALLEST, facts.short_side // step * step)
    return Choice(size, f'the videos have a short side of {facts.short_side}')
  return found


def _short_side(config, facts):
  if facts.stored:
    return Choice(facts.stored['short_side'], 'as the clips were built')
  # As published, 256 for 224; whole numbers of four pixels.
  side = 4 * math.ceil(config.data.image_size * 8 / 7 / 4)
  return Choice(side, f'what crops of {config.data.image_size} pixels need')


def _flip(config, facts):
  classes = flips.mirrored_classes('swap', facts.labels)
  if (classes == np.arange(len(classes))).all():
    return Choice('on', 'no class names a side')
  return Choice('swap', 'classes name sides')


def _rate(config, facts):
  if facts.weights is None:
    return Choice(SCRATCH_RATE, 'without weights, a high one')
  return Choice(TUNED_RATE, 'as published, from weights of ImageNet')


def _epochs(config, facts):
  if facts.platform == 'cpu':
    least, passes = MIN_EPOCHS, int(CPU_BUDGET / step_cost(config))
    usual, enough = 'the least', 'what two cores see in a quarter of an hour'
    few = max(FEW_PASSES, int(FEW_EPOCHS * facts.clips))
    if few < passes:
      passes, enough = few, 'enough for that few clips'
  else:
    least, passes = SCRATCH_EPOCHS, SCRATCH_PASSES
    if facts.weights is not None:
      least, passes = TUNED_EPOCHS, TUNED_PASSES
    usual, enough = 'as published', f'{passes} clips in all'
  epochs = float(passes // facts.clips)
  if epochs < least:
    return Choice(least, usual)
  if epochs > MAX_EPOCHS:
    return Choice(MAX_EPOCHS, 'the most')
  return Choice(epochs, enough)


def step_cost(config):
  """Multiply-adds of a clip in a training step."""
  model = models.create_model({**config.model, 'num_classes': 1})
  shape = preprocess.Preprocessing.from_config(config).clip_shape()
  _, layers, attention = cost.network(model, shape)
  return STEP_COST * (layers + attention)


def _warmup(config, facts):
  return Choice(config.epochs / 10, 'a tenth of the run')


def _smoothing(config, facts):
  return Choice(0.1, 'clips are few and labels may be wrong')


def _head_scale(config, facts):
  if facts.weights is None:
    return Choice(1.0, 'all layers are new')
  return Choice(5.0, 'the classifier is new')


def _every_epochs(config, facts):
  every = max(1.0, float(round(config.epochs / EVALUATIONS)))
  return Choice(every, f'{EVALUATIONS} times in the run')


# What follows from a field comes after it.
BY_FIELD = {
  'model.name': _name,
  'model.depth': _depth,
  'model.stage_sizes': _stage_sizes,
  'model.width': _width,
  'model.fold_div': _fold_div,
  'model.dropout': _dropout,
  'data.image_size': _image_size,
  'data.short_side': _short_side,
  'data.flip': _flip,
  'base_learning_rate': _rate,
  'epochs': _epochs,
  'schedule.warmup_epochs': _warmup,
  'label_smoothing': _smoothing,
  'optimizer.head_scale': _head_scale,
  'eval.every_epochs': _every_epochs,
}
