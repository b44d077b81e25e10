"""launch/colab.ipynb, from top to bottom."""

import configparser
import os
import pathlib
import subprocess
import sys

import nbclient
import nbformat
import pytest

from support import commands, helpers

NOTEBOOK = helpers.ROOT / 'launch/colab.ipynb'
FLAGS = (
  '--config.data.image_size=32',
  '--config.data.num_threads=2',
  '--config.model.stage_sizes=(1, 1)',
  '--config.model.width=8',
  '--config.model.num_frames=4',
  '--config.batch_size=8',
  '--config.epochs=2',
)


@pytest.fixture
def notebook():
  return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook):
  return [cell for cell in notebook.cells if cell.cell_type == 'code']


def test_it_is_saved_without_outputs(notebook):
  nbformat.validate(notebook)
  for cell in code(notebook):
    assert cell.outputs == [] and cell.execution_count is None


def test_the_badges_and_the_notebook_name_the_address_of_setup_cfg(notebook):
  setup = configparser.ConfigParser()
  setup.read(helpers.ROOT / 'setup.cfg')
  url = setup['metadata']['url']
  assert f"REPOSITORY = '{url}'" in notebook.cells[1].source
  badge = (
    '[![Open in Colab](https://colab.research.google.com/assets/'
    'colab-badge.svg)](https://colab.research.google.com/github/'
    f'{url.removeprefix("https://github.com/")}/blob/main/launch/colab.ipynb)'
  )
  assert badge in notebook.cells[0].source
  assert badge in (helpers.ROOT / 'launch/README.md').read_text()


def make_environment(folder):
  """An environment like this one, into which the notebook may install."""
  subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
  python = folder / 'bin/python'
  packages = [path for path in sys.path if path.endswith('site-packages')]
  (site,) = folder.glob('lib/python*/site-packages')
  (site / 'all_of_this.pth').write_text('\n'.join(packages) + '\n')
  subprocess.run(
    [python, '-m', 'ipykernel', 'install', '--prefix', folder],
    check=True,
    capture_output=True,
  )
  return folder / 'share/jupyter'


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(notebook, folder, tmp_path, monkeypatch):
  for name, value in commands.environment().items():
    monkeypatch.setenv(name, value)
  kernels = make_environment(tmp_path / 'environment')
  monkeypatch.setenv('JUPYTER_PATH', os.fspath(kernels))
  changed = {
    'REPOSITORY': os.fspath(helpers.ROOT),
    'EXTRA': '',
    'FLAGS': [f'--config.data.source={folder}', *FLAGS],
  }
  parameters = notebook.cells[1]
  assert parameters.metadata.tags == ['parameters']
  parameters.source += ''.join(f'\n{k} = {v!r}' for k, v in changed.items())
  work = tmp_path / 'work'
  work.mkdir()
  nbclient.NotebookClient(
    notebook,
    timeout=600,
    kernel_name='python3',
    resources={'metadata': {'path': work}},
  ).execute()

  installed, trained, evaluated, predicted, curves = (
    cell.outputs for cell in code(notebook)[1:]
  )
  assert 'CpuDevice' in text(installed)
  assert 'the report is' in text(trained)
  assert "4 clips of 'val', step 5: top-1" in text(evaluated)
  assert 'clip.mp4' in text(predicted) and 'jump' in text(predicted)
  (picture,) = curves
  assert picture.data['image/png'].startswith('iVBOR')
  # The notebook ran the copy that it cloned, and left this one as it was.
  assert pathlib.Path(work / 'tsm_jax/runs/colab/report.md').exists()


def text(outputs):
  return ''.join(output.get('text', '') for output in outputs)
