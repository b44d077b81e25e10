"""What travels with an export, to run it where nothing of ours is installed.

`run.py` and the files that it imports are modules of this package like others;
in an export they lie in `parts/`, where they import each other. They need
NumPy, OpenCV and the runtime.
"""

from importlib import metadata
import importlib.util
import pathlib
import re

from tsm_jax.export.runner import engine

PARTS = 'parts'
MODULES = (
  'tsm_jax.errors',
  'tsm_jax.data.intervals',
  'tsm_jax.data.sampling',
  'tsm_jax.data.clips.frame_rate',
  'tsm_jax.data.clips.sizes',
  'tsm_jax.export.runner.engine',
  'tsm_jax.export.runner.films',
  'tsm_jax.export.runner.resizing',
  'tsm_jax.export.runner.rows',
  'tsm_jax.stream.events.answers',
  'tsm_jax.stream.events.decider',
  'tsm_jax.stream.events.demo',
  'tsm_jax.stream.events.rules',
  'tsm_jax.stream.frames.cameras',
  'tsm_jax.stream.frames.devices',
  'tsm_jax.stream.frames.due',
  'tsm_jax.stream.frames.pace',
  'tsm_jax.stream.frames.timed',
)
# `from tsm_jax.stream.events import decider, rules`
_IMPORT = re.compile(r'^from tsm_jax(?:\.[\w.]+)? import ', re.M)


def write(folder, format):
  """Writes run.py, its parts and requirements.txt into an export.

  Args:
    folder: of the export.
    format: a key of `engine.FORMATS`.

  Returns:
    The names of the files, relative to the folder.
  """
  folder, texts = pathlib.Path(folder), {}
  texts['run.py'] = _text('tsm_jax.export.runner.run')
  texts[f'{PARTS}/__init__.py'] = '"""Of run.py: parts of tsm_jax."""\n'
  for name in MODULES:
    texts[f'{PARTS}/{name.rpartition(".")[2]}.py'] = _text(name)
  texts['requirements.txt'] = requirements(format)
  (folder / PARTS).mkdir(exist_ok=True)
  for name, text in texts.items():
    (folder / name).write_text(text, encoding='utf-8')
  return list(texts)


def requirements(format):
  """The text of requirements.txt, with the runtime that is installed here."""
  package = engine.FORMATS[format][1]
  lines = ['numpy>=2', 'opencv-python-headless>=4.14']
  lines.append(f'{package}=={metadata.version(package)}')
  if format == 'stablehlo':
    lines.append('flatbuffers')  # by which JAX reads a program
  return ''.join(f'{line}\n' for line in lines)


def _text(module):
  source = importlib.util.find_spec(module).origin
  text = pathlib.Path(source).read_text(encoding='utf-8')
  return _IMPORT.sub(f'from {PARTS} import ', text)
