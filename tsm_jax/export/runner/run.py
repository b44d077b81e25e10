"""Labels a video, or says what happens in it or before a camera.

  python run.py film.mp4        a video
  python run.py 0 --seconds 60  a minute of the first camera of this machine

It needs what requirements.txt names and the files beside it, nothing else. What
the model wants and answers is in card.json.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import math
import os
import pathlib
import re
import signal
import sys
import time

import numpy as np

from tsm_jax import errors
from tsm_jax.export.runner import engine, films, resizing, rows
from tsm_jax.stream.events import decider, rules
from tsm_jax.stream.frames import cameras, devices, due, pace


def main(argv=None, folder=pathlib.Path(__file__).parent):
  """Answers for one video or camera; returns the exit status."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  add('video', help='path of a file, or index of a camera: 0 is the first')
  add('--seconds', type=positive, help='end after so many seconds')
  add('--every', type=positive, help='seconds between frames (as trained)')
  add('--threads', type=int, help='that compute')
  add('--json', action='store_true', help='print JSON')
  args = parser.parse_args(argv)
  try:
    card = read_card(folder)
    run = engine.open(folder, card, args.threads)
    if other := engine.other_version(card):
      print(other, file=sys.stderr)
    with signals() as caught:
      answer = {'clip': label, 'step': watch}[card['what']]
      answer(run, card, args, lambda: bool(caught))
      return 128 + caught[0] if caught else 0
  except errors.InputError as error:
    print(f'error: {errors.printable(error)}', file=sys.stderr)
    return 2
  except BrokenPipeError:  # who reads has seen enough, as head does
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def positive(text):
  """The type of a flag in seconds."""
  if not 0 < float(text) < math.inf:
    raise argparse.ArgumentTypeError(f'is {text}; it must be positive')
  return float(text)


def read_card(folder):
  """What card.json says; the model must be the one that it tells of."""
  path = pathlib.Path(folder) / 'card.json'
  try:
    card = json.loads(path.read_text(encoding='utf-8'))
    path = path.with_name(engine.FORMATS[card['format']][0])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = card['files'][path.name]['sha256']
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise errors.InputError(
      f'{path} cannot be read ({error!r}); copy it from the export anew.'
    ) from error
  if digest != expected:
    raise errors.InputError(
      f'{path} is not the file that card.json tells of: its SHA-256 is another '
      'one; copy both from the export anew.'
    )
  return card


def label(run, card, args, stopped):
  """Prints the label of a video, or of what a camera sees for some seconds."""
  if args.every:
    raise errors.InputError(
      '--every is for an export of steps; the frames of a clip are chosen as '
      'in training.'
    )
  name, source, live = opened(args.video, stopped)
  if live and not args.seconds:
    raise errors.InputError('A clip of a camera needs an end; give --seconds.')
  recorder, count, last = films.Recorder(card['preprocessing']), 0, 0.0
  with contextlib.closing(source):
    for frame in source:
      if stopped() or (args.seconds and frame.time >= args.seconds):
        break
      recorder.add(frame)
      count, last = count + 1, frame.time
  if stopped():
    return
  rate = (count - 1) / last if live and last else source.rate
  clip = np.stack([fit(image, card) for image in recorder.clip(rate)])
  found = rows.classify(run, card, clip[None])[0]
  best, probability = int(found.argmax()), float(found.max())
  text = {'video': name, 'label': card['labels'][best]}
  if args.json:
    print(json.dumps({**text, 'probability': probability}))
  else:
    shown, known = map(errors.printable, text.values())
    print(f'{shown}: {known}, {probability:.2%}')


def watch(run, card, args, stopped):
  """Prints every event of a video or camera, as soon as it has ended."""
  interval = args.every or (card['frame_interval'] or {}).get('seconds')
  if not interval:
    raise errors.InputError('No frame interval is in card.json; give --every.')
  rule = rules.from_dict(card['rule'], card['labels'], 'The rule of card.json')
  decide = decider.create(rule, card['labels'])
  streams, last = rows.Streams(run, card, 1), None
  streams.warm_up()  # before a camera does not wait
  name, source, live = opened(args.video, stopped)
  end = time.monotonic() + (args.seconds or math.inf) + cameras.LONGEST_PAUSE
  follow = due.Newest if live else due.Paced  # a camera does not wait
  frames = follow(
    source,
    pace.Pace(interval),
    lambda: stopped() or (live and time.monotonic() > end),
  )
  with contextlib.closing(frames):
    for frame, count in frames:
      if args.seconds and frame.time >= args.seconds:
        break
      if frame.anew:  # the camera was away
        show(decide.end(), name, args)
        streams.begin(0)
        last = None
      for second in due.spread(last, frame.time, count, interval):
        image = frame.image[..., ::-1] if rule.bgr else frame.image
        found = streams.step({0: fit(image, card)})[0]
        show(decide.add(second, rows.to_logits(found)), name, args)
        last = second
  show(decide.end(), name, args)


def opened(video, stopped):
  """`(name, frames, live)` of a file or of the index of a camera."""
  log = functools.partial(print, file=sys.stderr)
  if re.fullmatch(r'\d+', video) and not os.path.exists(video):
    return f'camera {video}', devices.read(int(video), stopped, log), True
  return video, films.Film(video, log), False


def fit(image, card):
  """A frame as the model takes it: the centre, scaled."""
  how = card['preprocessing']
  return resizing.square(
    image, how['short_side'], card['stored_size'], how['image_size']
  )


def show(events, name, args):
  """Prints events, each in a line."""
  for event in events:
    if args.json:
      line = json.dumps({'video': name, **event._asdict()})
    else:
      start, end = (f'{t:9.2f} s' for t in (event.start, event.end))
      line = f'{start} {end} {event.score:7.1%}  '
      line += errors.printable(event.label)
    print(line, flush=True)


@contextlib.contextmanager
def signals():
  """A list that takes the number of Ctrl-C or SIGTERM, as a context."""
  caught = []
  old = {
    number: signal.signal(number, lambda number, _: caught.append(number))
    for number in (signal.SIGINT, signal.SIGTERM)
  }
  try:
    yield caught
  finally:
    for number, handler in old.items():
      signal.signal(number, handler)


if __name__ == '__main__':
  sys.exit(main())
