"""The page's own JavaScript decides, paces and scales as Python does."""

import base64
import json
import pathlib

import numpy as np
import pytest

from support import devtools, web
from tsm_jax import serve
from tsm_jax.data.clips import pixels
from tsm_jax.data.input import cropping
from tsm_jax.stream.events import decider, demo, rules
from tsm_jax.stream.frames import due, pace

pytestmark = pytest.mark.slow

PAGE = pathlib.Path(serve.__file__).parent / 'page'


@pytest.fixture(scope='module')
def page(tmp_path_factory):
  folder = tmp_path_factory.mktemp('browser')
  with web.served(PAGE) as address, devtools.opened(folder) as page:
    page.go(f'{address}/rule.js')
    yield page


def call(page, module, function, cases):
  """What a function of JavaScript makes of every case, in one go."""
  return page.evaluate(
    f"import('/{module}.js').then((module) => "
    f'{json.dumps(cases)}.map({function}))'
  )


def drawn_rule(rng, labels):
  """Any rule for these labels, drawn."""
  off, on = np.sort(rng.uniform(0.02, 0.9, (2, len(labels) + 1)), axis=0)
  pairs = dict(zip(labels, zip(on.tolist(), off.tolist())))
  for label in labels:
    if rng.random() < 0.5:
      del pairs[label]
  few = int(rng.integers(0, len(labels)))
  lengths = rng.choice([0, 0.1, 0.3, 0.5, 1.0], 5).tolist()
  window, min_length, merge_gap, shift_start, shift_end = lengths
  return rules.Rule(
    *(window, float(on[-1]), float(off[-1]), pairs),
    *(tuple(rng.permutation(labels)[:few].tolist()), min_length, merge_gap),
    *(shift_start, shift_end),
  )


def drawn_stream(rng, classes, steps):
  """Times and logits `[steps, classes]` of a stream that changes its mind."""
  times = np.cumsum(rng.choice([0.05, 0.1, 0.1, 0.4], steps))
  logits = np.cumsum(rng.normal(0, 0.7, (steps, classes)), axis=0)
  logits = 3 * np.sin(logits) + rng.normal(0, 0.5, (steps, classes))
  return times.tolist(), logits.astype(np.float32).tolist()


def drawn_cases(rng):
  for number in range(40):
    if number % 4 == 3:
      labels = rng.permutation(demo.LABELS).tolist()
      rule = demo.official_demo(labels)
    else:
      labels = ['constructor', *'abcde'][: rng.integers(1, 7)]
      rule = drawn_rule(rng, labels)
    times, logits = drawn_stream(rng, len(labels), 150)
    yield rule, labels, times, logits


DECIDE = """({rule, labels, times, logits}) => {
  const decider = module.create(rule, labels), told = [];
  const tell = (events) => told.push(
    [events, decider.label, decider.score, decider.probabilities]);
  times.forEach((time, i) => tell(decider.add(time, logits[i])));
  tell(decider.end());
  return told;
}"""


def test_the_page_decides_as_python_does(page):
  cases = list(drawn_cases(np.random.default_rng(12)))
  found = call(
    *(page, 'rule', DECIDE),
    [
      dict(rule=rules.as_dict(rule), labels=labels, times=times, logits=logits)
      for rule, labels, times, logits in cases
    ],
  )
  num_events = 0
  for (rule, labels, times, logits), told in zip(cases, found, strict=True):
    one = decider.create(rule, labels)
    for step, (events, label, score, likely) in enumerate(told):
      if step < len(times):
        expected = one.add(times[step], logits[step])
        np.testing.assert_allclose(likely, one.probabilities, atol=1e-12)
      else:
        expected = one.end()
      assert [event['label'] for event in events] == [
        event.label for event in expected
      ]
      for event, other in zip(events, expected):
        for field in ('start', 'end', 'score', 'decided'):
          assert event[field] == pytest.approx(getattr(other, field), abs=1e-9)
      assert (label, score) == (one.label, pytest.approx(one.score, abs=1e-9))
      num_events += len(events)
  assert num_events > 300


def test_probabilities_become_logits_that_are_finite(page):
  (found,) = call(page, 'rule', 'module.logits', [[0.25, 0.0, 1.0]])
  np.testing.assert_allclose(found, np.log([0.25, 2.0**-126, 1.0]), rtol=1e-6)


PREPARE = """({frame, width, height, how, bgr}) => {
  const rgba = Uint8Array.from(atob(frame), (c) => c.charCodeAt(0));
  const square = module.prepare(rgba, width, height, how, bgr);
  return btoa(Array.from(square, (v) => String.fromCharCode(v)).join(''));
}"""


def test_pixels_are_those_that_evaluation_sees(page):
  rng = np.random.default_rng(3)
  cases, expected = [], []
  for width, height, short_side, size in (
    *((320, 240, 256, 224), (64, 48, 36, 32), (49, 73, 36, 32)),
    *((37, 36, 256, 32), (36, 36, 36, 32), (75, 64, 73, 64), (90, 51, 40, 63)),
  ):
    frame = rng.integers(0, 256, (height, width, 4), np.uint8)
    bgr = width % 2 == 1
    inner = frame[..., 2::-1] if bgr else frame[..., :3]
    inner = pixels.shrink(np.ascontiguousarray(inner), short_side)
    expected.append(cropping.eval_crops([inner], size)[0, 0])
    stored = cropping.full_size(size)
    how = dict(short_side=short_side, stored_size=stored, image_size=size)
    data = base64.b64encode(frame.tobytes()).decode()
    cases.append(dict(frame=data, width=width, height=height, how=how, bgr=bgr))
  for case, square, found in zip(
    cases, expected, call(page, 'pixels', PREPARE, cases), strict=True
  ):
    stored, size = case['how']['stored_size'], len(square)
    found = np.frombuffer(base64.b64decode(found), np.uint8)
    start = round((stored - size) / 2)
    inside = slice(start, start + size)
    found = found.reshape(stored, stored, 3)[inside, inside]
    np.testing.assert_array_equal(found, square, str(case['how']))


PACE = """({interval, times}) => {
  const pace = new module.Pace(interval);
  let last = null;
  return times.map((time) => {
    const count = pace.take(time);
    const steps = module.spread(last, time, count, interval);
    last = steps.at(-1) ?? last;
    return [count, steps];
  });
}"""


def test_steps_are_due_when_python_says(page):
  rng = np.random.default_rng(5)
  cases = [
    dict(
      interval=interval,
      times=np.cumsum(rng.choice([0.01, 0.04, 0.3, 2.0], 200)).tolist(),
    )
    for interval in (0.03, 0.1, 0.25)
  ]
  for case, told in zip(cases, call(page, 'pace', PACE, cases), strict=True):
    steps, last = pace.Pace(case['interval']), None
    for time, (count, times) in zip(case['times'], told, strict=True):
      assert count == steps.take(time)
      expected = due.spread(last, time, count, case['interval'])
      assert times == pytest.approx(expected)
      last = expected[-1] if expected else last
