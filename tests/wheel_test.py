"""The installed package, far from the repository."""

import shutil
import subprocess
import sys
import venv

import pytest

from support import commands, helpers

OWN_CONFIG = """
from tsm_jax.configs import common


def get_config(arg=None):
  args = common.parse_arg(arg, width=8)
  config = common.get_config('mine', arg)
  config.model.update(depth=18, stage_sizes=(1,), width=args.width)
  config.model.num_frames = 4
  config.data.image_size = 32
  config.update(batch_size=4, epochs=1.0)
  return config
"""


def copy(source):
  """A checkout of its own, as a build writes into it."""
  for name in ('tsm_jax', 'configs'):
    shutil.copytree(helpers.ROOT / name, source / name)
  for name in ('LICENSE', 'README.md', 'pyproject.toml', 'setup.*'):
    for path in helpers.ROOT.glob(name):
      shutil.copy(path, source)
  return source


def test_a_checkout_is_not_taken_for_the_package(tmp_path):
  # From the folder around it, a checkout is a folder `tsm_jax` without code.
  checkout = copy(tmp_path / 'tsm_jax')
  build = 'from setuptools import build_meta as b; b.build_editable("out")'
  _run([sys.executable, '-c', build], cwd=checkout)
  (wheel,) = checkout.glob('out/*.whl')
  shutil.unpack_archive(wheel, tmp_path / 'site', 'zip')
  code = (
    'import site; site.addsitedir("site"); '
    'import tsm_jax; print(tsm_jax.__file__); '
    'from tsm_jax import configuration as c; print(c.recipes()["folder"])'
  )
  printed = _run([sys.executable, '-S', '-c', code], cwd=tmp_path, env={})
  assert printed.splitlines() == [
    str(checkout / 'tsm_jax' / '__init__.py'),
    str(checkout / 'configs' / 'folder.py'),
  ]


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
  """The Python of a new environment with the wheel; the rest is borrowed."""
  root = tmp_path_factory.mktemp('wheel')
  source = copy(root / 'source')
  pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
  here = ('--no-deps', '--no-build-isolation')
  _run([*pip, 'wheel', *here, f'--wheel-dir={root}', str(source)])
  venv.create(root / 'venv', symlinks=True)
  python = root / 'venv' / 'bin' / 'python'
  (wheel,) = root.glob('*.whl')
  into = ('install', '--no-deps', '--no-compile')
  _run([*pip, f'--python={python}', *into, str(wheel)])
  # Only paths: the editable install of the repository is a file that Python
  # does not run from there.
  (site,) = root.glob('venv/lib/python*/site-packages')
  others = [path for path in sys.path if path.endswith('site-packages')]
  (site / 'others.pth').write_text('\n'.join(others))
  command = root / 'venv' / 'bin' / 'tsm-jax'
  assert 'data.doctor' in _run([command, '--help'], cwd=root)
  return python


def _run(arguments, **kwargs):
  done = subprocess.run(arguments, capture_output=True, text=True, **kwargs)
  assert done.returncode == 0, done.stderr
  return done.stdout


def test_the_page_is_in_it(installed):
  (site,) = installed.parent.parent.glob('lib/python*/site-packages')
  for path in (helpers.ROOT / 'tsm_jax' / 'serve' / 'page').iterdir():
    found = site / 'tsm_jax' / 'serve' / 'page' / path.name
    assert found.read_bytes() == path.read_bytes()


def test_a_step_is_trained_from_an_empty_folder(installed, folder, tmp_path):
  # The recipe by its name, as a path that is nowhere here, and an own file; in
  # a folder that has a package `configs` of another project.
  empty = tmp_path / 'empty'
  (empty / 'configs').mkdir(parents=True)
  (empty / 'configs' / '__init__.py').write_text('raise SystemExit(77)')
  own = tmp_path / 'mine.py'
  own.write_text(OWN_CONFIG)
  environment = commands.environment()
  environment.pop('PYTHONPATH', None)

  data = [
    f'--config.data.source={folder}',
    f'--config.data.data_dir={tmp_path}',
  ]
  small = [
    *('--config.model.stage_sizes=(1,)', '--config.model.width=8'),
    *('--config.data.image_size=32', '--config.model.num_frames=4'),
    *('--config.batch_size=20', '--config.epochs=1'),
    '--config.schedule.warmup_epochs=0',
  ]
  calls = (
    ['--config', 'folder:depth=18', *data, *small],
    [f'--config={own}:width=4', '--mode=describe'],
    ['--config=configs/ssv2.py', '--mode=describe', *small[:4]],
  )
  code = 'import tsm_jax; print(tsm_jax.__file__); from tsm_jax import main\n'
  code += '\n'.join(f'main.main({call})' for call in calls)
  code += '\nfrom tsm_jax.export import environments'
  code += '\nprint(environments.constraints("onnx").is_file())'
  printed = _run([installed, '-c', code], cwd=empty, env=environment)
  place = printed.splitlines()[0]
  assert f'{helpers.ROOT}/' not in place and 'site-packages' in place
  assert printed.splitlines()[-1] == 'True'
  assert '1 steps of 20' in printed
  assert (empty / 'runs' / 'folder-depth=18' / 'report.md').exists()
  assert 'mine-width=4, 1000 classes' in printed
  assert 'ssv2, 174 classes' in printed
