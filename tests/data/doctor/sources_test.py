"""What may be examined beside a folder of videos."""

import json
import shutil

import pytest

from support import commands, helpers


def main(*args):
  """The status of the command, in this process."""
  return commands.call('data.doctor', *args).returncode


def test_a_published_dataset(tmp_path):
  root = helpers.write_hmdb51(tmp_path / 'hmdb')
  args = (root, '--name', 'hmdb51', '--cache', tmp_path, '--num_frames', 4)
  out = tmp_path / 'found.json'
  assert main(*args, '--json', out) == 1
  found = json.loads(out.read_text())
  # Its videos are all the same.
  assert [f['kind'] for f in found['findings']] == ['duplicate_split']
  assert '2 classes, where 51 are published' in found['notes']
  (root / 'hmdb51_org' / 'wave' / '0(!).avi').unlink()
  assert main(*args, '--json', out) == 1
  found = json.loads(out.read_text())
  assert found['findings'][0]['clips'] == ['wave/0(!).avi']
  assert found['findings'][0]['kind'] == 'unusable'


@pytest.mark.parametrize('storage', ['frames', 'video'])
def test_a_built_dataset(tmp_path, storage):
  source = helpers.write_folder(tmp_path / 'clips')
  shutil.copy(source / 'run' / '0.mp4', source / 'jump' / 'copy.mp4')
  (source / 'run' / 'empty.mp4').write_bytes(b'')
  path, _ = helpers.build(
    source, tmp_path / 'data', max_excluded=0.2, storage=storage
  )
  out = tmp_path / 'found.json'
  args = (path, '--cache', tmp_path / 'cache', '--json', out)
  assert main(*args, '--html', tmp_path / 'found.html') == 1
  found = json.loads(out.read_text())
  assert found['num_clips'] == 9 and found['source'] == str(path)
  by_clips = {tuple(sorted(f['clips'])): f['kind'] for f in found['findings']}
  kind = by_clips.pop(('jump/copy.mp4', 'run/0.mp4'))
  assert kind in ('duplicate_label', 'duplicate_split')
  drawn_alike = [clips for clips, k in by_clips.items() if k == 'near_split']
  assert by_clips == {
    ('run/empty.mp4',): 'unusable',
    **dict.fromkeys(drawn_alike, 'near_split'),
  }
  counts = found['classes']
  assert sum(counts['run'].values()) == 4 and sum(counts['jump'].values()) == 5
  page = (tmp_path / 'found.html').read_text()
  # The duplicates, pairs that are alike, one of each class.
  assert page.count('<img') == 2 + 2 * len(drawn_alike) + 2


def test_lists_that_state_another_count(tmp_path):
  (tmp_path / 'category.txt').write_text('a\nb\n')
  (tmp_path / 'train_videofolder.txt').write_text('x 5 0\ny 9 1\nz 9 0\n')
  for seed, (name, count) in enumerate((('x', 9), ('y', 9), ('z', 8))):
    helpers.write_frames(tmp_path / name, count, 'img_{:05d}.jpg', seed=seed)
  out, cache = tmp_path / 'a.json', tmp_path / 'cache'
  flags = ['--name=frame_lists', f'--json={out}', f'--cache={cache}']
  assert main(tmp_path, *flags) == 1
  found = json.loads(out.read_text())['findings']
  assert [(f['kind'], f['clips'], f['detail']) for f in found] == [
    ('frame_count', ['z'], 'has 8 frames, its list 9'),
    ('cut', ['x'], 'has 9 frames, its list 5'),
  ]


def test_flow(tmp_path):
  source = tmp_path / 'flow'
  for number, name in enumerate(('a', 'b', 'c', 'd')):
    clip = source / 'run' / name
    helpers.write_flow(clip, 5 - number, mean=(100 + 9 * number, 160))
    helpers.write_frames(clip, 9, 'img_{:05d}.jpg', seed=number)
  (source / 'run' / 'b' / 'flow_y_00002.jpg').write_bytes(b'')
  out, cache = tmp_path / 'a.json', tmp_path / 'cache'
  args = ('--num_frames', 4, '--cache', cache, '--json', out)

  def found(*more):
    status = main(*more, *args)
    content = json.loads(out.read_text())
    assert content['num_clips'] == 4
    return status, {(f['kind'], *f['clips']) for f in content['findings']}

  flow = ('--modality', 'flow', '--html', tmp_path / 'page.html')
  expected = {
    ('damaged', 'run/b'),
    ('short', 'run/b'),
    ('short', 'run/c'),
    ('too_short', 'run/d'),
  }
  assert found(source, *flow) == (1, expected)
  assert (tmp_path / 'page.html').read_text().count('<img') == 4 + 1
  # What is known of the frames beside it is not taken for what is of flow.
  rows = [f'run/{name},run' for name in 'abcd']
  (source / 'list.csv').write_text('\n'.join(['path,label', *rows]))
  assert found(source / 'list.csv') == (0, set())
  assert found(source / 'list.csv', *flow) == (1, expected)

  clips = helpers.write_folder(tmp_path / 'clips', ('run',), 2)
  built, _ = helpers.build(clips, tmp_path / 'data')
  done = commands.call('data.doctor', built, '--modality', 'flow')
  assert done.returncode == 2
  assert "--modality is 'flow', but the dataset" in done.stderr
