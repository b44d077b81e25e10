"""What is kept, who can read it, and where it may lie."""

import json
import shutil
import subprocess
import sys

import chex
from etils.epath import backend
from fsspec.implementations import dirfs, local
import jax
from jax.experimental import multihost_utils
import numpy as np
import pytest

from support import checkpointed, helpers
from tsm_jax import errors, files, program, sharding
from tsm_jax.program import checks, metrics
from tsm_jax.runs import checkpoints, folders, identity, occupancy, steps

READER = """
import json, pathlib, sys
import numpy as np
import orbax.checkpoint as ocp

def leaves(tree, name=''):
  if not hasattr(tree, 'items'):
    return {name: tree}
  flat = {}
  for key, value in tree.items():
    flat.update(leaves(value, f'{name}/{key}'))
  return flat

def as_numpy(tree):
  if hasattr(tree, 'items'):
    return {key: as_numpy(value) for key, value in tree.items()}
  return ocp.RestoreArgs(restore_type=np.ndarray)

folder = pathlib.Path(sys.argv[1])
reader = ocp.PyTreeCheckpointer()
args = as_numpy(reader.metadata(folder / 'model').item_metadata.tree)
model = leaves(reader.restore(folder / 'model', restore_args=args))
data = json.loads((folder / 'data' / 'metadata').read_text())
assert all(type(x) is np.ndarray for x in model.values())
assert not {'tsm_jax', 'flax'} & sys.modules.keys()
np.savez(sys.argv[2], **model)
print(json.dumps(data))
"""


def test_orbax_and_numpy_are_enough_to_read_a_model(tmp_path):
  config = helpers.tiny_config('', '')
  # A state that lies on eight devices, its kernels in parts.
  mesh = sharding.create_mesh()
  built = program.build(config, mesh, 2, 20)
  whole = jax.tree.map(
    lambda x: np.arange(x.size, dtype=x.dtype).reshape(x.shape),
    built.arguments[0],
  )
  kept = checkpoints.Checkpoints(tmp_path / 'run', config.checkpoint)
  shardings = sharding.fully_sharded(whole, mesh)
  state = jax.device_put(whole, shardings)
  variables = {'params': state.params, 'batch_stats': state.batch_stats}
  config = checks.resolve(config, mesh, 2)
  kept.save(state, variables, identity.describe(config, ['jump', 'run'], ''))
  kept.wait()
  trained = checkpoints.restore_model(tmp_path / 'run')
  chex.assert_trees_all_equal(trained.variables, jax.device_get(variables))
  done = subprocess.run(
    [
      sys.executable,
      '-c',
      READER,
      tmp_path / 'run/checkpoints/0',
      tmp_path / 'model.npz',
    ],
    capture_output=True,
    text=True,
    env={'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': ''},
  )
  assert done.returncode == 0, done.stderr
  with np.load(tmp_path / 'model.npz') as arrays:
    for path, leaf in jax.tree_util.tree_leaves_with_path(trained.variables):
      name = ''.join(f'/{key.key}' for key in path)
      np.testing.assert_array_equal(arrays[name], leaf)
    assert len(arrays) == len(jax.tree.leaves(trained.variables))
  data = json.loads(done.stdout)
  assert data['labels'] == ['jump', 'run']
  assert data['config']['data']['image_size'] == 32
  assert data['versions']['jax'] == jax.__version__
  assert data['versions'].keys() >= {'tsm_jax', 'python', 'flax', 'numpy'}


@pytest.mark.parametrize(('keep', 'left'), [(1, [40]), (2, [20, 40]), (0, [])])
def test_the_best_models_are_kept(keep, left, tmp_path):
  config, shapes = checkpointed.shapes()
  meta = checkpointed.meta(config)
  # Each is saved by a process of its own, as after kills.
  for step, top1 in ((10, 0.5), (20, 0.8), (30, 0.6), (40, 0.8), (50, 0.7)):
    kept = checkpoints.Checkpoints(tmp_path, {'keep': 2, 'keep_best': keep})
    variables = checkpointed.variables(checkpointed.filled(shapes, step))
    for _ in range(2):  # saved once
      kept.save_best(step, variables, meta, top1)
  if not keep:
    assert not (tmp_path / 'best').exists()
    return
  assert sorted(int(p.name) for p in (tmp_path / 'best').iterdir()) == left
  before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}
  trained = checkpoints.restore_model(tmp_path / 'best')
  assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')} == before
  assert trained.step == 40
  expected = checkpointed.variables(checkpointed.filled(shapes, 40))
  chex.assert_trees_all_equal(jax.device_get(trained.variables), expected)
  assert (
    checkpoints.restore_model(tmp_path / 'best' / str(left[0])).step
    == (left[0])
  )


def test_saving_leaves_the_agreement_to_stop_alone(tmp_path, monkeypatch):
  """Steps among the numbers of `stopping.Stop` made SIGTERM do nothing."""
  asked = []
  monkeypatch.setattr(
    multihost_utils, 'reached_preemption_sync_point', asked.append
  )
  kept = checkpoints.Checkpoints(tmp_path, {'keep': 1, 'keep_best': 1})
  variables = {'params': {'x': np.zeros(3)}, 'batch_stats': {}}
  kept.save_best(7, variables, {}, 0.5)
  assert (tmp_path / 'best' / '7').is_dir()
  assert asked == []


def test_a_lost_peer_is_no_failed_save(tmp_path, monkeypatch):
  manager = folders.open_latest(tmp_path)
  lost = RuntimeError('Gloo AllGather failed: Connection reset by peer')
  with (
    pytest.raises(errors.InputError, match='could not be written'),
    folders.failed_save_explained(manager),
  ):
    raise lost
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  with (
    pytest.raises(RuntimeError, match='Gloo'),
    folders.failed_save_explained(manager),
  ):
    raise lost


@pytest.fixture
def bucket(tmp_path, monkeypatch):
  """A folder as the real client of a bucket would show it."""

  class Bucket(dirfs.DirFileSystem):
    protocol = 's3'

    def __init__(self, **unused):
      super().__init__(tmp_path / 'bucket', local.LocalFileSystem())

    @classmethod
    def _strip_protocol(cls, path):
      return path.removeprefix('s3://')

    def _join(self, path):
      return super()._join(self._strip_protocol(path))

  backend.fsspec_backend._get_filesystem.cache_clear()  # of another test
  registry = sys.modules['fsspec.registry']._registry
  monkeypatch.setitem(registry, 's3', Bucket)
  return tmp_path / 'bucket'


def test_the_files_of_a_run_go_to_a_bucket(bucket, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  bucket.mkdir()
  config = helpers.tiny_config('', '')
  identity.freeze_config('s3://team/run', config)
  # A bucket has no locks: the later run takes the workdir.
  with (
    occupancy.held('s3://team/run') as first,
    occupancy.held('s3://team/run') as second,
  ):
    second.check()
    with pytest.raises(errors.InputError, match='Another run has started in'):
      first.check()
  frozen = json.loads((bucket / 'team/run/config.json').read_text())
  assert frozen['name'] == 'quickstart'
  with metrics.Writer('s3://team/run', 0) as writer:
    writer.write(1, {'loss': 2.0})
    writer.write(2, {'loss': 1.0})
    assert len(metrics.read('s3://team/run')) == 2  # written through at once
  with metrics.Writer('s3://team/run', 1) as writer:
    writer.write(2, {'loss': 0.5})
  expected = [{'step': 1, 'loss': 2.0}, {'step': 2, 'loss': 0.5}]
  assert metrics.read('s3://team/run') == expected
  lines = (bucket / 'team/run/metrics.jsonl').read_text().splitlines()
  assert [json.loads(line) for line in lines] == expected
  assert [p.name for p in tmp_path.iterdir()] == ['bucket']  # nothing here


def test_hashes_are_checked_in_a_bucket_too(bucket, tmp_path):
  checkpointed.save(tmp_path / 'run', [3], [])
  shutil.copytree(tmp_path / 'run', bucket / 'team/run')
  folder = files.path('s3://team/run/checkpoints')
  assert steps.damage(folder, 3, steps.TO_CONTINUE) == ''
  (bucket / 'team/run/checkpoints/3/train/_METADATA').write_text('{}')
  found = steps.damage(folder, 3, steps.TO_CONTINUE)
  assert found == 'train/_METADATA is not what was saved'


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('ftp://host/run', "'ftp://host/run' is neither .* gs:// or s3://"),
    ('gs:/bucket/run', "'gs:/bucket/run' is neither"),
    ('gs://bucket/run', r'needs the extra \[gcs\].*gcsfs'),
  ],
)
def test_a_url_never_becomes_a_local_folder(name, message, tmp_path):
  with pytest.raises(errors.InputError, match=message):
    files.path(name)
