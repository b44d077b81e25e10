"""A classifier for your own folder of clips, one sub-folder per class.

  python -m tsm_jax.main --config configs/folder.py \\
      --config.data.source=/path/to/videos --config.data.flip=swap

For a camera, `:direction=past` trains a model that never looks ahead, with a
loss of every frame from the third on and frames 0.2 seconds apart (see
docs/stream.md):

  python -m tsm_jax.main --config configs/folder.py:direction=past \\
      --config.data.source=/path/to/videos \\
      --config.model.consensus=frames --config.model.consensus_from=3 \\
      --config.data.frame_interval=0.2 --config.data.frame_interval_jitter=0.2

Arguments: `configs/folder.py:depth=18,shift=none`. Mirrored clips are off until
you ask for them: 'swap' where the names of classes tell left from right, else
'on'. No number to expect: it is your data.
"""

from tsm_jax.configs import common


def get_config(arg=None):
  args = common.parse_arg(
    arg,
    depth=50,
    frames=8,
    shift='blockres',
    direction='both',
    modality='rgb',
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
  common.look_at(config, args.modality)
  config.data.flip = 'off'
  config.schedule.update(kind='cosine', warmup_epochs=5.0)
  config.checkpoint.every_steps = 200
  return config
