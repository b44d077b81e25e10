"""The folder of a page that needs no server."""

import dataclasses
import json
import re
import shutil

import pytest

from support import colours, commands, packed
from tsm_jax.export import card
from tsm_jax.stream.events import rules


def call(*argv):
  """The status of the command, and its error."""
  done = commands.call('serve', *argv)
  return done.returncode, done.stderr.splitlines()[-1]


@pytest.fixture
def packages(tmp_path, monkeypatch):
  return packed.write(tmp_path / 'packages', monkeypatch)


@pytest.fixture
def out(export, packages, tmp_path):
  """A page, written by the command."""
  out = tmp_path / 'out'
  status, line = call(export, f'--static={out}', f'--web_runtime={packages}')
  assert not status, line
  assert line.startswith('Copy the folder to any web space.')
  assert line.endswith(f'--directory {out}')
  return out


def test_the_folder_is_whole(export, out):
  found = card.read(out)  # every file has its hash
  names = {path.name for path in out.iterdir()}
  assert {'index.html', 'model.tflite', 'labels.txt', 'page.json'} < names
  assert 'proof.npz' not in names
  text = {
    path.relative_to(out).as_posix(): path.read_text()
    for path in out.rglob('*')
    if path.suffix in ('.html', '.css', '.js')
  }
  # What a file asks for lies beside it.
  asked = re.compile(
    r"""(?:from|import\(|import|href=|src=|fetched\()\s*
    ['"](\.?/?[\w./]+\.\w+)['"]""",
    re.X,
  )
  for name, content in text.items():
    for other in asked.findall(content):
      assert ((out / name).parent / other).is_file(), f'{name}: {other}'
    if not name.startswith('litert/'):
      assert 'http:' not in content, name
      assert re.findall(r'https://\S+', content) in ([], ['https://']), name
  assert {f'litert/{name}' for name in packed.NAMES} <= set(found.files)
  assert found.labels == colours.LABELS
  there = card.read(export)
  assert found.rule == there.rule
  assert found.source == {
    **there.source,
    'checkpoint': there.source['checkpoint'].rpartition('/')[2],
  }
  settings = json.loads((out / 'page.json').read_text())
  assert settings['interval'] == 0.25
  assert settings['about'].startswith(
    'A model of 3 classes, which is shown a f'
  )
  policy = re.search(
    'Content-Security-Policy" content="(.*)"', text['index.html']
  )
  assert policy[1].startswith("default-src 'self'; ")


def test_flags_change_the_rule_and_the_interval(export, packages, tmp_path):
  flags = '--background=red', '--rule=default', '--bgr', '--fps=10'
  call(export, f'--static={tmp_path}/o', f'--web_runtime={packages}', *flags)
  expected = rules.default(colours.LABELS, 'red')._replace(bgr=True)
  found = card.read(tmp_path / 'o')
  assert found.rule == json.loads(json.dumps(rules.as_dict(expected)))
  assert (
    json.loads((tmp_path / 'o' / 'page.json').read_text())['interval'] == 0.1
  )


def test_a_page_is_replaced_and_nothing_else(export, out, packages, tmp_path):
  where = f'--static={out}', f'--web_runtime={packages}'
  assert call(export, *where, '--every=0.5')[0] == 0
  assert json.loads((out / 'page.json').read_text())['interval'] == 0.5
  (out / 'mine.txt').write_text('x')
  status, line = call(export, *where)
  assert status == 2
  assert "'mine.txt', which is of no export" in line
  (packages / 'litertjs-core-2.5.3.tgz').unlink()
  status, line = call(export, f'--static={tmp_path}/new', where[1])
  assert status == 2
  assert 'has no litertjs-core-2.5.3.tgz; run npm pack' in line
  assert not (tmp_path / 'new').exists()


def test_what_a_browser_cannot_run_is_a_sentence(export, packages, tmp_path):
  where = f'--static={tmp_path}/o', f'--web_runtime={packages}'
  made = card.read(export)
  for field, value, needed in (('what', 'clip', 'step'), ('batch', 2, 1)):
    other = shutil.copytree(export, tmp_path / field)
    card.write(other, dataclasses.replace(made, **{field: value}))
    assert call(other, *where) == (
      2,
      f'error: The {field} of the export is {value!r}; a page without a server '
      f'needs {needed!r}: export it by --format=litert --what=step.',
    )
  changed = shutil.copytree(export, tmp_path / 'changed')
  with (changed / 'model.tflite').open('ab') as file:
    file.write(b'x')
  status, line = call(changed, *where)
  assert status == 2 and 'model.tflite' in line
  assert not (tmp_path / 'o').exists()


def test_flags_of_a_server_have_none(export, tmp_path):
  where = f'--static={tmp_path}/o'
  for flag in ('--port=1', '--host=localhost', '--slots=2', '--allow_host=x'):
    name = flag.partition('=')[0]
    assert call(export, where, flag) == (
      2,
      f'error: {name} is of a server, and --static writes a page that needs '
      'none; leave one of them out.',
    )
  assert call(export, f'--web_runtime={tmp_path}') == (
    2,
    'error: --web_runtime needs --static.',
  )
