"""TSM on Something-Something V2, as published (the authors' README).

  python -m tsm_jax.data.build ssv2 --manual_dir=VIDEOS --data_dir=DATA
  python -m tsm_jax.main --config configs/ssv2.py \\
      --config.data.source=BUILT --config.init_from=resnet50-imagenet.pth
  python -m tsm_jax.main --config configs/ssv2.py --mode=eval \\
      --config.data.source=BUILT

That is the efficient protocol: one clip, its centre. The accurate one adds
--config.eval.clips=2 --config.eval.crops=3 --config.eval.full_resolution=True.

Published top-1 (accurate), the authors' README: default 61.2, :frames=16 63.1,
:depth=101 63.3. OpenMMLab's retraining of the authors' code (efficient /
accurate): 58.0 / 60.7, 58.9 / 61.0, 58.9 / 61.4. :shift=none (TSN): 30.4
(paper, table 1).

:recipe=modern swaps the labels of mirrored clips, with a warm-up cosine
schedule, label smoothing, mixup and, but for flow, RandAugment; the published
gain of the swaps, on Something-Something V1, and its source are in ssv1.py.

`:modality=flow` and the two streams together: as in ssv1.py. Of one flow, this
dataset has one image with x in red and y in green.
"""

from tsm_jax.configs import common, published


def get_config(arg=None):
  args = common.parse_arg(arg, **published.ARGUMENTS)
  config = published.something('ssv2', arg, args)
  config.data.dataset = 'ssv2'
  return config
