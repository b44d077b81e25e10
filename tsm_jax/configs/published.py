"""The recipes of the paper's authors, shared by the datasets' files."""

from tsm_jax import errors
from tsm_jax.configs import common

# The arguments that all of them take.
ARGUMENTS = {
  'model': 'resnet',
  'depth': 50,
  'frames': 8,
  'shift': 'blockres',
  'direction': 'both',
  'non_local': False,
  'modality': 'rgb',
  'recipe': 'paper',
}


def recipe(name, arg, args):
  """The authors' recipe for Kinetics, from ImageNet weights.

  Args:
    name: the file's name.
    arg: the arguments given to the config file, or None.
    args: the same, parsed; at least those of `ARGUMENTS`.

  Returns:
    A config; with `recipe='modern'`, see `modernize`.
  """
  config = common.get_config(name, arg)
  config.batch_size = 128
  config.model.update(
    name=args.model,
    depth=args.depth,
    num_frames=args.frames,
    shift=args.shift,
    direction=args.direction,
    non_local=args.non_local,
  )
  common.look_at(config, args.modality)
  config.optimizer.head_scale = 5.0  # for the new head
  if args.model == 'mobilenet_v2':
    # OpenMMLab needed these to come near the released model.
    config.epochs = 100.0
    config.schedule.milestones = (40.0, 80.0)
    config.optimizer.weight_decay = 4e-5
  if args.recipe not in ('paper', 'modern'):
    raise errors.InputError(
      f"The argument recipe is {args.recipe!r}; choose from 'paper', 'modern'."
    )
  if args.recipe == 'modern':
    modernize(config)
  return config


def something(name, arg, args):
  """The authors' recipe for Something-Something: half the batch, no mirrors."""
  config = recipe(name, arg, args)
  config.batch_size = 64
  config.data.flip = 'off' if args.recipe == 'paper' else 'swap'
  if args.model != 'mobilenet_v2':  # which needs less, see `recipe`
    config.optimizer.weight_decay = 5e-4
  return config


def fine_tuned(name, arg, args):
  """The authors' recipe for UCF101 and HMDB51, from a Kinetics checkpoint."""
  config = recipe(name, arg, args)
  config.batch_size = 64
  config.base_learning_rate = 0.002
  config.epochs = 25.0
  config.schedule.milestones = (10.0, 20.0)
  config.optimizer.weight_decay = 5e-4
  config.model.dropout = 0.8
  config.model.partial_bn = True
  return config


def modernize(config):
  """Adds what later recipes do: cosine schedule and stronger augmentation.

  Flow gets no RandAugment, whose operations are for pictures.
  """
  config.schedule.update(kind='cosine', warmup_epochs=5.0)
  config.label_smoothing = 0.1
  config.mixup_alpha = 0.2
  config.data.randaugment_ops = 0 if config.model.modality == 'flow' else 2
