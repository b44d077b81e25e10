"""Files of ELAN, VIA and ActivityNet, as these programs write them."""

import json

import pytest

from support import helpers, listed
from tsm_jax import errors
from tsm_jax.data.sources import folder, segments
from tsm_jax.data.store import dataset

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0"
    VERSION="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/f.wav" MIME_TYPE="audio/x-wav"
        RELATIVE_MEDIA_URL="./f.wav"/>
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/{video}" MIME_TYPE="video/mp4"
        RELATIVE_MEDIA_URL="./{video}" {origin}/>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/>
    <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="3500"/>
    <TIME_SLOT TIME_SLOT_ID="ts5"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="action">
    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1"
          TIME_SLOT_REF2="ts2">
        <ANNOTATION_VALUE>run</ANNOTATION_VALUE>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>
    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3"
          TIME_SLOT_REF2="ts4">
        <ANNOTATION_VALUE> jump &amp; fall </ANNOTATION_VALUE>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>
    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts4"
          TIME_SLOT_REF2="ts5">
        <ANNOTATION_VALUE>lost</ANNOTATION_VALUE>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="t" PARENT_REF="action" TIER_ID="note">
    <ANNOTATION>
      <REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
        <ANNOTATION_VALUE>well</ANNOTATION_VALUE>
      </REF_ANNOTATION>
    </ANNOTATION>
  </TIER>
</ANNOTATION_DOCUMENT>
"""


def eaf(video='my film.mp4', origin=''):
  return EAF.format(video=video.replace(' ', '%20'), origin=origin)


def table(source):
  listing = folder.scan(source, holdout=0)
  return {
    item.video_id: (item.path.name, item.label) for item in listing.items
  }, listing.notes


BOTH = {
  'film.mp4@0.5-1.25': ('film.mp4', 'run'),
  'film.mp4@2-3.5': ('film.mp4', 'jump'),
}


def test_an_eaf_file(tmp_path):
  listed.touch(tmp_path, 'my film.mp4')
  (tmp_path / 'a.eaf').write_text(eaf())
  found, notes = table(tmp_path / 'a.eaf')
  assert found == {
    'my film.mp4@0.5-1.25': ('my film.mp4', 'run'),
    'my film.mp4@2-3.5': ('my film.mp4', 'jump & fall'),
  }
  assert notes == [
    '2 annotations of a.eaf without times of their own are passed over'
  ]


def test_times_of_an_eaf_file_may_begin_later_in_its_video(tmp_path):
  listed.touch(tmp_path, 'deep/film.mp4')  # found by its name
  (tmp_path / 'a.eaf').write_text(eaf('film.mp4', 'TIME_ORIGIN="1500"'))
  found, _ = table(tmp_path / 'a.eaf')
  assert set(found) == {'deep/film.mp4@2-2.75', 'deep/film.mp4@3.5-5'}


@pytest.mark.parametrize('split', [True, False])
def test_a_folder_of_eaf_files(tmp_path, split):
  places = ('train/', 'val/') if split else ('', '')
  for name, place in zip(
    ('film.mp4', 'film.mp4' if split else 'g.mp4'), places
  ):
    listed.touch(tmp_path, f'{place}{name}')
    (tmp_path / f'{place}{name[0]}.eaf').write_text(eaf(name))
  listing = folder.scan(tmp_path)
  splits = {segments.video(item): item.split for item in listing.items}
  if split:
    assert splits == {'train/film.mp4': 'train', 'val/film.mp4': 'val'}
  else:
    assert sorted(splits) == ['film.mp4', 'g.mp4']
    assert sorted(splits.values()) == ['train', 'val']  # held out
  assert len(listing.items) == 4


def test_a_folder_of_eaf_files_may_have_one_of_videos(tmp_path):
  listed.touch(tmp_path, 'videos/film.mp4', 'videos/g.mp4')
  for name in ('film', 'g'):
    (tmp_path / f'{name}.eaf').write_text(eaf(f'{name}.mp4'))
  listing = folder.scan(tmp_path)
  assert {segments.video(item) for item in listing.items} == {
    'videos/film.mp4',
    'videos/g.mp4',
  }
  # Beside folders of classes, it is passed over as before.
  listed.touch(tmp_path, 'run/a.mp4', 'jump/a.mp4')
  assert folder.scan(tmp_path, holdout=0).labels == ['jump', 'run', 'videos']


BOMB = """<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]>
<ANNOTATION_DOCUMENT>&c;</ANNOTATION_DOCUMENT>"""
OTHER_FILE = """<?xml version="1.0"?>
<!DOCTYPE a SYSTEM "file:///etc/passwd">
<ANNOTATION_DOCUMENT/>"""


@pytest.mark.parametrize(
  'text, message',
  [
    (BOMB, 'DOCTYPE'),
    (OTHER_FILE, 'DOCTYPE'),
    ('<a>', 'cannot be read: no element|cannot be read: unclosed'),
    ('<a/>', "is an XML of 'a', not of ELAN"),
    ('<?xml version="1.0" encoding="odd"?><a/>', 'cannot be read'),
    (eaf().replace('milliseconds', 'PAL-frames'), "in 'PAL-frames', not in"),
    (eaf().replace('"2000"', '"2 s"'), "has the time '2 s'"),
    ('<ANNOTATION_DOCUMENT/>', 'holds no annotation with times'),
  ],
)
def test_eaf_files_that_are_none(tmp_path, text, message):
  (tmp_path / 'a.eaf').write_text(text)
  listed.fails(tmp_path / 'a.eaf', message)


DEFAULT = (
  'action\tme\t00:00:00.500\t0.5\t500\t00:00:01.250\t1.25\t1250\t'
  '00:00:00.750\t0.75\t750\trun\n'
  'action\t\t00:00:02.000\t2.0\t2000\t00:00:03.500\t3.5\t3500\t'
  '00:00:01.500\t1.5\t1500\tjump\n'
)


@pytest.mark.parametrize(
  'text',
  [
    DEFAULT,
    '"#file:///C:/x/a.eaf"\n"#Media: file:///C:/x/film.mp4"\n' + DEFAULT,
    'action\t500\t1250\trun\naction\t2000\t3500\tjump\n',
    'action\t0,5\t1,25\trun\naction\t2,0\t3,5\tjump\n',
    'Tier\tBegin Time - ss.msec\tEnd Time - ss.msec\tAnnotation\n'
    'action\t0.500\t1.250\trun\naction\t2.000\t3.500\tjump\n',
    # Another language, a column for each tier, and the name of the file.
    'Temps de départ - hh:mm:ss.ms\ttemps de fin - hh:mm:ss.ms\tone\ttwo\tf\n'
    '00:00:00.500\t00:00:01.250\trun\t\tC:\\x\\film.eaf\n'
    '00:00:02.000\t00:00:03.500\t\tjump\tC:\\x\\film.eaf\n',
  ],
)
@pytest.mark.parametrize('suffix', ['txt', 'tsv'])
def test_what_elan_exports(tmp_path, text, suffix):
  listed.touch(tmp_path, 'film.mp4')
  (tmp_path / f'film.{suffix}').write_text(text)
  assert table(tmp_path / f'film.{suffix}') == (BOTH, [])


@pytest.mark.parametrize(
  'text, message',
  [
    (
      'a list of words\n',
      'is no list, which ends in .csv or .json, and has no',
    ),
    ('x\t0.5\trun\n', 'is no list'),
    (
      'Begin Time - msec\tEnd Time - msec\tA\n0\t5\trun\n7\tsoon\tjump\n',
      "the row .'7', 'soon', 'jump'., whose times",
    ),
  ],
)
def test_tables_that_are_none(tmp_path, text, message):
  (tmp_path / 'a.txt').write_text(text)
  listed.fails(tmp_path / 'a.txt', message)


ATTRIBUTES = {
  '1': {
    'aname': 'comment',
    'anchor_id': 'FILE1_Z2_XY0',
    'type': 1,
    'options': {},
  },
  '2': {
    'aname': 'Action class',
    'anchor_id': 'FILE1_Z2_XY0',
    'type': 3,
    'options': {'0': 'run', '1': 'jump'},
  },
  '3': {'aname': 'Box', 'anchor_id': 'FILE1_Z1_XY1', 'type': 1, 'options': {}},
}
PROJECT = {
  'project': {'pid': 'x', 'vid_list': ['1']},
  'attribute': ATTRIBUTES,
  'file': {'7': {'fid': '7', 'fname': 'film.mp4', 'type': 4, 'loc': 1}},
  'view': {'1': {'fid_list': ['7']}},
  'metadata': {
    '1_a': {'vid': '1', 'z': [2, 3.5], 'xy': [], 'av': {'2': '1'}},
    '1_b': {'vid': '1', 'z': [0.5, 1.25], 'xy': [], 'av': {'1': 'x', '2': '0'}},
    '1_c': {'vid': '1', 'z': [0.75], 'xy': [2, 1, 1, 5, 5], 'av': {'3': 'x'}},
  },
}
VIA_NOTES = [
  '1 annotations of single frames or boxes are passed over',
  "the labels are the values of 'Action class', not of 'comment'",
]
VIA_CSV = (
  '# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/)\n'
  f'# ATTRIBUTE = {json.dumps(ATTRIBUTES)}\n'
  '# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,'
  'spatial_coordinates,metadata\n'
  '"1_a","[""film.mp4""]",0,"[2,3.5]","[]","{""2"":""1""}"\n'
  '"1_b","[""film.mp4""]",0,"[0.5,1.25]","[]","{""1"":""x"",""2"":""0""}"\n'
  '"1_c","[""film.mp4""]",0,"[0.75]","[2,1,1,5,5]","{""3"":""x""}"\n'
)


def test_a_project_of_via(tmp_path):
  listed.touch(tmp_path, 'film.mp4')
  (tmp_path / 'a.json').write_text(json.dumps(PROJECT))
  assert table(tmp_path / 'a.json') == (BOTH, VIA_NOTES)


def test_what_via_exports(tmp_path):
  listed.touch(tmp_path, 'film.mp4')
  (tmp_path / 'a.csv').write_text(VIA_CSV)
  assert table(tmp_path / 'a.csv') == (BOTH, VIA_NOTES)


def test_what_earlier_versions_of_via_export(tmp_path):
  listed.touch(tmp_path, 'film.mp4')
  (tmp_path / 'a.csv').write_text(
    '# Exported using VGG Image Annotator\n'
    '# CSV_HEADER = metadata_id, file_list, temporal_segment_start, '
    'temporal_segment_end, metadata\n'
    '"1_a","[""film.mp4""]",2,3.5,"{""TEMPORAL-SEGMENTS"":""jump""}"\n'
    '"1_b","[""film.mp4""]",0.5,1.25,"{""TEMPORAL-SEGMENTS"":""run""}"\n'
  )
  assert table(tmp_path / 'a.csv') == (BOTH, [])


@pytest.mark.parametrize(
  'change, message',
  [
    ({'view': {}}, "is a project of VIA that lacks '1'"),
    ({'metadata': {'1': {'vid': '1'}}}, 'lacks'),
    ({'metadata': {}}, 'holds no annotation'),
    (
      {
        'metadata': {
          '1': {'vid': '1', 'z': ['0', '1'], 'xy': [], 'av': {'2': '0'}}
        }
      },
      'has the annotation .* which is none',
    ),
  ],
)
def test_projects_of_via_that_are_none(tmp_path, change, message):
  (tmp_path / 'a.json').write_text(json.dumps({**PROJECT, **change}))
  listed.fails(tmp_path / 'a.json', message)


@pytest.mark.parametrize(
  'old, new, message',
  [
    ('"[2,3.5]"', '"[2,"', 'which is no JSON'),
    ('file_list', 'files', 'without the columns file_list and metadata'),
  ],
)
def test_exports_of_via_that_are_none(tmp_path, old, new, message):
  (tmp_path / 'a.csv').write_text(VIA_CSV.replace(old, new))
  listed.fails(tmp_path / 'a.csv', message)


def activitynet(**videos):
  return json.dumps({'version': '1.3', 'taxonomy': [], 'database': videos})


def entry(subset, *parts):
  parts = [{'label': la, 'segment': [a, b]} for la, a, b in parts]
  return {'duration': 9, 'subset': subset, 'annotations': parts, 'url': 'x'}


def test_activitynet(tmp_path):
  listed.touch(tmp_path, 'videos/v_a-1.mkv', 'videos/b.mp4', 'videos/c.mp4')
  (tmp_path / 'a.json').write_text(
    activitynet(
      **{'a-1': entry('training', ('run', 0.5, 2), ('jump', 3, 3))},
      b=entry('validation', ('run', -0.01, 1.5)),
      c=entry('testing'),
      d=entry('training', ('run', 1, 2)),
    )
  )
  listing = folder.scan(tmp_path / 'a.json')
  assert listed.table(listing) == {
    'videos/b.mp4@0-1.5': ('run', 'val'),
    'videos/v_a-1.mkv@0.5-2': ('run', 'train'),
  }
  assert listing.excluded == [('d.mp4@1-2', 'file does not exist')]
  assert listing.notes == [
    '1 videos have no annotation',
    '1 annotations of a.json end before they begin and are not used, for '
    "example of 'a-1': 3 to 3 s",
  ]


@pytest.mark.parametrize(
  'videos, message',
  [
    ({'a': entry('holdout', ('x', 1, 2))}, "subset 'holdout' of the video 'a'"),
    ({'a': []}, "describes the video 'a' by"),
    ({'a': {'annotations': [{'label': 'x'}]}}, 'a label and a segment of two'),
    (
      {'a': {'annotations': [{'label': 'x', 'segment': [1, 'b']}]}},
      'a label and a segment of two',
    ),
    ({'a': entry('testing')}, 'holds no annotation with times'),
    ({'a': entry('', ('x\ny', 1, 2))}, r"video 'a' at 1 s, the label 'x\\ny'"),
    ({'a\0': entry('', ('x', 1, 2))}, 'a NUL character'),
  ],
)
def test_databases_that_are_none(tmp_path, videos, message):
  (tmp_path / 'a.json').write_text(activitynet(**videos))
  listed.fails(tmp_path / 'a.json', message)


@pytest.mark.parametrize(
  'parts',
  [
    5,
    [{'label': 'x', 'segment': [float('nan'), 2]}],
    [{'label': 'x', 'segment': [1, float('inf')]}],
    [{'label': 'x', 'segment': [1, 10**400]}],
    [{'label': 'x', 'segment': '12'}],
    [{'label': None, 'segment': [1, 2]}],
    [{'label': ['x'], 'segment': [1, 2]}],
  ],
)
def test_annotations_of_a_database_that_are_none(tmp_path, parts):
  text = activitynet(a={'subset': 'training', 'annotations': parts})
  (tmp_path / 'a.json').write_text(text)
  listed.fails(tmp_path / 'a.json', "annotation.* of the video 'a'; .* must")


def test_overlapping_annotations_are_noted(tmp_path):
  listed.touch(tmp_path, 'v_a.mp4')
  path = tmp_path / 'a.json'
  path.write_text(activitynet(a=entry('', ('run', 1, 3), ('jump', 2, 4))))
  _, (note,) = table(path)
  assert note == (
    '1 annotations of a.json overlap some of other labels; each is used, for '
    "example 'v_a.mp4@1-3' ('run') and 'v_a.mp4@2-4' ('jump')"
  )


def test_a_recording_becomes_a_dataset(tmp_path):
  for name in ('film.mp4', 'g.mp4'):
    helpers.write_video(tmp_path / 'source' / name, 48, (16, 16), fps=12)
    (tmp_path / 'source' / f'{name}.eaf').write_text(eaf(name))
  path, _ = helpers.build(tmp_path / 'source', tmp_path / 'data')
  built = dataset.open(path)
  assert built.num_frames == {'train': [9, 18], 'val': [9, 18]}
  assert built.labels == ['jump & fall', 'run']


def test_other_json_is_still_a_list(tmp_path):
  (tmp_path / 'a.json').write_text('{"path": "a.mp4"}')
  listed.fails(tmp_path / 'a.json', 'must hold an array of objects')
  with pytest.raises(errors.InputError, match='cannot be read'):
    (tmp_path / 'a.json').write_text('{')
    folder.scan(tmp_path / 'a.json')
