"""Something happens, or nothing: long videos, frame by frame, in minutes.

  python -m tsm_jax.main --config configs/quickstart_online.py
  python -m tsm_jax.main --config configs/quickstart_online.py:shift=none

In the videos, motions start and stop; between them, all stands still or
something happens that is none of them (see
`tsm_jax/data/sources/drawn/long_motion.py`). Trained on clips of the motions
and of what is between them, the model is shown whole videos: docs/stream.md.
"""

from tsm_jax.configs import common


def get_config(arg=None):
  args = common.parse_arg(arg, shift='blockres', direction='past')
  config = common.get_config('quickstart_online', arg)
  config.batch_size = 32
  config.epochs = 7.0
  config.log_every_steps = 10

  config.model.update(
    depth=18,
    stage_sizes=(1, 1, 1),
    width=16,
    fold_div=4,  # an eighth of so few channels would carry too little
    num_frames=6,
    shift=args.shift,
    direction=args.direction,
    dropout=0.0,
    # Every frame of a stream is answered. One whose past the network has not
    # seen, as the first ones of a clip, cannot tell.
    consensus='frames',
    consensus_from=3,
  )

  data = config.data
  data.source = data.dataset = 'long_motion'
  data.background = 'nothing'
  data.frame_interval = 0.15
  data.frame_interval_jitter = 0.3
  data.image_size = 48
  data.mean = (0.5, 0.5, 0.5)
  data.std = (0.25, 0.25, 0.25)
  data.scales = (1.0, 0.875)
  data.flip = 'off'  # left and right are classes
  data.resize = 'exact'  # as the numbers in docs/stream.md were measured

  config.base_learning_rate = 0.8
  config.schedule.update(kind='cosine', warmup_epochs=1.0)
  config.checkpoint.every_steps = 200
  return config
