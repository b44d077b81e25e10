"""A classifier for your own folder of clips, one sub-folder per class.

  python -m tsm_jax.main --config configs/folder.py \\
      --config.data.source=/path/to/videos --config.data.flip=True

Arguments: `configs/folder.py:depth=18,shift=none`. Mirrored clips are off until
you say that left and right mean the same in your classes. No number to expect:
it is your data.
"""

from configs import common


def get_config(arg=None):
  args = common.parse_arg(
    arg, depth=50, frames=8, shift='blockres', direction='both'
  )
  config = common.get_config('folder', arg)
  config.batch_size = 16
  config.epochs = 50.0
  config.model.update(
    depth=args.depth,
    num_frames=args.frames,
    shift=args.shift,
    direction=args.direction,
  )
  config.data.flip = False
  config.schedule.update(kind='cosine', warmup_epochs=5.0)
  config.checkpoint.every_steps = 200
  return config
