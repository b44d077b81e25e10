import pytest

from support import helpers, miniatures
from tsm_jax.data.sources import published
from tsm_jax.data.store import dataset

# In the order of the official files, which is not that of the classes.
SSV1_LABELS = ('Holding something', 'Closing something', 'Ähnlich, "so"')


def test_ssv1(tmp_path):
  root = tmp_path / 'Something V1'
  miniatures.write_20bn_frames(
    root, 'something-something-v1', True, SSV1_LABELS
  )
  listing = published.read('ssv1', root)
  assert listing.labels == sorted(SSV1_LABELS)  # as in the TSM checkpoints
  assert listing.labels[0] == 'Closing something' != SSV1_LABELS[0]
  assert listing.notes[:5] == [
    '3 classes, where 174 are published',
    '6 train videos are listed, where 86017 are published',
    '3 val videos are listed, where 11522 are published',
    '2 test videos are listed, where 10960 are published',
    'frames are taken to be 12 per second, as 20BN states',
  ]
  assert listing.notes[5] == '2 test videos have no label and are left out'
  path, found = miniatures.build(listing, tmp_path)
  assert dataset.open(path).labels == listing.labels
  assert sorted(found) == [str(i) for i in range(1, 10)]
  for name, record in found.items():
    label = SSV1_LABELS[int(name) % 3]
    assert record['label'] == sorted(SSV1_LABELS).index(label)
    assert record['fps'] == 12 and record['num_frames'] == 3
    folder = root / '20bn-something-something-v1' / name
    expected = [(folder / f'{i:05d}.jpg').read_bytes() for i in (1, 2, 3)]
    assert list(record['frames']) == expected
  assert len(dataset.open(path).split('train')) == 6
  assert len(dataset.open(path).split('val')) == 3


@pytest.mark.parametrize('old_names', [True, False])
def test_jester(tmp_path, old_names):
  miniatures.write_20bn_frames(
    tmp_path, 'jester-v1', old_names, miniatures.JESTER_LABELS, False
  )
  listing = published.read('jester', tmp_path)
  assert listing.labels == ['Doing other things', 'No gesture', 'Swiping Left']
  splits = ['train'] * 6 + ['val'] * 3 + ['test'] * 2
  assert miniatures.table(listing) == {
    str(i): (miniatures.JESTER_LABELS[i % 3], split)
    for i, split in enumerate(splits, 1)
  }
  assert '11 test' not in ' '.join(listing.notes)
  assert listing.fps == 12 and listing.excluded == []


def test_a_repack_with_other_lists_is_refused(tmp_path):
  miniatures.write_20bn_frames(
    tmp_path, 'jester-v1', True, miniatures.JESTER_LABELS
  )
  miniatures.write_lines(
    tmp_path / 'jester-v1-train.csv',
    'video_id,label,frames,label_id,shape,format',
    '1,Swiping Left,37,0,"(100, 176)",jpg',
  )
  miniatures.fails('has a header and commas', 'jester', tmp_path)


def test_frames_that_are_damaged_or_missing(tmp_path):
  miniatures.write_20bn_frames(
    tmp_path, 'jester-v1', True, miniatures.JESTER_LABELS
  )
  frames = tmp_path / '20bn-jester-v1'
  (frames / '1' / '00002.jpg').unlink()
  helpers.write_frames(frames / '2', 30)
  (frames / '2' / '00004.jpg').write_bytes(b'no image')
  (frames / '3').rename(frames / '3333')
  listing = published.read('jester', tmp_path)
  assert listing.excluded == [('3', 'file does not exist')]
  path, found = miniatures.build(listing, tmp_path, max_excluded=0.5)
  report = dataset.open(path).report
  assert dict(report['excluded']) == {
    '1': '2 of 3 images are good: image 2 is missing',
    '3': 'file does not exist',
  }
  ((name, damage),) = report['damaged']
  assert name == '2' and damage.startswith('29 of 30 images are good: 00004')
  assert sorted(found) == ['2', '4', '5', '6', '7', '8', '9']


# The order of this JSON is neither sorted nor that of its numbers.
SSV2_LABELS = {
  'Putting something on a surface': '2',
  'Zooming on something': '0',
  'Bending something until it breaks': '1',
}


@pytest.mark.parametrize('old_names', [True, False])
@pytest.mark.parametrize('answers', [True, False])
def test_ssv2(tmp_path, old_names, answers):
  prefix = 'something-something-v2-' if old_names else 'labels/'
  miniatures.write_json(tmp_path / f'{prefix}labels.json', SSV2_LABELS)
  labels = list(SSV2_LABELS)
  for kind, ids in (('train', (1, 2, 3)), ('validation', (4, 5))):
    rows = [
      {
        'id': str(i),
        'label': labels[i % 3].replace('something', 'a red cup (new)'),
        'template': labels[i % 3].replace('something', '[something]'),
        'placeholders': ['a red cup (new)'],
      }
      for i in ids
    ]
    miniatures.write_json(tmp_path / f'{prefix}{kind}.json', rows)
  miniatures.write_json(
    tmp_path / f'{prefix}test.json', [{'id': '6'}, {'id': '7'}]
  )
  if answers:
    rows = [f'{i};{labels[i % 3]}' for i in (7, 6)]
    miniatures.write_lines(tmp_path / 'labels' / 'test-answers.csv', *rows)
  videos = tmp_path / '20bn-something-something-v2'
  for i in range(1, 8):
    helpers.write_video(
      videos / f'{i}.webm', 4, codec='libvpx-vp9', options={'crf': '40'}
    )
  listing = published.read('ssv2', tmp_path)
  assert listing.labels == [labels[1], labels[2], labels[0]]
  _, found = miniatures.build(listing, tmp_path)
  known = range(1, 8) if answers else range(1, 6)
  assert sorted(found) == [str(i) for i in known]
  for name, record in found.items():
    assert record['label'] == int(SSV2_LABELS[labels[int(name) % 3]])
    assert record['num_frames'] == 4 and record['fps'] == 24
  splits = ['train'] * 3 + ['val'] * 2 + ['test'] * 2
  expected = {str(i): s for i, s in enumerate(splits, 1) if i in known}
  assert {i.video_id: i.split for i in listing.items} == expected
  left_out = '2 test videos have no label and are left out' in listing.notes
  assert left_out == (not answers)


def write_ssv2(root, ending):
  miniatures.write_json(root / 'labels.json', {'Zooming': '0', 'Bending': '1'})
  for kind, i in (('train', 1), ('validation', 2)):
    rows = [{'id': str(i), 'template': 'Zooming'}]
    miniatures.write_json(root / f'{kind}.json', rows)
    miniatures.touch(root / f'20bn-something-something-v2/{i}{ending}')


@pytest.mark.parametrize('ending', ['.mp4', '.MKV', '.avi'])
def test_ssv2_in_other_containers(tmp_path, ending):
  write_ssv2(tmp_path, ending)
  listing = published.read('ssv2', tmp_path)
  assert [i.path.name for i in listing.items] == [f'1{ending}', f'2{ending}']
  assert '2 videos have another ending than published' in listing.notes
  if ending == '.mp4':  # the official form comes first
    write_ssv2(tmp_path, '.webm')
    listing = published.read('ssv2', tmp_path)
    assert [i.path.name for i in listing.items] == ['1.webm', '2.webm']


def test_what_is_looked_for_and_what_lies_there_is_said(tmp_path):
  write_ssv2(tmp_path, '.webm')
  folder = tmp_path / '20bn-something-something-v2'
  folder.rename(tmp_path / 'clips')
  miniatures.fails(
    r'found as 20bn-something-something-v2/\{id\}.webm, but '
    'clips/1.webm, clips/2.webm ... lie there: 1 file does not exist; 2 ',
    'ssv2',
    tmp_path,
  )
