"""What an earlier version wrote is read, continued and used with its numbers.

`golden/before_house.zip` holds datasets, two runs that SIGTERM stopped at step
9 of 20, a converted checkpoint, and in `expected` what that version printed and
wrote for them. It is never made anew: if a test fails here, what users have on
their disks is read in another way.
"""

import contextlib
import hashlib
from importlib import metadata
import io
import json
import pathlib
import runpy
import shutil
import sys
import warnings

import numpy as np
import pytest
import tensorflow_datasets as tfds

from support import commands, trainings
from tsm_jax import checkpoints
from tsm_jax.runs import again

GOLDEN = pathlib.Path(__file__).parent / 'golden' / 'before_house.zip'
STOPPED, TOTAL = 9, 20  # steps
# One device gives the very same bits; other processors and the compiler's
# settings of the tests' own process round otherwise.
NEAR = {'rtol': 1e-4, 'atol': 1e-5}

BOTH = (
  '--config.data.image_size=32',
  '--config.data.num_threads=2',
  '--config.data.flip=on',
  '--config.model.stage_sizes=(1, 1)',
  '--config.model.width=8',
  '--config.model.num_frames=4',
  '--config.model.dropout=0.5',
  '--config.batch_size=4',
  '--config.epochs=8',
  '--config.base_learning_rate=1',
  '--config.log_every_steps=2',
  '--config.eval.every_epochs=2',
)
FLAGS = {
  'plain': BOTH,
  'averaged': (
    *BOTH,
    '--config.data.storage=video',
    '--config.data.randaugment_ops=1',
    '--config.model.bn_stats=local',  # the checkpoint says which ghost batches
    '--config.accumulation=2',
    '--config.ema_decay=0.8',
    '--config.eval.precise_bn_batches=2',
    '--config.label_smoothing=0.1',
    '--config.mixup_alpha=0.2',
    '--config.cutmix_alpha=1',
    '--config.erase_probability=0.25',
  ),
}
WEIGHTS = 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment4_e1.pth'
VIDEOS = ('videos/val/jump/0.mp4', 'videos/val/run/1.mp4')
VIEWS = ('--clips=2', '--crops=3')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """A copy of all that was recorded."""
  root = tmp_path_factory.mktemp('before') / 'house'
  shutil.unpack_archive(GOLDEN, root)
  return root


@pytest.fixture(scope='module')
def continued(root, tmp_path_factory):
  """A folder with both runs at their ends and one evaluated half-way.

  The first finds its videos and builds them anew, the second is given the
  dataset that was built.
  """
  folder = tmp_path_factory.mktemp('continued')
  names = {'plain': 'plain', 'averaged': 'averaged', 'evaluated': 'averaged'}
  sources = {'plain': root / 'videos', 'averaged': built(root)['video']}
  with pytest.MonkeyPatch.context() as patch:
    trainings.on_devices(patch, 1)
    for workdir, name in names.items():
      shutil.copytree(root / name, folder / workdir)
      mode = 'eval' if workdir == 'evaluated' else 'train'
      done = commands.call(
        'main',
        '--config=quickstart',
        f'--workdir={folder / workdir}',
        f'--config.data.source={sources[name]}',
        f'--config.data.data_dir={folder / "data"}',
        *FLAGS[name],
        f'--mode={mode}',
      )
      assert done.returncode == 0, done.stderr
      if mode == 'train':
        assert f'at step {STOPPED} of {TOTAL}' in done.stdout
  return folder


@pytest.mark.parametrize('name', FLAGS)
def test_a_run_is_known_by_its_workdir(name, root):
  config, _ = again.load(root / name, [], 'train')
  written = json.loads((root / name / 'config.json').read_text())
  found = json.loads(json.dumps(config.to_dict()))
  assert_near(found, written, exact=True)
  assert found['data']['frame_interval'] == 0  # it is newer


@pytest.mark.parametrize('name', FLAGS)
def test_a_stopped_run_ends_as_it_would_have(name, root, continued):
  assert read_metrics(root / name / 'metrics.jsonl')[-1]['step'] <= STOPPED
  found = read_metrics(continued / name / 'metrics.jsonl')
  expected = read_metrics(root / 'expected' / f'{name}.jsonl')
  assert_near(found, expected)
  trained = checkpoints.restore_model(continued / name)
  assert trained.step == TOTAL
  arrays = flatten(trained.variables)
  with np.load(root / 'expected' / f'{name}.npz') as expected:
    assert arrays.keys() == set(expected)
    for key, value in expected.items():
      assert arrays[key].dtype == value.dtype
      np.testing.assert_allclose(arrays[key], value, err_msg=key, **NEAR)
  # What it saves can be continued by the version that began it.
  configs = [
    json.loads((folder / name / 'config.json').read_text())
    for folder in (continued, root)
  ]
  assert configs[0]['model'] == configs[1]['model']


def test_a_checkpoint_is_evaluated_as_before(root, continued):
  found = json.loads((continued / 'evaluated' / 'eval_val.json').read_text())
  assert_near(found, read_json(root, 'eval_averaged.json'))


def test_the_same_videos_are_the_same_dataset(root, continued, tmp_path):
  command(
    'data.build',
    'folder',
    f'--manual_dir={root / "videos"}',
    f'--data_dir={tmp_path}',
    '--storage=video',
  )
  before = built(root)
  again = {'frames': built(continued)['frames'], **built(tmp_path)}
  for storage, path in before.items():
    assert again[storage].relative_to(again[storage].parents[2]) == (
      path.relative_to(path.parents[2])
    )
    names = [p.name for p in sorted(path.iterdir())]
    assert [p.name for p in sorted(again[storage].iterdir())] == names
    # Other versions of these may encode otherwise.
    if read_json(root, 'versions.json') == {
      name: metadata.version(name) for name in read_json(root, 'versions.json')
    }:
      found, expected = map(read_records, (again[storage], path))
      assert len(found['train']) == 10
      assert found == expected


def test_checkpoints_predict_as_before(root, monkeypatch):
  monkeypatch.chdir(root)
  for name, expected in read_json(root, 'predictions.json').items():
    workdir, _, views = name.partition(', ')
    more = (*VIEWS, '--full-resolution') if views else ()
    found = json.loads(command('predict', workdir, *VIDEOS, '--json', *more))
    assert_near(found, expected)


def test_an_ensemble_scores_as_before(root, monkeypatch, tmp_path):
  # The runs name their videos by a relative path; the dataset is found there.
  monkeypatch.chdir(root)
  weighted = ('--weights', '1', '3', '--mean=logits', *VIEWS)
  cases = {'ensemble.json': (), 'ensemble_views.json': weighted}
  for name, more in cases.items():
    out = tmp_path / name
    command('ensemble', 'plain', 'averaged', f'--out={out}', *more)
    assert_near(json.loads(out.read_text()), read_json(root, name))


def test_weights_are_converted_as_before(root, monkeypatch, tmp_path):
  pytest.importorskip('torch')
  monkeypatch.chdir(root)
  again, expected = tmp_path / 'again', read_json(root, 'converted.json')
  fields = ('--labels=labels.txt', '--image_size=32', '--stage_sizes=(1,)')
  command('convert', WEIGHTS, again, *fields)
  before, after = map(checkpoints.restore_model, ('converted', again))
  assert_near(flatten(after.variables), flatten(before.variables), exact=True)
  assert after.config.to_dict() == before.config.to_dict()
  assert after.preprocessing == before.preprocessing
  assert after.labels == before.labels
  for key in ('converted_from', 'labels'):
    assert after.meta[key] == before.meta[key]
  found = json.loads(command('predict', 'converted', *VIDEOS, '--json'))
  assert_near(found, expected['predictions'])
  for workdir, name in (('converted', 'back.pth'), ('plain', 'plain.pth')):
    command('convert', workdir, tmp_path / name)
    assert hashes(tmp_path / name) == expected[name]


def command(module, *args):
  """What `python -m tsm_jax.MODULE` prints, in this process."""
  argv, out = sys.argv, io.StringIO()
  sys.argv = [module, *map(str, args)]
  try:
    with contextlib.redirect_stdout(out), warnings.catch_warnings():
      # The module may be imported already; here it runs as a program.
      warnings.filterwarnings('ignore', category=RuntimeWarning, module='runpy')
      runpy.run_module(f'tsm_jax.{module}', run_name='__main__')
  except SystemExit as end:
    assert not end.code, out.getvalue()
  finally:
    sys.argv = argv
  return out.getvalue()


def read_json(root, name):
  return json.loads((root / 'expected' / name).read_text())


def read_metrics(path):
  """The lines of a run's metrics, without its speed."""
  timed = {'steps_per_s', 'clips_per_s', 'data_wait'}
  lines = map(json.loads, path.read_text().splitlines())
  return [{k: v for k, v in x.items() if k not in timed} for x in lines]


def built(folder):
  """`{storage: path}` of the built datasets in a folder."""
  reports = folder.glob('**/build_report.json')
  return {
    json.loads(path.read_text())['options']['storage']: path.parent
    for path in reports
  }


def read_records(dataset):
  """All records by split; their fields, as protobuf orders them at random."""
  builder = tfds.builder_from_directory(dataset)
  return {
    split: [dict(record) for record in builder.as_data_source(split)]
    for split in builder.info.splits
  }


def hashes(path):
  """Type, shape and SHA-256 of the arrays of a PyTorch file, by name."""
  import torch

  weights = torch.load(path, weights_only=True)['state_dict']
  return {
    name: [
      str(value.dtype),
      list(value.shape),
      hashlib.sha256(value.numpy().tobytes()).hexdigest(),
    ]
    for name, value in weights.items()
  }


def flatten(tree, prefix=''):
  """`{'params/layer/kernel': array}` of nested dictionaries."""
  if not isinstance(tree, dict):
    return {prefix: np.asarray(tree)}
  return {
    name: value
    for key, child in tree.items()
    for name, value in flatten(
      child, f'{prefix}/{key}' if prefix else key
    ).items()
  }


def assert_near(found, expected, where='', exact=False):
  """The same JSON or arrays; what `expected` lacks may be new."""
  if isinstance(expected, dict):
    assert expected.keys() <= found.keys(), where
    for key, value in expected.items():
      assert_near(found[key], value, f'{where}/{key}', exact)
  elif isinstance(expected, list):
    assert len(found) == len(expected), where
    for i, (one, other) in enumerate(zip(found, expected)):
      assert_near(one, other, f'{where}/{i}', exact)
  elif isinstance(expected, float | np.ndarray) and not exact:
    np.testing.assert_allclose(found, expected, err_msg=where, **NEAR)
  else:
    np.testing.assert_array_equal(found, expected, err_msg=where)
