"""Tiny trained models to export, none of whose variables is at its start."""

import ml_collections
import numpy as np
import pytest

from support import helpers, nets
from tsm_jax import models, sharding
from tsm_jax.data.input import preprocess
from tsm_jax.data.store import dataset
from tsm_jax.models import bn_inception, mobilenet_v2
from tsm_jax.program import checks
from tsm_jax.runs import checkpoints, identity

TINY = {'stage_sizes': (1, 1), 'width': 8, 'num_classes': 3}


MOBILE = {'name': 'mobilenet_v2', 'width_multiplier': 0.25}


@pytest.fixture
def short(monkeypatch):
  """MobileNetV2 and BNInception have their first layers only."""
  monkeypatch.setattr(mobilenet_v2, 'STAGES', mobilenet_v2.STAGES[:2])
  units = {name: bn_inception.UNITS[name] for name in ('3b', '3c')}
  monkeypatch.setattr(bn_inception, 'UNITS', units)
  models.shapes.cache_clear()
  yield
  models.shapes.cache_clear()


def trained(image_size=32, num_frames=4, **fields):
  """A `TrainedModel` of the labels a, b, c, ...; of a ResNet by default."""
  fields = {**nets.CONFIG, **TINY, 'num_frames': num_frames, **fields}
  config = ml_collections.ConfigDict(fields)
  how = preprocess.Preprocessing(
    num_frames,
    image_size,
    (0.5, 0.4, 0.45),
    (0.25, 0.2, 0.3),
    short_side=40,
    modality=config.modality,
  )
  model = models.create_model(config)
  frames = np.empty(how.clip_shape(), np.float32)
  variables = nets.tiny_variables(model, frames)
  labels = [chr(ord('a') + i) for i in range(config.num_classes)]
  meta = {'config': {'data': {}}, 'frame_interval': None}
  return checkpoints.TrainedModel(config, variables, labels, how, meta, 7)


def images(*shape, seed=0):
  """Random uint8 images `[..., H, W, 3]`."""
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (*shape, 3), np.uint8)


def save(workdir, source, data_dir, **fields):
  """A checkpoint that was never trained, of a dataset that is there.

  Args:
    workdir: gets it.
    source: a folder of videos.
    data_dir: where the dataset is built.
    **fields: as of `helpers.tiny_config`.

  Returns:
    The workdir as a string.
  """
  config = helpers.tiny_config(source, data_dir, **fields)
  data = dataset.prepare(config.data, 'rgb', lambda line: None)
  mesh = sharding.create_mesh()
  config = checks.resolve(config, mesh, len(data.labels))
  how = preprocess.Preprocessing.from_config(config)
  model = models.create_model(config.model)
  frames = np.empty(how.clip_shape(), np.float32)
  variables = nets.tiny_variables(model, frames)
  interval = data.interval(('train',), how)
  meta = identity.describe(config, data.labels, data.name, interval)
  checkpoints.save_model(workdir, variables, meta)
  return str(workdir)
