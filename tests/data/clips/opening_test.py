"""What is opened as a video: one regular file, and nothing that it names."""

import http.server
import os
import threading

import av
import pytest

from support import boxes, helpers, scenes
from tsm_jax.data.clips import opening, videos

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')

MPD = (
  '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
  '<BaseURL>{}</BaseURL></Period></MPD>'
)
# How each kind of list names a file or an address, and how it is called.
LISTS = {
  'HLS': ('#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n', 'm3u8'),
  'live HLS': ('#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n', 'mp4'),
  'variants': ('\ufeff#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n{}\n', 'm3u8'),
  'ffconcat': ("ffconcat version 1.0\nfile '{}'\n", 'mp4'),
  'PLS': ('[playlist]\nFile1={}\n', 'pls'),
  'DASH': (MPD, 'mpd'),
  'ASX': ('<ASX version="3"><Entry><Ref href="{}"/></Entry></ASX>', 'wmv'),
  'redirection': ('[Reference]\nRef1={}\n', 'asf'),
  'SDP': ('v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 32\na={}', 'sdp'),
}


@pytest.fixture
def asked(tmp_path):
  """`(url, paths)` of a server on this machine, and what it was asked for."""
  paths = []
  video = helpers.write_video(tmp_path / 'served.mp4', 3).read_bytes()

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      paths.append(self.path)
      self.send_response(200)
      self.end_headers()
      self.wfile.write(video)

    do_HEAD = do_GET

    def log_message(self, *args):
      del args

  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
    threading.Thread(
      target=server.serve_forever, args=(0.01,), daemon=True
    ).start()
    yield f'http://127.0.0.1:{server.server_port}/served.mp4', paths
    server.shutdown()


@pytest.mark.parametrize('kind', LISTS)
def test_lists_of_other_files_are_not_followed(tmp_path, kind, asked):
  url, paths = asked
  text, suffix = LISTS[kind]
  path = tmp_path / f'a.{suffix}'
  for target in (url, 'served.mp4', tmp_path / 'served.mp4'):
    path.write_text(text.format(target))
    with pytest.raises(videos.VideoError, match=r'is a playlist, which names '):
      videos.read(path)
  assert not paths


def test_an_address_is_no_file(tmp_path, monkeypatch, asked):
  url, paths = asked
  monkeypatch.chdir(tmp_path)
  for name in (
    url,
    url.replace('//', '/'),
    f'crypto:{url}',
    'file:served.mp4',
    'concat:served.mp4|served.mp4',
    'subfile,,start,0,end,0,,:served.mp4',
    'data:video/mp4;base64,AAAA',
    'pipe:0',
    'testsrc=d=1',
  ):
    with pytest.raises(videos.VideoError, match=r'^file does not exist$'):
      videos.read(name)
  assert not paths


@pytest.mark.parametrize(
  'name', ['img%03d.jpg', 'img*.jpg', 'img[01].mp4', 'a?b.mp4', 'http:/a.jpg']
)
def test_a_name_is_no_pattern(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  helpers.write_frames(tmp_path, 3, 'img{:03d}.jpg', size=(64, 64))
  video = helpers.write_video(tmp_path / 'clip.mp4', 5).read_bytes()
  path = tmp_path / name
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(video)
  frames = videos.read(name).frames
  assert len(frames) == 5 and frames[0].shape == (32, 48, 3)


def test_pictures_in_another_file_are_not_read(tmp_path):
  """QuickTime knows films whose pictures are elsewhere."""
  whole = helpers.write_video(tmp_path / 'other.mp4', 4)
  data = whole.read_bytes()
  referring = tmp_path / 'a.mov'
  referring.write_bytes(boxes.refer(data, os.fspath(whole)))
  options = {'enable_drefs': '1', 'use_absolute_path': '1'}
  with av.open(str(referring), options=options) as container:
    assert sum(1 for _ in container.decode(video=0)) == 4  # it could be read
  with pytest.raises(videos.VideoError):
    videos.read(referring)


def test_what_is_not_a_regular_file(tmp_path):
  os.mkfifo(tmp_path / 'a.mp4')
  (tmp_path / 'b.mp4').symlink_to('/dev/zero')
  for name in ('a.mp4', 'b.mp4'):
    with pytest.raises(videos.VideoError, match=r'^is not a regular file'):
      videos.read(tmp_path / name)


def test_only_what_holds_a_video_is_opened(tmp_path):
  known = {*opening.FORMATS.split(',')} & {*av.formats_available}
  assert len(known) > 45
  assert not {'concat', 'hls', 'image2', 'sdp', 'lavfi', 'vobsub'} & known
  path = tmp_path / 'a.mp4'
  path.write_text('1\n00:00:01,000 --> 00:00:02,000\nwords\n\n')
  with pytest.raises(videos.VideoError, match='is of no container format'):
    videos.read(path)


def test_a_disk_that_fails_is_not_the_end_of_the_video(tmp_path, monkeypatch):
  path = scenes.write(tmp_path / 'a.mkv', scenes.scene(60), 'mkv')
  opened, real = [], os.open
  monkeypatch.setattr(
    os, 'open', lambda *args: opened.append(real(*args)) or opened[-1]
  )
  sink = real(os.devnull, os.O_WRONLY)
  with pytest.raises(
    videos.PassingError, match=r'^file cannot be read: Bad file descriptor$'
  ):  # after the first frame, no byte more can be read
    videos.read(path, lambda frame: os.dup2(sink, opened[0]))
  os.close(sink)


def test_metadata_of_any_bytes(tmp_path):
  path = tmp_path / 'a.mp4'
  with av.open(str(path), 'w') as container:
    container.metadata['title'] = 'QQQQQ'
    stream = container.add_stream('libx264', rate=24)
    stream.width, stream.height, stream.pix_fmt = 48, 32, 'yuv420p'
    for image in helpers.draw(3, (32, 48)):
      container.mux(stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
    container.mux(stream.encode())
  data = path.read_bytes()
  assert data.count(b'QQQQQ') == 1
  path.write_bytes(data.replace(b'QQQQQ', b'\xe9\xff\xfe\x80\xc3'))
  assert len(videos.read(path).frames) == 3


def test_a_codec_that_nothing_decodes(tmp_path):
  path = scenes.write(tmp_path / 'a.avi', scenes.scene(3), 'avi')
  path.write_bytes(path.read_bytes().replace(b'FMP4', b'QXZ9'))
  with pytest.raises(videos.VideoError, match='codec that FFmpeg cannot'):
    videos.read(path)


def test_the_default_of_several_videos_is_read(tmp_path):
  with av.open(str(tmp_path / 'a.mkv'), 'w') as container:
    streams = []
    for side in (32, 64, 96):
      stream = container.add_stream('libx264', rate=24)
      stream.width = stream.height = side
      stream.pix_fmt = 'yuv420p'
      streams.append(stream)
    streams[0].disposition = av.stream.Disposition(0)
    streams[1].disposition = av.stream.Disposition.default
    streams[2].disposition = av.stream.Disposition.default
    for stream in streams:
      for image in scenes.scene(3, (stream.height, stream.width)):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
      container.mux(stream.encode())
  assert videos.read(tmp_path / 'a.mkv').frames[0].shape == (64, 64, 3)
