"""TSM on Jester's gestures, with the authors' recipe for Something-Something.

  python -m tsm_jax.data.build jester --manual_dir=FRAMES --data_dir=DATA
  python -m tsm_jax.main --config configs/jester.py \\
      --config.data.source=BUILT --config.init_from=resnet50-imagenet.pth
  python -m tsm_jax.main --config configs/jester.py --mode=eval \\
      --config.data.source=BUILT

That is the efficient protocol: one clip, its centre. The accurate one adds
--config.eval.clips=2 --config.eval.crops=3 --config.eval.full_resolution=True.

For a camera: :model=mobilenet_v2,direction=past trains the online form, which
`tsm_jax.stream` runs frame by frame. The clips last about three seconds, so
that the eight frames of one are about 0.4 seconds apart; to decide earlier, and
however long a gesture lasts, every frame from the third on may have a loss of
its own, and the distance may be fixed:

  python -m tsm_jax.main \\
      --config configs/jester.py:model=mobilenet_v2,direction=past \\
      --config.data.source=BUILT --config.init_from=mobilenetv2-imagenet.pth \\
      --config.model.consensus=frames --config.model.consensus_from=3 \\
      --config.data.frame_interval=0.25 --config.data.frame_interval_jitter=0.2

Published top-1 (2 clips, full resolution; paper, table 1): default 97.0,
:shift=none 83.9. The authors give no recipe for Jester, and none of its flow;
`:modality=flow` takes what you extract, as in ssv1.py.

:recipe=modern swaps the labels of mirrored clips, with a warm-up cosine
schedule, label smoothing, mixup and, but for flow, RandAugment; the published
gain of the swaps, on Something-Something V1, and its source are in ssv1.py.
"""

from tsm_jax.configs import common, published


def get_config(arg=None):
  args = common.parse_arg(arg, **published.ARGUMENTS)
  config = published.something('jester', arg, args)
  config.data.dataset = 'jester'
  return config
