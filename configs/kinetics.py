"""TSM on Kinetics-400, as published (paper, section 5; the authors' README).

Prepare, train from torchvision's ImageNet weights, evaluate:

  python -m tsm_jax.data.build kinetics400 --manual_dir=VIDEOS \\
      --data_dir=DATA --storage=video
  python -m tsm_jax.main --config configs/kinetics.py \\
      --config.data.source=BUILT --config.init_from=resnet50-imagenet.pth
  python -m tsm_jax.main --config configs/kinetics.py --mode=eval \\
      --config.data.source=BUILT

The same with 10 crops: --config.eval.crops=10; `:dense=True` is evaluated with
--config.eval.clips=10 --config.eval.crops=3 --config.eval.full_resolution=True.

Published top-1 of the authors' README (top-1 with 1 crop / with 10):
  :shift=none (5 frames) 68.8 / 69.9      default (8 frames) 71.2 / 72.8
  :frames=16 72.6 / 73.7
with 10 clips of 3 crops: :dense=True 74.1, :dense=True,non_local=True 75.6,
:model=mobilenet_v2,dense=True 69.5. OpenMMLab's retraining of the authors' code
reached 70.4, 70.7 (16 frames), 72.2 (dense) and 71.8 (dense, non-local).

:recipe=modern adds a warm-up cosine schedule, label smoothing, mixup and, but
for flow, RandAugment; the published gain of a part of such recipes, on another
dataset, and its source are in ssv1.py.

Optical flow (`:modality=flow`) is used to start from it elsewhere; the authors
publish 55.7 top-1, 79.5 top-5, but no names of files: extract it as for UCF101,
write `{train,val}_videofolder_flow.txt`, and build frame_lists with
--modality=flow.
"""

from tsm_jax.configs import common, published


def get_config(arg=None):
  args = common.parse_arg(arg, dense=False, **published.ARGUMENTS)
  config = published.recipe('kinetics', arg, args)
  config.data.dataset = 'kinetics400'
  if args.modality != 'flow':  # which is kept as its images
    config.data.storage = 'video'  # a fifth of the disk
  if args.shift == 'none' and 'frames' not in (arg or ''):
    config.model.num_frames = 5  # as TSN was trained
  if args.dense:
    config.data.sampling = 'dense'
    config.epochs = 100.0
    config.batch_size = 64
    config.schedule.milestones = (40.0, 80.0)
  return config
