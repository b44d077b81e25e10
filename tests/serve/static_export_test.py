"""A checkpoint becomes a page: converted, proven, written."""

import json
import shutil

import numpy as np
import pytest

from support import colours, commands, leaving, packed
from tsm_jax import checkpoints
from tsm_jax.export import card, converters, graph, runtimes

pytestmark = pytest.mark.slow


def test_a_checkpoint_becomes_a_page(folder, data_dir, tmp_path, monkeypatch):
  workdir = tmp_path / 'run'
  fields = {'model__direction': 'past', 'model__stage_sizes': (1,)}
  leaving.save(workdir, folder, data_dir, **fields)
  packages = packed.write(tmp_path / 'packages', monkeypatch)
  out = tmp_path / 'out'
  where = f'--static={out}', f'--web_runtime={packages}'
  done = commands.call('serve', workdir, *where)
  assert done.returncode == 0, done.stderr
  assert 'probabilities differ by at most' in done.stdout
  found = card.read(out)
  assert (found.what, found.batch, found.labels) == ('step', 1, ['jump', 'run'])
  parity = json.loads((out / 'parity.json').read_text())
  assert parity['difference'] < 1e-5 and parity['num_clips'] == 4
  assert {'index.html', 'litert/index.js', 'model.tflite'} < set(found.files)
  again = tmp_path / 'again'  # a page holds an export, of which it is made
  done = commands.call('serve', out, f'--static={again}', where[1])
  assert done.returncode == 0, done.stderr
  for name in ('model.tflite', 'parity.json', 'labels.txt', 'page.json'):
    assert (again / name).read_bytes() == (out / name).read_bytes()


def test_a_model_that_looks_ahead_is_a_sentence(
  folder, data_dir, tmp_path, monkeypatch
):
  leaving.save(tmp_path / 'run', folder, data_dir, model__stage_sizes=(1,))
  packages = packed.write(tmp_path / 'packages', monkeypatch)
  where = f'--static={tmp_path}/out', f'--web_runtime={packages}'
  done = commands.call('serve', tmp_path / 'run', *where)
  assert done.returncode == 2
  assert "a stream needs a model that was trained with 'past'" in done.stderr
  assert not (tmp_path / 'out').exists()


def test_the_model_of_these_tests_is_what_the_converter_makes(
  workdir, export, tmp_path
):
  made = graph.create(checkpoints.restore_model(workdir), 'step', 1)
  other = shutil.copytree(export, tmp_path / 'other')
  converters.convert('litert', made, other / 'model.tflite')
  card.write(other, card.read(export))
  rng = np.random.default_rng(0)
  size = card.read(export).stored_size
  answers = []
  for model in (export, other):
    stream = runtimes.stream(runtimes.open(model))
    stream.add('one')
    answers.append([])
    for label in colours.LABELS:
      frame = np.full((size, size, 3), colours.COLOURS[label], np.uint8)
      frame = frame // 2 + rng.integers(0, 100, 3, np.uint8)
      answer = stream.step({'one': frame})['one']
      answers[-1].append(answer.probabilities)
    rng = np.random.default_rng(0)
  np.testing.assert_allclose(*answers, atol=1e-4)
