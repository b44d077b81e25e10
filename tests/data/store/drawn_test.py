from tsm_jax.configs import common
from tsm_jax.data.sources.drawn import long_motion, motion
from tsm_jax.data.store import drawn


def fields(source, data_dir):
  data = common.get_config('any').data
  data.source, data.data_dir = source, str(data_dir)
  return data


def test_what_is_drawn_is_drawn_once_where_datasets_are(tmp_path, monkeypatch):
  monkeypatch.setattr(long_motion, 'SCENES', {'val': 1})
  monkeypatch.setattr(motion, 'SCENES', {'val': 1})
  lines = []
  path = drawn.source(fields('long_motion', tmp_path), lines.append)
  assert path == tmp_path / 'long_motion_videos_1' / 'list.csv'
  assert path.read_text().startswith('path,label,start,end,split\nval/000a.mp4')
  folder = drawn.source(fields('motion', tmp_path), lines.append)
  assert folder == tmp_path / 'motion_videos_1'
  assert lines == [
    f'Drawing the {name} videos in {tmp_path} ...'
    for name in ('long_motion', 'motion')
  ]
  monkeypatch.setattr(long_motion, 'draw', None)
  assert drawn.source(fields('long_motion', tmp_path), lines.append) == path
  assert len(lines) == 2


def test_another_source_is_what_it_is(tmp_path):
  assert drawn.source(fields('a/list.csv', tmp_path)) == 'a/list.csv'
  assert not list(tmp_path.iterdir())
