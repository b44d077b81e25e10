"""The fields that all configurations share, and arguments of config files.

A file of your own, in any folder:

  from tsm_jax.configs import common

  def get_config(arg=None):
    args = common.parse_arg(arg, depth=50)
    config = common.get_config('mine', arg)
    config.model.depth = args.depth
    return config
"""

from ml_collections import config_dict

from tsm_jax import errors, modalities, models
from tsm_jax.configuration import given
from tsm_jax.data import defaults

REFERENCE_BATCH = 128  # clips, for which the published learning rates are


def parse_arg(arg, **defaults):
  """Arguments of a config file: `--config configs/x.py:shift=none,depth=18`.

  >>> args = parse_arg('shift=none,depth=18', depth=50, shift='blockres')
  >>> args.depth, args.shift
  (18, 'none')

  Args:
    arg: the text after the colon, or None.
    **defaults: the arguments with their default values, which fix the types.

  Returns:
    A ConfigDict of the defaults with what `arg` changes.

  Raises:
    InputError: if a name is unknown (it suggests the nearest) or a value has
      the wrong type.
  """
  args = config_dict.ConfigDict(defaults)
  for part in filter(None, (arg or '').split(',')):
    name, _, value = part.partition('=')
    if name not in defaults:
      near = errors.nearest(name, defaults)
      raise errors.InputError(
        f'The config has no argument {name!r}; did you mean {near!r}? '
        f'Choose from {", ".join(defaults)}.'
      )
    kind = type(defaults[name])
    try:
      parsed = _truth(value) if kind is bool else kind(value)
    except (KeyError, ValueError):
      wanted = 'True or False' if kind is bool else f'of type {kind.__name__}'
      raise errors.InputError(
        f'The argument {name} is {value!r}; it must be {wanted}.'
      ) from None
    args[name] = given.value(parsed)
  return args


def _truth(value):
  return {'true': True, 'false': False}[value.lower()]


def get_config(name, arg=None):
  """The paper's Kinetics recipe without data; a config file sets the rest.

  Args:
    name: the file's name. The run is called by it and `arg`.
    arg: the arguments given to the config file, or None.
  """
  config = config_dict.ConfigDict()
  config.name = f'{name}-{arg}' if arg else name
  config.seed = 0
  config.batch_size = 64  # clips, over all devices
  # A step adds up the gradients of this many micro batches, for less memory.
  # BatchNorm normalises each with its own statistics, as it does ghost batches.
  config.accumulation = 1
  # Splits parameters and optimiser state over the devices, for less memory;
  # they are gathered in every step.
  config.fsdp = False
  config.epochs = 50.0
  # Where a new run takes its weights from: a PyTorch file or another workdir.
  config.init_from = ''
  config.label_smoothing = 0.0
  # Both mix two clips; with both, a batch gets one or the other.
  config.mixup_alpha = 0.0  # of Beta(alpha, alpha); 0: off
  config.cutmix_alpha = 0.0  # of Beta(alpha, alpha); 0: off
  config.erase_probability = 0.0  # that a clip loses a random box
  # Above 0, averages of the parameters are evaluated and saved as the model.
  config.ema_decay = 0.0
  config.log_every_steps = 20
  # Each of several processes ends if no step ends for this long; 0: never.
  config.stall_seconds = 900.0

  # tsm_jax/models/config.py explains the fields.
  config.model = config_dict.ConfigDict(models.DEFAULTS)

  _add_data(config)
  _add_optimisation(config)
  _add_evaluation(config)
  return config


def _add_data(config):
  data = config.data = config_dict.ConfigDict()
  # A folder of videos, a CSV or JSON list, a recording that is marked in ELAN
  # or VIA, a built dataset, 'motion' or 'long_motion' (drawn).
  data.source = ''
  # The published dataset of the recipe, such as 'ssv2'; '': your own clips. It
  # only decides the number of classes and clips where there is no data.
  data.dataset = ''
  data.data_dir = ''  # of built datasets; '' is TFDS_DATA_DIR or TFDS's own
  data.labels = ''  # file with a class per line; '': the training split's
  # A clip of a list may have several labels: 'a|b', or an array in JSON.
  data.multi_label = False
  # Which clips are 'val' where no split is given: holdout (their share of each
  # class), holdout_seed, holdout_rule ('stratified': exactly that share;
  # 'hash': about that share, as in earlier versions), group (a regular
  # expression, which finds in the path of a clip what it belongs to, such as a
  # person, who is then on one side; '': the column `group`), folds (as many
  # equal parts, of which fold is 'val'; 0: none).
  data.update(defaults.Splits()._asdict())
  # A class, whose clips are made of what is between the parts of long videos
  # that a list names; '': none.
  data.background = ''
  # The share of unusable videos above which the build stops.
  data.max_excluded = defaults.MAX_EXCLUDED
  # How clips are stored: short_side (pixels; smaller ones are not enlarged),
  # quality (of JPEGs), storage ('frames': JPEG, fastest; 'video': H.264,
  # smaller; either decodes sampled frames only), fps (frames per second that
  # videos are resampled to; 0: their own frames) and max_frames (of a clip;
  # longer ones are not used).
  data.update(defaults.USUAL._asdict())
  data.image_size = 224  # pixels, of the network's input
  # mean and std (of all channels, or of each), divisor (of pixels),
  # channel_order ('rgb' or 'bgr') and scales (of training crops) of the input.
  look_at(config, config.model.modality)
  # How training crops are resized: 'fast' (OpenCV) is within one level of
  # 'exact' (Pillow) where it enlarges, and slightly less smooth where it
  # shrinks by up to 1.25.
  data.resize = 'fast'
  # Mirrored training clips: 'off'; 'on'; 'swap' gives them the mirrored label
  # where labels tell left from right, by their texts.
  data.flip = 'on'
  # Against rare classes being neglected: 'sampling' (training has clips of
  # each class equally often) or 'loss' (a clip weighs more, the rarer its class
  # is); 'off'.
  data.balance = 'off'
  data.randaugment_ops = 0  # random operations on every training clip
  data.randaugment_magnitude = 9.0  # strength of the operations, 0 to 30
  data.sampling = 'uniform'  # over the whole video, or 'dense': 64 frames
  # For cameras: the seconds between the frames of a clip, whatever the rate of
  # its video, in place of data.sampling; 0: off.
  data.frame_interval = 0.0
  data.frame_interval_jitter = 0.0  # varies it in training by up to this share
  data.official_quirks = False  # the official code's oddities in sampling
  data.num_threads = 16  # that decode, per process


def _add_optimisation(config):
  config.base_learning_rate = 0.02  # for a batch of 128 clips
  # The linear scaling rule: the learning rate follows the batch.
  config.learning_rate = (
    config.get_ref('base_learning_rate')
    * config.get_ref('batch_size')
    / REFERENCE_BATCH
  )
  schedule = config.schedule = config_dict.ConfigDict()
  schedule.kind = 'step'  # 'step', 'cosine'
  schedule.milestones = (20.0, 40.0)  # epochs, for 'step'
  schedule.warmup_epochs = -1.0  # -1: by the batch, see warm_up.py

  optimizer = config.optimizer = config_dict.ConfigDict()
  optimizer.kind = 'sgd'  # or 'adamw', which wants much smaller rates
  optimizer.momentum = 0.9  # of 'adamw' it is beta1
  optimizer.weight_decay = 1e-4
  optimizer.clip_norm = 20.0  # 0: no clipping
  optimizer.head_scale = 1.0  # 5 for a new head on a pretrained network


def _add_evaluation(config):
  config.eval = config_dict.ConfigDict()
  config.eval.split = 'val'
  config.eval.every_epochs = 1.0  # 0: only at the end
  # The run ends after so many evaluations without a better top-1; 0: never.
  config.eval.patience = 0
  # The logits of clips x crops views are averaged. The paper's protocols are
  # 1 x 1, and at full resolution 2 x 3 or, for dense sampling, 10 x 3.
  config.eval.clips = 1  # over time
  config.eval.crops = 1  # 1 (centre), 3 (left, right, centre), 5, 10
  config.eval.full_resolution = False  # crops of 256 pixels instead of 224
  # BatchNorm's statistics are computed anew from this many training batches
  # before every evaluation and save; 0: the running ones.
  config.eval.precise_bn_batches = 0
  # A number that follows the batch: to set it leaves the batch as it is.
  config.eval.batch_size = config.get_ref('batch_size') * 1

  config.checkpoint = config_dict.ConfigDict()
  config.checkpoint.every_steps = 1000
  config.checkpoint.keep = 2  # latest checkpoints
  config.checkpoint.keep_best = 1  # models of highest top-1, in `best/`


def leave_open(config, *fields):
  """Leaves fields to the data and the device: they become None.

  What suits them is chosen by `tsm_jax/data/choosing.py` when a run starts.

  Args:
    config: a ConfigDict, changed in place.
    *fields: names, such as 'model.depth'.
  """
  for field in fields:
    section, _, name = field.rpartition('.')
    # A reference keeps the type, which flags need.
    (config[section] if section else config).get_ref(name).set(None)


def look_at(config, modality):
  """Makes 'rgb', 'flow' or 'rgb_diff' the input, as published weights want it.

  Raises:
    InputError: if there is no such modality.
  """
  if modality not in modalities.MODALITIES:
    raise errors.InputError(
      f'The argument modality is {modality!r}; choose from '
      f'{", ".join(map(repr, modalities.MODALITIES))}.'
    )
  config.model.modality = modality
  usual = modalities.normalization(config.model.name, modality)
  config.data.update(usual._asdict())
  config.data.scales = modalities.MODALITIES[modality].scales
