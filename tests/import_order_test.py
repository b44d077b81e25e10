"""The house stands: a file imports from lower floors only."""

import ast
import pathlib
import subprocess
import sys

PACKAGE = pathlib.Path(__file__).parents[1] / 'tsm_jax'
FLOORS = (
  'errors modalities',
  'data.claims data.h264 data.limits data.locks data.rates files',
  'by_turns cli',
  'convert_files convert_names data.flips data.kept data.randaugment '
  'data.sampling data.videos data.workers hlo metrics models.cost '
  'models.layers models.shift optim processes progress runs sharding topology',
  'data.lists data.storage',
  'data.frame_folders data.shards data.transforms models.non_local',
  'data.class_folders data.preprocess',
  'data.annotations data.augment data.beam_shards data.disk data.folder '
  'data.motion data.records '
  'models.bn_inception models.mobilenet_v2 models.resnet',
  'convert_infer data.builders data.frame_lists data.kinetics data.pipeline '
  'data.small_sets data.twentybn models',
  'checkpoint_folders',
  'checkpoints convert_fit data.datasets data.examine data.findings '
  'data.fingerprint',
  'averages bench_official convert_back data.build data.diagnosis '
  'data.doctor_page evaluate report stream',
  'convert members',
  'bench_clips data.doctor ensemble export initial predict step',
  'bench_input forecast plan_table train',
  'bench bench_step main plan serve',
)


def floor(module):
  return next(
    (i for i, names in enumerate(FLOORS) if module in names.split()), None
  )


def imports(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module.startswith('tsm_jax'):
      base = node.module.removeprefix('tsm_jax').lstrip('.')
      for alias in node.names:
        yield '.'.join(filter(None, (base, alias.name)))


def test_files_import_from_lower_floors_only():
  for path in PACKAGE.rglob('*.py'):
    name = '.'.join(path.relative_to(PACKAGE).with_suffix('').parts)
    name = name.removesuffix('__init__').rstrip('.')
    if not path.read_text().count('import '):
      continue
    assert floor(name) is not None, f'{name} is on no floor'
    for module in imports(path):
      assert floor(module) is not None, f'{name} imports {module}'
      assert floor(module) < floor(name), f'{name} imports {module}'


def test_import_is_light_and_training_needs_no_tensorflow():
  light = 'import sys, tsm_jax; print("jax" in sys.modules)'
  heavy = 'import sys, tsm_jax.train; print("tensorflow" in sys.modules)'
  for code in (light, heavy):
    done = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == 'False'
