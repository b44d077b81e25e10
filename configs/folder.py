"""A classifier for your own folder of clips, one sub-folder per class.

  python -m tsm_jax.main --config configs/folder.py \\
      --config.data.source=/path/to/videos

What suits your data is chosen when it starts: the network, the size of its
input, rate, length and mirrors follow from the number of clips, the names of
the classes, the device, and whether there are weights to start from
(`--config.init_from`). The run prints what it chose and why; each is a field,
and what you set yourself stays (see docs/train.md).

For a camera, `:direction=past` trains a model that never looks ahead, with a
loss of every frame from the third on and frames 0.2 seconds apart (see
docs/stream.md):

  python -m tsm_jax.main --config configs/folder.py:direction=past \\
      --config.data.source=/path/to/videos \\
      --config.model.consensus=frames --config.model.consensus_from=3 \\
      --config.data.frame_interval=0.2 --config.data.frame_interval_jitter=0.2

Arguments: `configs/folder.py:depth=50,shift=none`; depth=0 is chosen, too. No
number to expect: it is your data.
"""

from tsm_jax.configs import common

# In the order in which they are told.
OPEN = (
  'model.name',
  'model.depth',
  'model.stage_sizes',
  'model.width',
  'model.fold_div',
  'model.dropout',
  'data.image_size',
  'data.short_side',
  'data.flip',
  'base_learning_rate',
  'epochs',
  'schedule.warmup_epochs',
  'label_smoothing',
  'optimizer.head_scale',
  'eval.every_epochs',
)


def get_config(arg=None):
  args = common.parse_arg(
    arg,
    depth=0,
    frames=8,
    shift='blockres',
    direction='both',
    modality='rgb',
  )
  config = common.get_config('folder', arg)
  config.batch_size = 16
  config.model.update(
    num_frames=args.frames, shift=args.shift, direction=args.direction
  )
  common.look_at(config, args.modality)
  config.schedule.kind = 'cosine'
  config.checkpoint.every_steps = 200
  common.leave_open(config, *OPEN)
  if args.depth:
    config.model.depth = args.depth
  return config
