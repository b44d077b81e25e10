"""The live page in a real browser: a camera, a video, and what can be wrong."""

import pytest

from support import colours, devtools, seen, serving

pytestmark = pytest.mark.slow

PARTS = [(2, 'red'), (2, 'idle'), (2, 'blue'), (2, 'idle')]
PROXY = 'live.example'


@pytest.fixture(scope='module')
def page(tmp_path_factory):
  """A browser whose camera shows `PARTS` again and again."""
  folder = tmp_path_factory.mktemp('browser')
  clip = colours.write_y4m(folder / 'clip.y4m', PARTS)
  resolve = f'--host-resolver-rules=MAP {PROXY} 127.0.0.1'
  with devtools.opened(folder, resolve, *devtools.camera(clip)) as page:
    yield page


@pytest.fixture
def opened(page, running):
  """The page, as it is opened."""
  page.errors.clear()
  page.requests.clear()
  page.go(f'http://{running.address}/')
  yield page
  page.go('about:blank')
  assert not page.errors
  shown = [url for url in page.requests if not url.startswith('about:')]
  own = f'http://{running.address}/', f'ws://{running.address}/'
  data = f'blob:http://{running.address}/', 'data:'
  assert all(url.startswith((*own, *data)) for url in shown), shown


def test_the_label_becomes_what_the_camera_sees(opened, running):
  seen.click(opened, 'camera')
  for label in ('red', 'blue', 'red'):
    seen.wait_for_label(opened, label)
    best = opened.evaluate('document.querySelector(".bar span").innerText')
    assert best == label
  assert running.number('viewers') == 1
  assert 2 < float(seen.text(opened, 'rate')) < 5  # a frame every 0.25 s
  assert 0 < float(seen.text(opened, 'latency').split()[0]) < 2000
  found = seen.rows(opened)
  assert {'red', 'blue'} >= {label for label, *_ in found} != set()
  painted = opened.evaluate(
    'new Set(document.getElementById("timeline").getContext("2d")'
    '.getImageData(0, 0, 400, 150).data).size'
  )
  assert painted > 20
  seen.click(opened, 'stop')
  opened.wait('document.getElementById("stop").disabled')
  assert seen.text(opened, 'message') == ''
  with serving.Client(running.address) as client:  # its slot is free
    client.ask(0, serving.encode(colours.frame('red')))


def test_a_video_is_followed_by_its_own_clock(opened, tmp_path):
  video = colours.write_video(tmp_path / 'film.mp4', PARTS)
  seen.check_followed_by_its_own_clock(opened, video, 20)


def test_another_place_of_a_video_is_another_stream(opened, tmp_path):
  video = colours.write_video(
    tmp_path / 'film.mp4', [(30, 'red'), (30, 'blue')]
  )
  opened.choose_file('#file', video)
  seen.wait_for_label(opened, 'red')
  opened.evaluate('document.getElementById("video").currentTime = 40')
  seen.wait_for_label(opened, 'blue')
  opened.evaluate('document.getElementById("video").currentTime = 2')
  seen.wait_for_label(opened, 'red')
  assert [row[0] for row in seen.rows(opened)] == ['blue', 'red']
  opened.evaluate('document.getElementById("video").pause()')
  opened.evaluate('document.getElementById("video").currentTime = 50')
  best = 'document.querySelector(".bar span")?.innerText'
  opened.wait(f'{best} == "blue"', 20)


def test_a_camera_that_comes_late_is_left_alone(opened, tmp_path):
  video = colours.write_video(tmp_path / 'film.mp4', PARTS)
  opened.evaluate(
    'navigator.mediaDevices.getUserMedia = () => new Promise((resolve) => {'
    '  window.allow = () =>'
    '    resolve(document.createElement("canvas").captureStream());'
    '})'
  )
  seen.click(opened, 'camera')
  opened.choose_file('#file', video)
  seen.wait_for_label(opened, 'red')
  opened.evaluate('allow()')
  opened.wait('document.getElementById("stop").disabled', 20)
  assert [row[0] for row in seen.rows(opened)] == ['blue', 'red']


RESTART = """async () => {
  const live = await import('/live.js');
  const answers = [], size = {width: 64, height: 64};
  const canvas = Object.assign(document.createElement('canvas'),
    {...size, videoWidth: 64, videoHeight: 64});
  canvas.getContext('2d').fillRect(0, 0, 64, 64);
  let ended;
  const end = new Promise((resolve) => { ended = resolve; });
  const model = await live.connect(
    {answer: (answer) => answers.push(answer), ended});
  const show = async (time) => {
    while (!model.show(canvas, time, 1)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await show(20);
  model.restart();  // while the picture is being made
  await show(5);
  await show(5.25);
  model.close();
  await end;
  return answers.filter(({frame}) => frame).map(({time}) => time);
}"""


def test_a_picture_belongs_to_its_own_stream(opened):
  # Else the times 5 would come after 20, and never be due.
  assert opened.evaluate(f'({RESTART})()')[-1] == 5.25


def test_no_video_is_one_sentence(opened, tmp_path):
  path = tmp_path / 'notes.mp4'
  path.write_text('nothing to see')
  opened.choose_file('#file', path)
  assert seen.wait_for_message(opened).startswith(
    'The browser cannot play notes.mp4; choose another video'
  )


def test_labels_are_text(page, make_session, monkeypatch):
  evil = '<img src=x onerror="document.title=\'owned\'">'
  labels = ['idle', evil, 'blue']
  session = make_session(3)
  monkeypatch.setattr(session, 'labels', labels)
  monkeypatch.setitem(serving.HELLO, 'labels', labels)
  with serving.running(session) as running:
    page.go(f'http://{running.address}/')
    seen.click(page, 'camera')
    page.wait('document.getElementById("events").rows.length', 20)
    assert evil in {row[0] for row in seen.rows(page)}
    assert page.evaluate('document.images.length') == 0
    assert page.evaluate('document.title') == 'TSM live'
    page.go('about:blank')


def test_without_a_place_the_page_says_so(opened, running):
  address = running.address
  with (
    serving.Client(address),
    serving.Client(address),
    serving.Client(address),
  ):
    seen.click(opened, 'camera')
    assert seen.wait_for_message(opened) == (
      'All 3 places are taken; try again when somebody has left.'
    )


def test_a_token_is_taken_from_the_address(page, make_session):
  session = make_session(3)
  with serving.running(session, token='secret') as running:
    for token, message in (('secret', ''), ('other', 'The token is wrong')):
      page.go('about:blank')
      page.go(f'http://{running.address}/#token={token}')
      seen.click(page, 'camera')
      if message:
        page.wait('!document.getElementById("message").hidden', 20)
      else:
        seen.wait_for_label(page, 'red')
      assert seen.text(page, 'message').startswith(message)
    page.go('about:blank')
  assert not any('secret' in url for url in page.requests if '#' not in url)


def test_the_camera_needs_a_secure_address(page, make_session):
  with serving.running(make_session(3), proxies=[PROXY]) as running:
    port = running.address.split(':')[1]
    page.go(f'http://{PROXY}:{port}/')
    seen.click(page, 'camera')
    assert seen.wait_for_message(page).startswith(
      'Browsers give the camera only to pages of https:// or of localhost, and '
      f'this one is of http://{PROXY}:{port}; choose a video'
    )


def test_the_server_is_stopped(page, make_session):
  with serving.running(make_session(3)) as running:
    page.go(f'http://{running.address}/')
    seen.click(page, 'camera')
    seen.wait_for_label(page, 'red')
  assert seen.wait_for_message(page) == 'The server was stopped.'


@pytest.mark.parametrize(
  'options, message',
  [
    ([], 'There is no camera; choose a video.'),
    (
      ['--use-fake-device-for-media-stream', '--deny-permission-prompts'],
      'The camera was not allowed; allow it in the browser’s settings',
    ),
  ],
)
def test_no_camera_is_one_sentence(running, tmp_path, options, message):
  with devtools.opened(tmp_path, *options) as page:
    page.go(f'http://{running.address}/')
    seen.click(page, 'camera')
    assert seen.wait_for_message(page).startswith(message)
