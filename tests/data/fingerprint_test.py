import dataclasses
import functools
import json

import numpy as np
import pytest

from support import commands, helpers
from tsm_jax import errors
from tsm_jax.data import fingerprint
from tsm_jax.data.clips import pixels
from tsm_jax.data.input import preprocess, records

HOW = preprocess.Preprocessing(4, 28, (0.5,) * 3, (0.25,) * 3, 256, 90)
ONE = records.Views()
LABELS = ['jump', 'run']


def stored(count=3, num_frames=20, quality=90, first=0):
  """Clips whose pixels do not depend on how they are stored."""
  found = []
  for clip in range(first, first + count):
    rng = np.random.default_rng(clip)
    images = [
      pixels.resize(rng.integers(0, 256, (5, 6, 3), np.uint8), 48, 40)
      for _ in range(num_frames)
    ]
    found.append(
      {
        'frames': [pixels.encode_jpeg(image, quality) for image in images],
        'label': clip % 2,
        'video_id': f'{clip}.mp4'.encode(),
      }
    )
  return found


SOURCE = stored()


def take(source=None, labels=LABELS, views=ONE, **changes):
  how = dataclasses.replace(HOW, **changes)
  found = fingerprint.fingerprint(source or SOURCE, labels, how, views)
  return json.loads(json.dumps(found))  # as it comes back from a file


@pytest.mark.parametrize(
  ('stage', 'changes', 'setting'),
  [
    ('video_id', {'source': stored(first=1)}, None),
    ('video_id', {'source': stored(4)}, None),
    ('label', {'labels': LABELS[::-1]}, None),
    ('num_frames', {'source': stored(num_frames=19)}, None),
    ('indices', {'sampling': 'dense'}, 'sampling (uniform and dense)'),
    ('indices', {'views': records.Views(clips=2)}, 'clips (1 and 2)'),
    ('record', {'source': stored(quality=80)}, None),
    ('cropped', {'image_size': 32}, 'image_size (28 and 32)'),
    ('cropped', {'views': records.Views(crops=3)}, 'crops (1 and 3)'),
    ('normalized', {'mean': (0.5, 0.5, 0.505)}, 'mean ('),
  ],
)
def test_the_first_stage_that_differs_is_named(stage, changes, setting):
  found, lines = fingerprint.compare(take(), take(**changes))
  assert found == stage
  assert (setting or '') in '\n'.join(lines)
  assert ('Settings that differ' in '\n'.join(lines)) == bool(setting)


def test_a_setting_that_a_file_is_older_than_had_its_default():
  old = take()
  for name in ('frame_interval', 'frame_interval_jitter'):
    del old['settings'][name]
  assert len(fingerprint.compare(old, take())[1]) == 1
  source = [{**record, 'fps': 10.0} for record in SOURCE]
  stage, lines = fingerprint.compare(old, take(source, frame_interval=0.2))
  assert stage == 'indices'
  assert lines[-1] == 'Settings that differ: frame_interval (0.0 and 0.2).'


def test_quirks_of_validation_are_found():
  # Four frames of a clip of four: the official validation takes the first.
  short = stored(1, num_frames=4)
  one, other = take(short), take(short, official_quirks=True)
  assert one['clips'][0]['validation'] == [[0, 1, 2, 3]]
  assert other['clips'][0]['validation'] == [[0, 0, 0, 0]]
  stage, lines = fingerprint.compare(one, other)
  assert stage == 'validation'
  assert 'official_quirks (False and True)' in lines[-1]


def test_another_decoder_is_found(monkeypatch):
  expected = take()
  decode = pixels.decode_jpeg
  one_off = np.zeros((40, 48, 3), np.uint8)
  one_off[0, 0, 0] = 1  # outside of the crop
  monkeypatch.setattr(
    pixels, 'decode_jpeg', lambda data: decode(data) ^ one_off
  )
  stage, lines = fingerprint.compare(expected, take())
  assert stage == 'decoded'
  assert '3 of 3 clips' in lines[0] and "'0.mp4'" in lines[1]


def test_another_resize_is_found(monkeypatch):
  expected = take()
  monkeypatch.setattr(
    pixels, 'resize', lambda image, w, h: np.resize(image, (h, w, 3))
  )
  stage, _ = fingerprint.compare(expected, take())
  assert stage == 'cropped'


def test_the_same_is_the_same():
  stage, lines = fingerprint.compare(take(), take())
  assert stage is None
  assert lines == ['All 3 clips are the same after every stage.']


def test_fifty_clips_are_spread_over_a_split():
  class Many:
    """A long split that notes what is read of it."""

    def __init__(self):
      self.numbers = []

    def __len__(self):
      return 1000

    def __getitem__(self, number):
      self.numbers.append(number)
      return SOURCE[0]

  many = Many()
  found = take(many)
  assert len(found['clips']) == len(many.numbers) == 50
  assert many.numbers[0] == 0 and many.numbers[-1] == 999
  assert set(np.diff(many.numbers)) <= {20, 21}


@pytest.fixture
def config(tmp_path):
  folder = helpers.write_folder(tmp_path / 'videos')
  return helpers.tiny_config(folder, tmp_path)


def test_the_command(config, tmp_path):
  arguments = (
    '--config=configs/quickstart.py',
    f'--config.data.source={config.data.source}',
    f'--config.data.data_dir={config.data.data_dir}',
    '--config.model.num_frames=4',
  )
  call = functools.partial(commands.call, 'data.fingerprint')
  done = call(*arguments, f'--out={tmp_path / "one.json"}')
  assert done.returncode == 0, done.stderr
  assert "2 clips of 'val'" in done.stdout
  fingerprint.write(config, tmp_path / 'other.json')

  differ = call('compare', tmp_path / 'one.json', tmp_path / 'other.json')
  assert differ.returncode == 1
  assert "differ first in 'cropped'" in differ.stdout
  assert 'image_size (48 and 32)' in differ.stdout

  bad = call(*arguments, '--config.eval.crops=2')
  assert bad.returncode == 2
  assert bad.stderr.startswith('error: eval.crops is 2')
  assert len(bad.stderr.splitlines()) == 1


def test_a_file_compared_with_itself_and_with_none(config, tmp_path, capsys):
  path = str(tmp_path / 'one.json')
  fingerprint.write(config, path)
  assert fingerprint.main(['compare', path, path]) == 0
  assert 'All 2 clips are the same' in capsys.readouterr().out
  odd = ('{"clips": [{}]}', '{"clips": 5}', '{"settings": [], "clips": []}')
  odd = [text.replace('{"clips', '{"settings": {}, "clips') for text in odd]
  for text in (None, '{}', '[]', 'no JSON', *odd):
    if text:
      (tmp_path / 'bad.json').write_text(text)
    with pytest.raises(SystemExit) as bad:
      fingerprint.main(['compare', path, str(tmp_path / 'bad.json')])
    assert bad.value.code == 2
    assert "bad.json' is not a fingerprint" in capsys.readouterr().err


def test_no_file_to_write_and_no_such_split(config, tmp_path):
  with pytest.raises(errors.InputError, match='--out is empty'):
    fingerprint.write(config, '')
  config.eval.split = 'test'
  with pytest.raises(errors.InputError, match="the split 'test'"):
    fingerprint.write(config, tmp_path / 'one.json')
