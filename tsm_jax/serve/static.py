"""A page that needs no server: the model runs in the visitor's browser."""

import dataclasses
import json
import pathlib
import shutil

from tsm_jax import errors, files
from tsm_jax.export import card as cards
from tsm_jax.serve import web_runtime

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


def write(folder, export, runtime, rule, interval):
  """Writes the page into a folder.

  Args:
    folder: an empty one.
    export: the folder of an export.
    runtime: from `web_runtime.contents`.
    rule: a `rules.Rule` to decide by, or None for that of the export.
    interval: seconds between two frames, or None for those of the export.

  Raises:
    InputError: if the export is none that a browser can run.
  """
  card, folder = cards.read(export), pathlib.Path(folder)
  check(card)
  for name in (card.model, cards.LABELS):
    shutil.copyfile(files.path(export) / name, folder / name)
  for name in FILES:
    shutil.copyfile(PAGE / name, folder / name)
  shutil.copyfile(PAGE / 'static.js', folder / 'main.js')
  (folder / 'index.html').write_text(_index())
  (folder / RUNTIME).mkdir()
  for name, content in runtime.items():
    (folder / RUNTIME / name).write_bytes(content)
  settings = json.dumps({'interval': interval, 'about': about(card, interval)})
  (folder / SETTINGS).write_text(settings + '\n')
  cards.write(folder, dataclasses.replace(card, rule=rule))


def check(card):
  """Raises InputError unless a browser can run the model of a `card.Card`."""
  for field, value in (('format', 'litert'), ('what', 'step'), ('batch', 1)):
    if (found := getattr(card, field)) != value:
      raise errors.InputError(
        f'The {field} of the export is {found!r}; a page without a server '
        f'needs {value!r}: export it with --format litert --what step.'
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
