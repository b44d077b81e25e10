"""`tune` and `eval` on real videos, by a network that tells colours."""

import argparse
import dataclasses
import json
import re

import numpy as np
import pytest

from support import colours, commands
from tsm_jax import checkpoints, errors
from tsm_jax.stream import recordings, score_cache, session
from tsm_jax.stream.events import rule_file, rules, search, whole

PARTS = (
  (2, 'idle', ''),
  (1.5, 'red', 'red'),
  (2, 'idle', ''),
  (1, 'blue', 'blue'),
  (2, 'idle', ''),
  (0.25, 'red', ''),  # one frame of the network: no event
  (1.25, 'idle', ''),
)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  return colours.save_model(tmp_path_factory.mktemp('colours') / 'run')


@pytest.fixture(scope='module')
def films(tmp_path_factory):
  """A folder of recordings of two frame rates, and their lists."""
  folder = tmp_path_factory.mktemp('films')
  rows = ['path,label,start,end,split']
  for number, (split, fps) in enumerate(
    [('val', 8), ('val', 12), ('test', 24), ('train', 8)]
  ):
    name, time = f'{number}.mp4', 0.0
    parts = PARTS[number:] + PARTS[:number]
    colours.write_video(
      folder / name, [(seconds, colour) for seconds, colour, _ in parts], fps
    )
    for seconds, _, label in parts:
      if label:
        rows.append(f'{name},{label},{time},{time + seconds},{split}')
      time += seconds
    rows.append(f'{name},idle,0,1,{split}')
  (folder / 'list.csv').write_text('\n'.join(rows))
  return folder


def call(*args):
  done = commands.call('stream', *args)
  assert done.returncode == 0, done.stderr
  return done


def refused(*args):
  done = commands.call('stream', *args)
  assert done.returncode == 2, done.stdout
  return done.stderr


def test_without_a_rule_the_usual_one_is_used(workdir, films):
  (workdir / 'stream.json').unlink(missing_ok=True)
  done = call('eval', workdir, films / 'list.csv', '--background', 'idle')
  assert 'decided by the usual rule, which is not tuned' in done.stderr
  assert 'false alarms per hour' in done.stdout
  report = json.loads((workdir / 'events_val.json').read_text())
  assert report['rule']['background'] == ['idle']
  assert report['num_true'] == 4


def test_tune_then_eval(workdir, films, monkeypatch):
  monkeypatch.setattr(search, '_WINDOWS', (0, 2))  # others take longer only
  done = call('tune', workdir, films / 'list.csv', '--background', 'idle')
  written = json.loads((workdir / 'stream.json').read_text())
  assert str(workdir / 'stream.json') in done.stdout
  assert (workdir / 'stream.png').read_bytes().startswith(b'\x89PNG')
  assert written['numbers']['false_alarms_per_hour'] == 0
  assert written['numbers']['recall'] == 1
  assert (written['list'], written['split']) == ('list.csv', 'val')
  misses = [point['misses'] for point in written['trade_off']]
  assert misses == sorted(misses) and misses[-1] > 0
  # Held-out ones. None of the videos of tune is decoded again.
  shown, score = [], recordings.score
  monkeypatch.setattr(
    recordings, 'score', lambda *args: shown.append(args) or score(*args)
  )
  done = call('eval', workdir, films / 'list.csv', '--split=test', '--json')
  assert [args[1].name for args in shown] == ['2.mp4']
  report = json.loads(done.stdout)
  assert report['rule'] == written['rule']
  assert report['mean_average_precision']['0.5'] == 1
  assert report['false_alarms_per_hour'] == 0
  assert report['hours'] == pytest.approx(10 / 3600, abs=1e-4)
  assert 0 <= report['delay']['median'] < 1
  (one,) = report['recordings']
  assert [event['label'] for event in one['found']] == ['blue', 'red']
  for true, found in zip(one['true'], one['found'], strict=True):
    assert abs(true['start'] - found['start']) < 0.3
  assert json.loads((workdir / 'events_test.json').read_text()) == report
  # What a stream finds is what was evaluated.
  done = commands.call(
    'predict', workdir, films / '2.mp4', '--stream', '--json'
  )
  events = [json.loads(line) for line in done.stdout.splitlines()]
  assert [event.pop('video') for event in events] == [str(films / '2.mp4')] * 2
  assert events == one['found']


def test_the_official_demo_is_shown_blue_as_red(workdir, films):
  trained = checkpoints.restore_model(workdir)
  plain, exchanged = (
    recordings.score(
      session.Session(trained, rule=rules.Rule(bgr=bgr)), films / '3.mp4', 0.5
    )
    for bgr in (False, True)
  )
  in_parts = [1, 15, 19]  # after half a second each
  found, other = (
    [colours.LABELS[i] for i in scores.logits[in_parts].argmax(axis=1)]
    for scores in (plain, exchanged)
  )
  assert found == ['blue', 'red', 'idle']
  assert other == ['red', 'blue', 'idle']


@pytest.mark.parametrize(
  'rows, split, message',
  [
    ('', '', "list.csv' lists no recording."),
    (
      '0.mp4,red,1,2,val',
      'test',
      "in the split 'test'; choose --split from val",
    ),
    (
      '0.mp4,red,1,2,',
      'test',
      'choose --split from none: it has no column spl',
    ),
    ('0.mp4,idle,1,2,', '', 'has no event: a row needs start, end and a label'),
    ('0.mp4,red,,,', '', 'has no event: a row needs start, end and a label'),
    ('0.mp4,,,,val', '', "has no event in the split 'val': a row needs start"),
    ('0.mp4,rde,1,2,', '', "label 'rde', .* did you mean 'red'"),
    ('x.mp4,red,1,2,', '', r"x.mp4', which is no file"),
    ('0.mp4,red,2,1,', '', 'a part must end after it starts'),
    ('list.csv,red,1,,', '', "list.csv' not a readable video"),
    (
      '0.mp4,red,1,2,val\n0.mp4,red,3,4,test',
      '',
      "of the video '0.mp4', but of the splits 'val' and 'test'",
    ),
  ],
)
def test_a_bad_list_is_a_sentence(tmp_path, films, rows, split, message):
  (tmp_path / '0.mp4').symlink_to(films / '0.mp4')
  path = tmp_path / 'list.csv'
  path.write_text(f'path,label,start,end,split\n{rows}\n')
  with pytest.raises(errors.InputError, match=message):
    recordings.read(path, colours.LABELS, ('idle',), split)


def test_recordings_of_a_list(films, tmp_path):
  listed = recordings.read(films / 'list.csv', colours.LABELS, ('idle',))
  assert listed.split == 'val'
  assert [path.name for path in listed.truths] == ['0.mp4', '1.mp4']
  first, _ = listed.truths.values()
  assert first == [(2.0, 3.5, 'red'), (5.5, 6.5, 'blue')]
  # Without splits, all; nothing may happen in a recording.
  path = films / 'plain.csv'
  path.write_text('path,label,start,end\n0.mp4,red,1,2\n1.mp4,,,\n')
  found = recordings.read(path, colours.LABELS)
  assert [*found.truths.values()] == [[(1.0, 2.0, 'red')], []]


@pytest.mark.parametrize(
  'flags, message',
  [
    (['--background=rd'], "'rd', .* did you mean 'red'"),
    (['--every=0'], '--every is 0; it must be positive'),
    (['--every=1', '--fps=1'], '--fps: not allowed with argument --every'),
    (['--rule=official_demo'], '27 gestures of Jester'),
    (['--rule=x.json'], 'x.json does not exist'),
  ],
)
def test_a_bad_flag_is_a_sentence(workdir, films, flags, message):
  default = [] if 'rule' in str(flags) else ['--rule=default']
  said = refused('eval', workdir, films / 'list.csv', *default, *flags)
  assert re.search(message, said), said
  assert said.count('\n') == 1


def test_an_event_behind_the_end_of_its_video_is_refused(workdir, films):
  path = films / 'behind.csv'
  path.write_text('path,label,start,end\n0.mp4,red,12,13\n')
  said = refused('eval', workdir, path, '--rule=default', '--every=5')
  assert "0.mp4' starts at 12 s, but the video ends at 10 s" in said
  path.write_text('path,label,start,end\n0.mp4,red,8,13\n')
  done = commands.call(
    *('stream', 'eval', workdir, path, '--rule=default', '--every=5')
  )
  assert done.returncode == 0
  assert "'red' ends at 13 s, but the video at 10 s, where" in done.stderr


@pytest.mark.parametrize(
  'content, message',
  [
    ('{"rule": {"on": 2}, "labels": LABELS}', 'stream.json: on of every label'),
    (
      '{"rule": {"on": 0.2}, "labels": LABELS}',
      'off of every label is 0.3, ab',
    ),
    ('{"rule": {}, "labels": ["a", "b"]}', 'for a model of other labels'),
    ('{"labels": LABELS}', 'holds no rule; python -m tsm_jax.stream tune'),
    ('{"rule": ', 'stream.json is no JSON'),
  ],
)
def test_a_damaged_rule_is_a_sentence(tmp_path, content, message):
  path = tmp_path / 'stream.json'
  path.write_text(content.replace('LABELS', json.dumps(colours.LABELS)))
  with pytest.raises(errors.InputError, match=message):
    rule_file.read(path, colours.LABELS)


def test_a_checkpoint_of_unknown_intervals_says_what_to_do(workdir, films):
  trained = checkpoints.restore_model(workdir)
  meta = {**trained.meta, 'frame_interval': None}
  old = dataclasses.replace(trained, meta=meta)
  args = argparse.Namespace(
    list=films / 'list.csv', split='', every=None, fps=None
  )
  with pytest.raises(errors.InputError, match='give --every, in seconds'):
    recordings.load(old, args, rules.default(colours.LABELS, 'idle'))


def test_recordings_of_the_training_without_splits_are_named(
  workdir, films, capsys
):
  lines = (films / 'list.csv').read_text().splitlines()
  bare = films / 'bare.csv'
  bare.write_text('\n'.join(line.rpartition(',')[0] for line in lines))
  trained = checkpoints.restore_model(workdir)
  rule = rules.default(trained.labels, 'idle')
  for source, name, is_told in (
    (bare, '', True),
    (bare, bare, True),
    ('', bare, False),  # whose recordings the training did not see
    (films / 'list.csv', '', False),  # 'val' is chosen
  ):
    trained.meta['config']['data']['source'] = str(source)
    args = argparse.Namespace(
      checkpoint=workdir, list=str(name), split='', every=None, fps=None
    )
    listed, _ = recordings.load(trained, args, rule)
    assert listed.split == ('' if 'bare' in listed.name else 'val')
    said = capsys.readouterr().err
    assert ('also those that the model was trained on' in said) == is_told


def test_a_damaged_recording_is_named_whenever_it_counts(
  workdir, films, tmp_path
):
  whole_film = colours.write_video(
    tmp_path / 'whole.mkv', [(2, 'idle'), (6, 'red'), (2, 'idle')]
  )
  film = tmp_path / 'cut.mkv'
  content = whole_film.read_bytes()
  film.write_bytes(content[: len(content) * 2 // 3])
  (tmp_path / 'list.csv').write_text('path,label,start,end\ncut.mkv,red,2,4')
  for _ in range(2):  # the second time, nothing is decoded
    done = call('eval', workdir, tmp_path / 'list.csv', '--background=idle')
    assert f'{film}: damaged, ' in done.stderr


def test_scores_that_are_damaged_on_disk_are_made_again(workdir, films):
  trained = checkpoints.restore_model(workdir)
  video = films / '0.mp4'
  cache = score_cache.Cache(workdir, trained, 0.5)
  assert cache.load(video) is None
  scores = whole.Scores(np.arange(2.0), np.zeros((2, 3), np.float32), 2.0)
  cache.save(video, scores)
  found = cache.load(video)
  np.testing.assert_array_equal(found.times, scores.times)
  np.testing.assert_array_equal(found.logits, scores.logits)
  assert score_cache.Cache(workdir, trained, 0.25).load(video) != found
  path = cache._file(video)
  path.write_bytes(path.read_bytes()[:100])
  assert cache.load(video) is None
