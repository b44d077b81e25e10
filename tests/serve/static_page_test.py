"""The page without a server in a real browser."""

import base64
import json
import os
import shutil

import numpy as np
import pytest

from support import colours, commands, devtools, lacking, seen, web
from tsm_jax import checkpoints, errors, stream
from tsm_jax.export import card
from tsm_jax.serve import static, web_runtime
from tsm_jax.stream.events import rules
from tsm_jax.stream.frames import due

pytestmark = pytest.mark.slow

PARTS = [(2, 'red'), (2, 'idle'), (2, 'blue'), (2, 'idle')]


@pytest.fixture(scope='module')
def site(export, tmp_path_factory):
  """A page, written by the command."""
  try:
    web_runtime.contents()
  except errors.InputError as error:
    lacking.skip(str(error))
  out = tmp_path_factory.mktemp('site') / 'out'
  done = commands.call('serve', export, f'--static={out}')
  assert done.returncode == 0, done.stderr
  return out


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
  """A browser whose camera shows `PARTS` again and again."""
  folder = tmp_path_factory.mktemp('browser')
  clip = colours.write_y4m(folder / 'clip.y4m', PARTS)
  with devtools.opened(folder, *devtools.camera(clip)) as page:
    yield page


@pytest.fixture
def opened(browser, site):
  """The page, as it is opened; nothing that it asks for is elsewhere."""
  browser.errors.clear()
  browser.requests.clear()
  # As strict as web space can be.
  headers = {'Content-Security-Policy': static.POLICY}
  with web.served(site, headers) as address:
    browser.go(f'{address}/')
    yield browser
    browser.go('about:blank')
  assert not browser.errors
  own = f'{address}/', f'blob:{address}/', 'data:', 'about:'
  assert all(url.startswith(own) for url in browser.requests)


def start(page, name):
  """Presses a button when the page knows what it does, or is broken."""
  page.wait(
    f'document.getElementById("{name}").onclick !== null || '
    '!document.getElementById("message").hidden'
  )
  seen.click(page, name)


def test_the_label_becomes_what_the_camera_sees(opened):
  start(opened, 'camera')
  for label in ('red', 'blue', 'red'):
    seen.wait_for_label(opened, label)
  assert seen.text(opened, 'about').endswith('no picture leaves it.')
  assert 2 < float(seen.text(opened, 'rate')) < 5  # a frame every 0.25 s
  assert 0 < float(seen.text(opened, 'latency').split()[0]) < 2000
  assert {'red', 'blue'} >= {label for label, *_ in seen.rows(opened)} != set()
  seen.click(opened, 'stop')
  opened.wait('document.getElementById("stop").disabled')
  assert seen.text(opened, 'message') == ''
  loaded = sum('model.tflite' in url for url in opened.requests)
  start(opened, 'camera')
  seen.wait_for_label(opened, 'blue')
  assert sum('model.tflite' in url for url in opened.requests) == loaded == 1


def test_a_video_is_followed_by_its_own_clock(opened, tmp_path):
  video = colours.write_video(tmp_path / 'film.mp4', PARTS)
  opened.wait('document.getElementById("file").onchange !== null')
  seen.check_followed_by_its_own_clock(opened, video, 30)


def drawn_frames(rng, count):
  """`(time, steps, frame)`: of any size, of colours that mix and change."""
  time = 0.0
  for number in range(count):
    height, width = rng.integers(20, 150, 2)
    share = (1 + np.sin(number / 3)) / 2
    pair = ('red', 'idle') if number % 16 < 8 else ('idle', 'blue')
    one, other = (np.array(colours.COLOURS[label]) for label in pair)
    noise = rng.normal(0, 20, (height, width, 3))
    frame = np.clip(share * one + (1 - share) * other + noise, 0, 255)
    time += float(rng.choice([0.25, 0.25, 0.3, 2.0]))
    yield time, int(rng.integers(1, 4)), frame.astype(np.uint8)


SHOW = """async (frames) => {
  const local = await import('/local.js');
  const answers = [];
  let heard;
  const told = (answer) => { answers.push(answer); heard(); };
  const model = await local.connect(
    {answer: told, ended: told, note: () => {}});
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  for (const {rgba, width, height, time, steps} of frames) {
    const answered = new Promise((resolve) => { heard = resolve; });
    [canvas.width, canvas.height] = [width, height];
    const data = Uint8ClampedArray.from(atob(rgba), (c) => c.charCodeAt(0));
    context.putImageData(new ImageData(data, width, height), 0, 0);
    model.show(canvas, time, steps);
    await answered;
  }
  const ended = new Promise((resolve) => { heard = resolve; });
  model.close();
  await ended;
  return answers;
}"""


def test_the_same_frames_are_answered_as_in_python(opened, workdir, site):
  frames = list(drawn_frames(np.random.default_rng(1), 40))
  shown = []
  for time, steps, frame in frames:
    height, width = frame.shape[:2]
    rgba = np.dstack([frame, np.full((height, width), 255, np.uint8)])
    shown.append(
      dict(
        rgba=base64.b64encode(rgba.tobytes()).decode(),
        **dict(width=width, height=height, time=time, steps=steps),
      )
    )
  *answers, end = opened.evaluate(f'({SHOW})({json.dumps(shown)})')
  trained = checkpoints.restore_model(workdir)
  rule = rules.from_dict(card.read(site).rule, trained.labels)
  session, num_events = stream.Session(trained, rule=rule), 0
  session.add('own')
  before = None
  for (time, steps, frame), found in zip(frames, answers, strict=True):
    events = []
    for second in due.spread(before, time, steps, session.interval):
      expected = session.step({'own': frame}, {'own': second})['own']
      events += expected.events
    before = time
    scores = {one['label']: one['probability'] for one in found['top']}
    np.testing.assert_allclose(
      [scores[label] for label in trained.labels],
      expected.probabilities,
      atol=1e-3,
    )
    assert found['time'] == time and found['label'] == expected.label
    compare(found['events'], events)
    num_events += len(events)
  compare(end['events'], session.remove('own'))
  assert num_events >= 3


def compare(found, expected):
  assert [x['label'] for x in found] == [event.label for event in expected]
  for one, event in zip(found, expected):
    for field in ('start', 'end', 'decided'):
      assert one[field] == pytest.approx(getattr(event, field), abs=1e-9)
    assert one['score'] == pytest.approx(event.score, abs=1e-3)


def message_of(page, address):
  """What the page says when it is started with a camera."""
  page.go(f'{address}/')
  start(page, 'camera')
  return seen.wait_for_message(page)


@pytest.mark.parametrize(
  'name, message',
  [
    ('model.tflite', 'model.tflite, a file of this page, cannot be fetched (4'),
    ('card.json', 'card.json, a file of this page, cannot be fetched (404)'),
    ('litert/index.js', 'litert/index.js, a file of this page, cannot be fe'),
    ('litert/litert_wasm_internal.wasm', 'LiteRT cannot be started: '),
    ('worker.js', 'worker.js, a file of this page, cannot be loaded.'),
    ('rule.js', 'Failed to fetch dynamically imported module: '),
    ('view.js', 'A file of this page is missing: Failed to fetch dynamically'),
  ],
)
def test_a_missing_file_is_told(browser, site, tmp_path, name, message):
  copy = shutil.copytree(site, tmp_path / 'copy', copy_function=os.link)
  (copy / name).unlink()
  with web.served(copy) as address:
    assert message_of(browser, address).startswith(message)
    browser.go('about:blank')


def test_half_a_model_is_told(browser, site, tmp_path):
  copy = shutil.copytree(site, tmp_path / 'copy', copy_function=os.link)
  (copy / 'model.tflite').unlink()
  (copy / 'model.tflite').write_bytes(b'x' * 100)
  with web.served(copy) as address:
    assert message_of(browser, address).startswith(
      'model.tflite has 100 bytes instead of '
    )
    browser.go('about:blank')


def test_a_policy_that_forbids_webassembly_is_told(browser, site):
  headers = {'Content-Security-Policy': "default-src 'self'"}
  with web.served(site, headers) as address:
    assert "has to allow 'wasm-unsafe-eval'" in message_of(browser, address)
    browser.go('about:blank')


def test_no_camera_is_told(site, tmp_path):
  with (
    web.served(site) as address,
    devtools.opened(tmp_path, '--use-fake-ui-for-media-stream') as page,
  ):
    assert message_of(page, address) == 'There is no camera; choose a video.'
    assert not any('model.tflite' in url for url in page.requests)
