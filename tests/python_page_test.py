"""The code of docs/python.md runs from top to bottom, and so do docstrings."""

import doctest
import importlib
import re

import jax
import numpy as np
import pytest

from support import helpers, trainings
import tsm_jax
from tsm_jax import errors


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
  helpers.write_folder(tmp_path / 'videos', clips=5)
  monkeypatch.chdir(tmp_path)
  trainings.on_devices(monkeypatch, 1)
  page = (helpers.ROOT / 'docs/python.md').read_text()
  names = {}
  for match in re.finditer(r'```python\n(.*?)```', page, re.DOTALL):
    # Line numbers are those of the page.
    before = page[: match.start(1)].count('\n')
    if match[1].startswith('# mine.py'):
      (tmp_path / 'mine.py').write_text(match[1])
    code = compile('\n' * before + match[1], 'docs/python.md', 'exec')
    with trainings.without_report():
      exec(code, names)
  printed = capsys.readouterr().out
  assert 'top-1' in printed and re.search(r'(jump|run): \d', printed)

  model = names['model']
  one, other = names['predictions']
  assert sorted(p.label for p in one) == sorted(model.labels) == ['jump', 'run']
  assert sum(p.probability for p in other) == pytest.approx(1, abs=1e-5)
  assert names['y'].shape == (2, 8, 56, 56, 64)
  assert names['logits'].shape == (1, 10)
  assert names['probabilities'].shape == (2,)
  jax.tree.map(
    np.testing.assert_array_equal, names['variables'], model.variables
  )
  config = tsm_jax.load_config(str(tmp_path / 'mine.py') + ':frames=16')
  assert (config.name, config.model.num_frames) == ('mine-frames=16', 16)


def test_mistakes_in_a_configuration_are_sentences(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  old = tmp_path / 'old.py'
  old.write_text('from configs import common\n')
  wrong = tmp_path / 'wrong.py'
  wrong.write_text('def get_config():\n  raise ValueError("no such thing")\n')
  (tmp_path / 'configs').mkdir()  # of another project
  for name, fields, message in (
    ('fodler', {}, r"'fodler'.*did you mean 'folder'\? .*ssv2"),
    ('folder:dpth=1', {}, "'dpth'; did you mean 'depth'"),
    ('folder', {'bach_size': 1}, "'bach_size'; did you mean 'batch_size'"),
    ('folder', {'num_frames': 1}, "did you mean 'model.num_frames'"),
    ('folder', {'data': {'sorce': 'x'}}, "did you mean 'data.source'"),
    ('folder', {'batch_size': 'x'}, "batch_size is 'x'; it must be .* int"),
    ('old.py', {}, r"old\.py.*write 'from tsm_jax\.configs import common'"),
    ('wrong.py', {}, r'wrong\.py: no such thing'),
    ('wrong.py:a=1', {}, r'wrong\.py: .*argument'),
  ):
    with pytest.raises(errors.InputError, match=message):
      tsm_jax.load_config(name, **fields)
  for name in ('folder', 'folder.py', 'configs/folder.py'):
    assert tsm_jax.load_config(name).name == 'folder'
  config = tsm_jax.load_config('folder')
  with pytest.raises(AttributeError, match='source'):
    config.data.sorce = 'x'


def examples():
  """The modules with `>>>`, found by text so that no other is imported."""
  for path in sorted((helpers.ROOT / 'tsm_jax').rglob('*.py')):
    if '>>> ' in path.read_text():
      parts = path.relative_to(helpers.ROOT).with_suffix('').parts
      yield '.'.join(parts).removesuffix('.__init__')


@pytest.mark.parametrize('name', list(examples()))
def test_the_examples_of_docstrings(name):
  result = doctest.testmod(importlib.import_module(name))
  assert result.attempted and not result.failed
