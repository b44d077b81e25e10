"""What is written of a stream, letter by letter and picture by picture."""

import csv
import json
import os
import types

import av
import numpy as np
from PIL import Image
import pytest

from tsm_jax.data.sources import lists
from tsm_jax.stream.events import rules
from tsm_jax.stream.frames import timed
from tsm_jax.stream.output import (
  lettering,
  overlay,
  subtitles,
  tables,
  timeline,
)

EVENTS = (
  rules.Event(3.25, 4.5, 'Größe <b> & 跑', 0.875, 3.5),
  rules.Event(1.0, 3723.4567, 'run', 0.5, 2.0),
)


def told(output, events=EVENTS):
  for event in events:
    output.event(event)
  output.close()


def answer(*probabilities):
  return types.SimpleNamespace(probabilities=np.float32(probabilities))


def test_srt_in_the_order_of_time(tmp_path):
  path = tmp_path / 'a.srt'
  writer = subtitles.Subtitles(path, 'srt')
  writer.event(EVENTS[0])
  # Whole at any time: who is killed leaves what was found.
  first = '00:00:03,250 --> 00:00:04,500\nGröße <b> & 跑\n\n'
  assert path.read_text(encoding='utf-8') == f'1\n{first}'
  writer.event(EVENTS[1])
  writer.close()
  assert path.read_text(encoding='utf-8') == (
    f'1\n00:00:01,000 --> 01:02:03,456\nrun\n\n2\n{first}'
  )


def test_web_vtt_escapes_what_it_takes_for_marks(tmp_path):
  path = tmp_path / 'a.vtt'
  odd = rules.Event(0.0, 0.1, 'a\n\n--> b', 1.0, 0.0)
  told(subtitles.Subtitles(path, 'vtt'), (odd, EVENTS[0]))
  assert path.read_text(encoding='utf-8') == (
    'WEBVTT\n\n'
    '1\n00:00:00.000 --> 00:00:00.100\na\\n\\n--&gt; b\n\n'
    '2\n00:00:03.250 --> 00:00:04.500\nGröße &lt;b&gt; &amp; 跑\n\n'
  )


def test_ffmpeg_reads_the_subtitles(tmp_path):
  for kind in ('srt', 'vtt'):
    told(subtitles.Subtitles(tmp_path / f'a.{kind}', kind))
    with av.open(str(tmp_path / f'a.{kind}')) as container:
      packets = [p for p in container.demux(subtitles=0) if p.size]
    times = [(float(p.pts * p.time_base), p.duration) for p in packets]
    assert times == [(1.0, 3722456), (3.25, 1250)]


def test_events_as_csv_are_a_list_of_segments(tmp_path):
  path = tmp_path / 'a.csv'
  told(tables.EventCsv(path, 'a, b.mp4'))
  assert path.read_text(encoding='utf-8') == (
    'path,start,end,label,score,decided\n'
    '"a, b.mp4",3.250,4.500,Größe <b> & 跑,0.8750,3.500\n'
    '"a, b.mp4",1.000,3723.457,run,0.5000,2.000\n'
  )
  (tmp_path / 'a, b.mp4').write_bytes(b'x')
  found = lists.read(path)
  assert [(item.segment.start, item.label) for item in found] == [
    (3.25, 'Größe <b> & 跑'),
    (1.0, 'run'),
  ]


def test_events_on_standard_output():
  lines = []
  told(tables.Table(lines.append, 'a\x1b.mp4'))
  assert lines == [
    r'a\x1b.mp4',
    '      start         end   score  label',
    ' 0:00:03.25  0:00:04.50   87.5%  Größe <b> & 跑',
    ' 0:00:01.00  1:02:03.46   50.0%  run',
  ]
  lines = []
  told(tables.JsonLines(lines.append, 'a.mp4'))
  assert [json.loads(line) for line in lines] == [
    {'video': 'a.mp4', **event._asdict()} for event in EVENTS
  ]


def test_scores_of_a_second_are_their_mean(tmp_path):
  path = tmp_path / 'a.csv'
  writer = tables.ScoreCsv(path, ['a,b', 'c'])
  for time, share in ((0.0, 0.5), (0.9, 1.0), (1.0, 0.25), (7.3, 0.0)):
    writer.answer(time, answer(share, 1 - share))
  writer.close()
  with open(path, newline='') as file:
    assert list(csv.reader(file)) == [
      ['second', 'a,b', 'c'],
      ['0', '0.7500', '0.2500'],
      ['1', '0.2500', '0.7500'],
      ['7', '0.0000', '1.0000'],
    ]


def test_a_timeline_of_any_length_takes_the_same_memory(tmp_path, monkeypatch):
  monkeypatch.setattr(timeline, 'MAX_BINS', 8)
  picture = timeline.Timeline(tmp_path / 'a.png', ['idle', 'run'])
  for step in range(32):  # 3.2 s: bins of 0.1 s become such of 0.4 s
    picture.answer(step / 10 + 0.01, answer(step / 32, 1 - step / 32))
  times, scores = picture.scores()
  np.testing.assert_allclose(times, 0.4 * np.arange(8) + 0.2)
  means = np.arange(32).reshape(8, 4).mean(1) / 32
  np.testing.assert_allclose(scores, np.stack([means, 1 - means], 1), atol=1e-6)
  told(picture)
  with Image.open(tmp_path / 'a.png') as image:
    assert image.size == (1100, 363)


def test_a_timeline_shows_what_happens_first_and_then_what_nearly_did():
  labels = [f'class {i}' for i in range(12)]
  scores = np.zeros((3, 12))
  scores[1] = np.arange(12) / 12
  events = [rules.Event(0, 1, 'class 0', 1, 0)]
  chosen = timeline._chosen(scores, labels, events)
  assert chosen == ['class 0', *labels[5:]]
  assert timeline.draw([], np.zeros((0, 12)), labels, []).startswith(b'\x89PNG')


@pytest.mark.parametrize('ending', ['.mp4', '.mkv'])
def test_an_overlay_has_every_frame_at_its_time(tmp_path, ending):
  path = str(tmp_path / f'a{ending}')
  writer = overlay.Overlay(path, 24)
  times = [0.0, 0.05, 0.05, 0.2, 1.7]  # of any rate, and twice the same
  sizes = [(47, 65)] * 4 + [(94, 130)]  # odd, and of another size
  for number, (time, size) in enumerate(zip(times, sizes)):
    image = np.full((*size, 3), 40 * number, np.uint8)
    writer.frame(timed.Frame(time, lambda image=image: image), 'x', 0.5)
  writer.close()
  with av.open(path) as container:
    frames = list(container.decode(video=0))
  assert [(f.width, f.height) for f in frames] == [(66, 48)] * 5
  np.testing.assert_allclose([f.time for f in frames], times, atol=0.002)
  for number, frame in enumerate(frames):
    # Above the label is the video.
    picture = frame.to_ndarray(format='rgb24')
    assert abs(int(picture[10, 30, 0]) - 40 * number) < 8


def test_the_bar_is_as_long_as_the_score():
  image = np.full((120, 200, 3), 128, np.uint8)
  for score in (0.0, 0.25, 1.0):
    drawn = np.asarray(lettering.draw(image, '', score))
    green = (drawn == lettering._BAR).all(-1)
    assert green[-1].sum() == round(200 * score)
  assert (drawn[:100] == 128).all() and (image == 128).all()


def test_letters_that_are_not_ascii_are_drawn():
  assert lettering.covering('Größe, бег, τρέχω') == lettering.USUAL
  image = np.zeros((240, 320, 3), np.uint8)
  texts = ('ö', 'б', 'τ', '?')
  drawn = [np.asarray(lettering.draw(image, text, 0.5)) for text in texts]
  letters = [picture[215:238, :20].tobytes() for picture in drawn]
  assert len(set(letters)) == 4  # no box or question mark in their place
  # Of a letter that no font has, there is a box, and no error.
  lettering.draw(image, '\U0001f9e6' * 500, 1.0)


def test_a_list_of_events_in_another_folder_names_the_video(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  name = os.fsdecode(b'caf\xe9, "1".mp4')  # not UTF-8
  (tmp_path / name).write_bytes(b'')
  (tmp_path / 'out').mkdir()
  told(tables.EventCsv('out/a.csv', name))
  with open('out/a.csv', 'rb') as file:
    assert b'"../caf\xe9, ""1"".mp4",3.250' in file.read()


def test_a_second_begins_on_time_in_spite_of_rounding(tmp_path):
  output = tables.ScoreCsv(str(tmp_path / 'a.csv'), ['x'])
  for time in (0.0, 3.3 - 1.3):  # 1.9999999999999998
    output.answer(time, answer(1))
  output.close()
  rows = (tmp_path / 'a.csv').read_text().split()
  assert rows == ['second,x', '0,1.0000', '2,1.0000']
