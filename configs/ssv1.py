"""TSM on Something-Something V1, as published (the authors' README).

  python -m tsm_jax.data.build ssv1 --manual_dir=FRAMES --data_dir=DATA
  python -m tsm_jax.main --config configs/ssv1.py \\
      --config.data.source=BUILT --config.init_from=resnet50-imagenet.pth
  python -m tsm_jax.main --config configs/ssv1.py --mode=eval \\
      --config.data.source=BUILT

That is the efficient protocol: one clip, its centre. The accurate one adds
--config.eval.clips=2 --config.eval.crops=3 --config.eval.full_resolution=True.

Published top-1 (efficient / accurate), the authors' README: default
45.6 / 47.2, :frames=16 47.2 / 48.4, :depth=101 46.9 / 48.7. OpenMMLab's
retraining of the authors' code: 45.5 / 47.3, 47.1 / 48.6, 46.6 / 48.1.
:shift=none (TSN): 19.7 efficient (paper, table 2).

:recipe=modern swaps the labels of mirrored clips; OpenMMLab measured
47.1 / 48.5 with that alone.

Two streams: build the flow, too, train it and evaluate both together:

  python -m tsm_jax.data.build frame_lists --modality=flow \\
      --manual_dir=LISTS --data_dir=DATA
  python -m tsm_jax.main --config configs/ssv1.py:modality=flow \\
      --config.data.source=FLOW --config.init_from=resnet50-imagenet.pth
  python -m tsm_jax.ensemble runs/ssv1 runs/ssv1-modality=flow \\
      --clips=2 --crops=3 --full_resolution

With 16 frames each, RGB and flow reached 52.6 (paper, table 2).
"""

from tsm_jax.configs import common, published


def get_config(arg=None):
  args = common.parse_arg(arg, **published.ARGUMENTS)
  config = published.something('ssv1', arg, args)
  config.data.dataset = 'ssv1'
  return config
