"""Models of RGB and of flow, of the same videos."""

import numpy as np

from support import helpers, nets
from tsm_jax import models
from tsm_jax.configs import common
from tsm_jax.data.input import preprocess
from tsm_jax.ensemble import matching
from tsm_jax.runs import checkpoints, identity

LABELS = ['jump', 'run']
# As videos and as folders these are sorted differently: '-' < '.' < 'x'.
CLIPS = ('1', '1-x', '1x', '2')


def write_sources(root):
  """The same videos as RGB and as flow."""
  for split in ('train', 'val'):
    for number, label in enumerate(LABELS):
      for seed, clip in enumerate(CLIPS):
        place = root / 'rgb' / split / label
        helpers.write_video(
          place / f'{clip}.mp4', 12, seed=seed, bright=number + seed
        )
        helpers.write_flow(
          root / 'flow' / split / label / clip,
          7 + seed,
          mean=(90 + 30 * seed, 120 + 20 * number),
        )
  return root


def write_members(root, sources):
  """Checkpoints of two networks that nobody trained, but that disagree."""
  return [
    write_run(root / modality, sources / modality, root, modality, num_frames)
    for modality, num_frames in (('rgb', 4), ('flow', 2))
  ]


def write_run(workdir, source, data_dir, modality, num_frames=4, labels=LABELS):
  config = helpers.tiny_config(source, data_dir)
  config.model.update(depth=18, num_frames=num_frames, num_classes=len(labels))
  common.look_at(config, modality)
  model = models.create_model(config.model)
  how = preprocess.Preprocessing.from_config(config)
  frames = np.zeros(how.clip_shape(), np.float32)
  variables = nets.tiny_variables(model, frames)
  head = np.random.default_rng(num_frames).normal(size=(8, len(labels)))
  variables['params']['head']['kernel'] = 8 * head.astype(np.float32)
  meta = identity.describe(config, list(labels), '')
  checkpoints.save_model(workdir, variables, meta)
  return matching.Member(str(workdir))
