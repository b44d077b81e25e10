import json

import pytest

from tsm_jax.convert.reading import config_text


@pytest.mark.parametrize(
  'text',
  [
    'raise SystemExit(1)',
    "__import__('os').system('touch it_ran')",
    'model = dict(backbone=open("it_ran", "w"))',
    'model = ' + '(' * 5000 + ')' * 5000,
    'model = ' + '-' * 100000 + '1',
    'model = dict(backbone=dict(num_segments=10**10, style=None))',
    'model = [1, 2]',
    'model = {**model}',
    'configs/a.py\nmodel = dict(',
    '\0',
    b'model = 1',
    7,
    None,
  ],
)
def test_any_text_is_read_and_none_is_run(tmp_path, monkeypatch, text):
  monkeypatch.chdir(tmp_path)
  assert isinstance(config_text.parse(text), dict)
  assert not (tmp_path / 'it_ran').exists()


def test_a_dict_is_taken_as_it_is():
  nest = {'model': {'backbone': {'style': 'caffe'}}}
  assert config_text.parse(nest) == config_text.parse(json.dumps(nest)) == nest


def test_texts_of_older_releases_begin_with_paths_and_bases():
  base = "/a/b/base.py\nmodel = dict(backbone=dict(depth=50, style='caffe'))\n"
  own = '/a/b/own.py\nmodel = dict(backbone=dict(shift_div=4))\n'
  backbone = config_text.get(config_text.parse(base + own), 'model', 'backbone')
  assert backbone == {'depth': 50, 'style': 'caffe', 'shift_div': 4}
