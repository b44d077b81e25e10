"""TSM on UCF101, fine-tuned from Kinetics (the authors' README).

  python -m tsm_jax.data.build ucf101 --split=1 \\
      --manual_dir=VIDEOS --data_dir=DATA
  python -m tsm_jax.main --config configs/ucf101.py \\
      --config.data.source=BUILT --config.init_from=KINETICS_CHECKPOINT
  python -m tsm_jax.main --config configs/ucf101.py --mode=eval \\
      --config.data.source=BUILT --config.eval.clips=2 --config.eval.crops=3 \\
      --config.eval.full_resolution=True

That is the accurate protocol; without the last three flags it is the efficient
one: one clip, its centre.

Published top-1 (2 clips, full resolution; paper, table 1): default 95.9,
:shift=none 91.7.

:recipe=modern adds a warm-up cosine schedule, label smoothing, mixup and, but
for flow, RandAugment; the published gain of a part of such recipes, on another
dataset, and its source are in ssv1.py.

Optical flow, and both streams together:

  python -m tsm_jax.data.build frame_lists --split=1 --modality=flow \\
      --manual_dir=LISTS --data_dir=DATA
  python -m tsm_jax.main --config configs/ucf101.py:modality=flow \\
      --config.data.source=FLOW --config.init_from=KINETICS_FLOW_CHECKPOINT
  python -m tsm_jax.ensemble RUN RUN-modality=flow --clips=2 --crops=3 \\
      --full_resolution

Both are matched by the names of the videos: build RGB by frame_lists, too.
"""

from tsm_jax.configs import common, published


def get_config(arg=None):
  args = common.parse_arg(arg, **published.ARGUMENTS)
  config = published.fine_tuned('ucf101', arg, args)
  config.data.dataset = 'ucf101'
  return config
