"""A page that needs no server: the model runs in the visitor's browser."""

import dataclasses
import json
import pathlib
import shutil
import tempfile
import types

from tsm_jax import checkpoints, errors, files
from tsm_jax.data import intervals
from tsm_jax.export import __main__ as export_command
from tsm_jax.export import card as cards
from tsm_jax.export import folder, proof
from tsm_jax.serve import model, web_runtime
from tsm_jax.stream import flags
from tsm_jax.stream.events import rule_file, rules

PAGE = pathlib.Path(__file__).parent / 'page'
SETTINGS = 'page.json'
FILES = (
  'style.css',
  *('page.js', 'view.js', 'timeline.js', 'source.js', 'pace.js'),
  *('local.js', 'worker.js', 'following.js', 'litert.js', 'fetched.js'),
  *('rule.js', 'pixels.js'),
)
RUNTIME = 'litert'  # the folder of its files
# What the page asks for: its own files, WebAssembly, and a chosen video.
POLICY = (
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
  "img-src 'self' data:; media-src 'self' blob:"
)
_FIRST = '<meta charset="utf-8">\n'
_KIND = {'format': 'litert', 'what': 'step', 'batch': 1}


def run(args, log):
  """Writes the page of a checkpoint or an export, which is proven before.

  Args:
    args: of the command.
    log: called with lines about it.

  Raises:
    InputError: if it cannot be exported, or is no model for streams.
  """
  folder.check(args.static)
  runtime = web_runtime.contents(args.web_runtime, log)
  export = files.path(args.model)
  known = _card if (export / cards.FILE).exists() else _checkpoint
  rule, interval, origin = known(args, log)
  log(f'A frame is shown every {interval:.3g} s; events by {origin}.')
  with tempfile.TemporaryDirectory() as temporary:
    if known is _checkpoint:
      export = pathlib.Path(temporary, 'export')
      kind = (f'--{name}={value}' for name, value in _KIND.items())
      export_command.main([args.model, str(export), *kind])
    with folder.made(args.static) as out:
      write(out, export, runtime, rule, interval)
  log(
    f'Copy the folder to any web space. To see it here: python -m http.server '
    f'--bind 127.0.0.1 --directory {args.static}'
  )


def _checkpoint(args, log):
  """`(rule, interval, origin of the rule)`, before minutes of converting."""
  trained = checkpoints.restore_model(args.model, log)
  rule, origin = rule_file.choose(
    args.model, trained, args.rule, args.background
  )
  found = intervals.from_meta(trained.meta)
  interval = flags.interval(args, found and found.seconds)
  return rule._replace(bgr=rule.bgr or args.bgr), interval, origin


def _card(args, log):
  """The same of an export, which is not opened in its runtime."""
  del log
  card = cards.read(args.model)
  check(card)
  described = types.SimpleNamespace(
    labels=card.labels,
    meta={'frame_interval': card.frame_interval},
    step=card.source.get('step'),
    rule=rules.from_dict(card.rule, card.labels, f'The rule in {cards.FILE}'),
  )
  rule, origin = model.export_rule(args, described)
  every = card.frame_interval and card.frame_interval['seconds']
  return rule, flags.interval(args, every), origin


def write(target, export, runtime, rule, interval):
  """Writes the page into a folder.

  Args:
    target: an empty folder.
    export: the folder of an export that a browser can run, see `check`.
    runtime: from `web_runtime.contents`.
    rule: a `rules.Rule`.
    interval: seconds between two frames.
  """
  card, target = cards.read(export), pathlib.Path(target)
  for name in {card.model, cards.LABELS, proof.FILE} & set(card.files):
    shutil.copyfile(files.path(export) / name, target / name)
  for name in FILES:
    shutil.copyfile(PAGE / name, target / name)
  shutil.copyfile(PAGE / 'static.js', target / 'main.js')
  (target / 'index.html').write_text(_index())
  (target / RUNTIME).mkdir()
  for name, content in runtime.items():
    (target / RUNTIME / name).write_bytes(content)
  settings = {'interval': interval, 'about': about(card, interval)}
  (target / SETTINGS).write_text(json.dumps(settings) + '\n')
  # Whose folder it was is nothing for the public.
  name = pathlib.PurePath(card.source.get('checkpoint', '')).name
  source = {**card.source, 'checkpoint': name}
  card = dataclasses.replace(card, rule=rules.as_dict(rule), source=source)
  cards.write(target, card)


def check(card):
  """Raises InputError unless a browser can run the model of a `card.Card`."""
  for field, value in _KIND.items():
    if (found := getattr(card, field)) != value:
      raise errors.InputError(
        f'The {field} of the export is {found!r}; a page without a server '
        f'needs {value!r}: export it by --format=litert --what=step.'
      )


def about(card, interval):
  """What visitors are told of a model."""
  return (
    f'A model of {len(card.labels)} classes, which is shown a frame every '
    f'{interval:.3g} s. It runs in your browser; no picture leaves it.'
  )


def _index():
  """The page, which itself forbids all other addresses."""
  page = (PAGE / 'index.html').read_text()
  policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
  return page.replace(_FIRST, _FIRST + policy)
