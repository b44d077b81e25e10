"""The pages: their links lead somewhere, their commands would run."""

import ast
import re
import runpy
import types

import pytest

from configs import folder
from support import documented, helpers

ROOT = helpers.ROOT
COMMANDS = [
  pytest.param(command, id=f'{place}: {" ".join(command)}')
  for place, command in documented.commands()
]
EXAMPLES = {  # every program, with arguments that it accepts
  'tsm_jax.main': ['--config=configs/quickstart.py'],
  'tsm_jax.folds': ['--config=configs/folder.py', '--config.data.folds=5'],
  'tsm_jax.predict': ['RUN', 'clip.mp4'],
  'tsm_jax.ensemble': ['RUN', 'RUN'],
  'tsm_jax.convert': ['weights.pth', 'RUN'],
  'tsm_jax.hub': ['push', 'RUN', 'me/run'],
  'tsm_jax.report': ['RUN'],
  'tsm_jax.plan': ['--config=configs/quickstart.py'],
  'tsm_jax.bench': ['input'],
  'tsm_jax.stream': ['tune', 'RUN', 'recordings.csv'],
  'tsm_jax.export': ['RUN', 'OUT', '--format=onnx'],
  'tsm_jax.serve': ['RUN'],
  'tsm_jax.data.build': ['ssv2', '--manual_dir=.'],
  'tsm_jax.data.doctor': ['.'],
  'tsm_jax.data.fingerprint': ['--config=configs/quickstart.py'],
}


def relative(path):
  return str(path.relative_to(ROOT))


def test_the_readme_is_one_page():
  assert len((ROOT / 'README.md').read_text().splitlines()) <= 150


@pytest.mark.parametrize('path', documented.PAGES, ids=relative)
def test_links_and_paths_lead_somewhere(path):
  text = path.read_text()
  for link in re.findall(r'\]\(([^)\s]+)\)', text):
    if re.match(r'\w+:', link):
      continue
    file, _, anchor = link.partition('#')
    target = (path.parent / file).resolve() if file else path
    assert target.exists(), link
    if anchor:
      assert anchor in anchors(target.read_text()), link
  for span in documented.code_spans(text):
    if re.match(r'(tsm_jax|configs|docs|launch|tests)/[\w/.]*$', span):
      assert (ROOT / span).exists(), span


def anchors(text):
  """Those that GitHub gives to headings."""
  text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
  titles = re.findall(r'^#+ (.+)$', text, re.M)
  return {
    re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles
  }


def test_every_page_is_reached_and_begins_with_a_command():
  readme = (ROOT / 'README.md').read_text()
  for path in ROOT.glob('docs/*.md'):
    assert f'](docs/{path.name})' in readme
    first = path.read_text().splitlines()[:12]
    assert any(line.startswith('```') for line in first), path.name


def test_commands_are_found():
  places = {param.id.partition(': ')[0] for param in COMMANDS}
  assert {'README.md', 'launch/README.md', 'launch/gke.sh'} <= places
  assert {f'configs/{p.name}' for p in ROOT.glob('configs/[!c]*.py')} <= places
  assert len(COMMANDS) > 60


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_would_run(command):
  module, *arguments = command
  for argument in arguments:
    assert not re.match(r'--\w*-', argument), 'flags have underscores'
  if arguments:
    documented.understand(module, *arguments)
  else:  # only mentioned
    assert module in EXAMPLES, module


@pytest.mark.parametrize(
  'command',
  [
    'main --config configs/ssv3.py',
    'main --config configs/ssv2.py:shfit=none',
    'main --config configs/ssv2.py:depth=deep',
    'main --config configs/ssv2.py --config.model.dept=18',
    'main --config configs/ssv2.py --config.model.depth=deep',
    'main --config configs/ssv2.py --mode=evaluate',
    'main --config configs/ssv2.py --work_dir=runs/x',
    'main --config configs/ssv2.py runs/x',
    'main --mode=eval',
    'main --workdir=runs/x --mode=eval --config.eval.clip=2',
    'predict runs/x',
    'predict runs/x clip.mp4 --clips=many',
    'ensemble runs/x --crops=4',
    'convert weights.pth runs/x --num_frmes=16',
    'convert weights.pth runs/x --num_frames=many',
    'report --output curves.png runs/x',
    'plan --config configs/ssv2.py --topologies v5e:4x4',
    'plan --config configs/ssv2.py --compare model.dtipe=bfloat16',
    'bench inputs',
    'bench input --clip 3',
    'bench step --config configs/ssv2.py --compare model.depth=deep',
    'stream tun runs/x recordings.csv',
    'stream tune runs/x recordings.csv --false_alarms=3',
    'export runs/x out --format=coreml',
    'export verify out --clips=20',
    'folds --config configs/folder.py --config.data.fold=5 --mode=train',
    'data.build ssv2',
    'data.build ssv2 --manual_dir=. --storage=mp4',
    'data.doctor . --jsonn found.json',
    'data.fingerprint --config configs/ssv2.py --output here.json',
    'data.fingerprint compare here.json',
    'data.doktor .',
  ],
)
def test_a_wrong_command_is_found(command):
  module, *arguments = command.split()
  with pytest.raises(AssertionError):
    documented.understand(f'tsm_jax.{module}', *arguments)


@pytest.mark.parametrize(
  'path', [p for p in documented.PAGES if p.stem != 'python'], ids=relative
)
def test_every_field_is_one_of_the_configuration(path):
  # Such as `data.fps`, or `data.fps=30`: the name, and the type of the value.
  groups = {
    name: set(members)
    for name, members in folder.get_config().items()
    if hasattr(members, 'items')
  }
  pattern = rf'(?:--config\.)?({"|".join(groups)})\.(\w+)(?:=([\w.]+))?'
  for span in documented.code_spans(path.read_text()):
    if match := re.fullmatch(pattern, span):
      group, name, value = match.groups()
      assert name in groups[group], span
      if value:
        documented.understand(
          'tsm_jax.main',
          '--config=configs/folder.py',
          f'--config.{group}.{name}={value}',
        )


@pytest.mark.parametrize('module', EXAMPLES)
def test_every_option_is_explained(module):
  options = documented.understand(module, *EXAMPLES[module])
  assert options
  for name, text in options.items():
    assert text, f'{name} has no help'


def test_the_floors_of_the_page_are_those_of_the_test():
  found = runpy.run_path(str(ROOT / 'tests/import_order_test.py'))['FLOORS']
  rows = re.findall(
    r'^\| \d+ \| (.+) \|$', (ROOT / 'docs/design.md').read_text(), re.M
  )
  assert [set(re.findall(r'`(\w+)`', row)) for row in rows] == [
    set(floor.split()) for floor in found
  ]


@pytest.mark.parametrize('path', documented.PAGES, ids=relative)
def test_python_names_what_exists(path):
  for block in documented.code_blocks(path.read_text(), 'python'):
    names = {}
    tree = ast.parse(block)
    for node in ast.walk(tree):
      if isinstance(node, ast.Import | ast.ImportFrom):
        exec(compile(ast.Module([node], []), str(path), 'exec'), names)
    for node in ast.walk(tree):
      if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = names.get(node.value.id)
        if isinstance(module, types.ModuleType):
          assert hasattr(module, node.attr), ast.unparse(node)


def test_the_code_of_the_readme_runs():
  (block,) = documented.code_blocks((ROOT / 'README.md').read_text(), 'python')
  small = block.replace(
    "'num_classes'", "'stage_sizes': (1, 1), 'width': 8, 'num_classes'"
  )
  assert small != block
  names = {}
  exec(compile(small, 'README.md', 'exec'), names)
  assert names['logits'].shape == (1, 10)
  assert names['features'].shape == (2, 8, 7, 7, 64)
