"""The house stands: rooms import from lower floors, files in no circle."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / 'tsm_jax'
# A room is a file or folder of the package; a new file in it needs no edit.
FLOORS = (
  'allocation errors interrupts modalities progress',
  'compilation_cache configuration',
  'cli files models sharding',
  'data',
  'configs',
  'runs',
  'checkpoints convert program',
  'evaluate insight plan stream',
  'ensemble export hub predict report train',
  '__main__ bench folds main serve',
)
DATA_FLOORS = (
  'defaults sampling',
  'clips intervals',
  'input sources',
  'choosing store',
  'build doctor fingerprint',
)


def modules():
  """A mapping from the dotted name of every module to its path."""
  found = {}
  for path in PACKAGE.rglob('*.py'):
    name = '.'.join(path.relative_to(PACKAGE).with_suffix('').parts)
    found[name.removesuffix('__init__').rstrip('.')] = path
  return found


def imports():
  """Yields `(importing, imported)` names of modules, below the package."""
  known = modules()
  for name, path in known.items():
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.ImportFrom) and 'tsm_jax' in (node.module or ''):
        base = node.module.removeprefix('tsm_jax').lstrip('.')
        for alias in node.names:
          full = '.'.join(filter(None, (base, alias.name)))
          yield name, full if full in known else base


@pytest.mark.parametrize(
  'inside, floors', [('', FLOORS), ('data', DATA_FLOORS)]
)
def test_rooms_import_from_lower_floors_only(inside, floors):
  floor = {room: i for i, names in enumerate(floors) for room in names.split()}
  depth = len(inside.split('.')) if inside else 0
  for name, imported in imports():
    parts = [x.split('.') for x in (name, imported)]
    if any(x[:depth] != inside.split('.')[:depth] for x in parts):
      continue
    if any(len(x) <= depth or not x[depth] for x in parts):
      continue  # the package itself
    room, other = (x[depth] for x in parts)
    assert room in floor, f'{room} is on no floor'
    if room != other:
      assert floor[other] < floor[room], f'{name} imports {imported}'


def test_no_file_imports_itself_by_others():
  edges = {}
  for name, imported in imports():
    edges.setdefault(name, set()).add(imported)

  def follow(name, path):
    assert name not in path, ' -> '.join((*path, name))
    if name not in done:
      for other in edges.get(name, ()):
        follow(other, (*path, name))
      done.add(name)

  done = set()
  for name in edges:
    follow(name, ())


def test_import_is_light_and_training_needs_no_other_framework(tmp_path):
  code = """
import sys
import tsm_jax, tsm_jax.main
print('jax' in sys.modules, 'flax' in sys.modules)
import tsm_jax.train
with tsm_jax.train.metrics.Writer(sys.argv[1], 0) as writer:
  writer.write(1, {'loss': 1.0})
print(*(name in sys.modules for name in ('jax', 'tensorflow', 'torch')))
"""
  done = subprocess.run(
    [sys.executable, '-c', code, tmp_path],
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout.split() == ['False', 'False', 'True', 'False', 'False']
  assert list(tmp_path.glob('tensorboard/events*'))
