"""Commands as the documentation writes them, and the parsers they meet."""

import argparse
import ast
import contextlib
import re
import runpy
import shlex
import sys
from unittest import mock
import warnings

from absl import app, flags

from support import helpers
from tsm_jax import cli

# Programs that hand their flags on to tsm_jax.main.
LAUNCHERS = ('gke.sh', 'gpus.sh', 'slurm.sbatch', 'tpu_pod.sh')
PAGES = sorted(
  path
  for pattern in ('README.md', 'docs/*.md', 'launch/README.md')
  for path in helpers.ROOT.glob(pattern)
)
_ENDS = {'&&', '||', ';', '|', '>', '...'}


class Parsed(BaseException):
  """A command was understood; raised in the place of running it."""


def commands():
  """Yields `(place, [module, argument...])` of every documented command."""
  for path in PAGES:
    text = path.read_text()
    lines = [line for block in code_blocks(text) for line in _joined(block)]
    yield from _find(path, lines + code_spans(text))
  for folder in ('configs', 'tsm_jax'):
    for path in sorted((helpers.ROOT / folder).rglob('*.py')):
      yield from _find(path, _indented(path))
  for name in LAUNCHERS:
    path = helpers.ROOT / 'launch' / name
    head = re.findall(r'^#(?: (.*))?$', path.read_text(), re.MULTILINE)
    yield from _find(path, _joined('\n'.join(head)))


def code_blocks(text, language='bash'):
  return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def code_spans(text):
  """What stands between single backticks, outside of blocks."""
  text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
  return [' '.join(span.split()) for span in re.findall(r'`([^`]+)`', text)]


def understand(module, *arguments):
  """Lets the parser of a command read its arguments; returns the parser.

  Raises:
    AssertionError: if it does not accept them.
  """
  found = []
  argv = [module, *arguments]
  try:
    with _stopped_after_parsing(found), mock.patch.object(sys, 'argv', argv):
      runpy.run_module(module, run_name='__main__')
  except Parsed:
    for option in _compared(arguments):
      understand('tsm_jax.main', '--config', _config(arguments), option)
    return found[-1]
  except SystemExit as error:
    raise AssertionError(f'it ends with status {error.code}') from error
  except (ImportError, FileNotFoundError) as error:
    raise AssertionError(error) from error
  raise AssertionError('it does not parse its arguments')


def _find(path, lines):
  place = str(path.relative_to(helpers.ROOT))
  for line in lines:
    if 'tsm_jax.' not in line and 'launch/' not in line:
      continue
    try:
      tokens = shlex.split(line, comments=True)
    except ValueError:  # prose with an apostrophe
      continue
    for i, token in enumerate(tokens):
      arguments = _until_end(tokens[i + 1 :])
      if token == '-m' and arguments[:1] and 'tsm_jax' in arguments[0]:
        yield place, arguments
      elif token.removeprefix('launch/') in LAUNCHERS and arguments:
        yield place, ['tsm_jax.main', *arguments]


def _until_end(tokens):
  ends = (i for i, token in enumerate(tokens) if token in _ENDS)
  return [t for t in tokens[: next(ends, None)] if 'dry_run' not in t]


def _joined(text):
  return re.sub(r'\\\n\s*', ' ', text).splitlines()


def _indented(path):
  """Commands on lines of their own, in strings of a Python file."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      for line in _joined(node.value):
        if re.match(r' +python -m tsm_jax\.', line):
          yield line


def _compared(arguments):
  """The fields of `--compare`, as flags."""
  text = ' '.join(arguments)
  for columns in re.findall(r'--compare[= ](\S+)', text):
    for field in columns.split(','):
      yield f'--config.{field}'


def _config(arguments):
  return re.search(r'--config[= ](\S+)', ' '.join(arguments))[1]


@contextlib.contextmanager
def _stopped_after_parsing(found):
  """Each parser of a program raises `Parsed` once it accepts its arguments.

  Args:
    found: a list, to which parsers are added.
  """
  with contextlib.ExitStack() as stack:
    # One that parses outside of a parser of argparse: names of fields.
    stop = _stop(cli.parse_fields)
    stack.enter_context(mock.patch.object(cli, 'parse_fields', stop))
    stack.enter_context(_argparse(found))
    stack.enter_context(_absl(found))
    # Of libraries that load config files, and of modules that run a second
    # time, as programs.
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter('ignore')
    stack.enter_context(contextlib.chdir(helpers.ROOT))
    stack.enter_context(mock.patch.dict('os.environ'))
    yield


def _stop(parse):
  def stopping(*args, **kwargs):
    parse(*args, **kwargs)
    raise Parsed

  return stopping


def _argparse(found):
  """Patches all classes of parsers, also those that commands derive."""
  stack = contextlib.ExitStack()
  depth = [0]

  def patch(kind, name):
    parse = getattr(kind, name)

    def stopping(self, *args, **kwargs):
      _alias(self)
      depth[0] += 1
      try:
        result = parse(self, *args, **kwargs)
      finally:
        depth[0] -= 1
      if depth[0] == 0:  # not a parser's own call
        found.append(self)
        delegates = any(a.nargs == argparse.REMAINDER for a in self._actions)
        rest = result[1] if name == 'parse_known_args' else ()
        if not delegates and not rest:
          raise Parsed
      return result

    stack.enter_context(mock.patch.object(kind, name, stopping))

  kinds = [argparse.ArgumentParser]
  for kind in kinds:
    kinds += kind.__subclasses__()
    for name in ('parse_args', 'parse_known_args'):
      if name in vars(kind):
        patch(kind, name)
  return stack


def _alias(parser):
  for flag, action in list(parser._option_string_actions.items()):
    alias = f'--{flag[2:].replace("-", "_")}'
    parser._option_string_actions.setdefault(alias, action)


@contextlib.contextmanager
def _absl(found):
  """Gives a program the flags of absl for itself."""
  values, state = flags.FLAGS, dict(vars(flags.FLAGS))
  read = flags.FlagValues.__call__

  def stopping(self, *args, **kwargs):
    rest = read(self, *args, **kwargs)
    assert len(rest) == 1, f'{rest[1:]} are no flags'
    found.append(self)
    raise Parsed

  # Flags are defined on import: what a program imports late, it imports again.
  defining = {name for name in sys.modules if name == 'tsm_jax.bench.step'}
  held = {name: sys.modules.pop(name) for name in defining}
  vars(values).clear()
  values.__init__()
  try:
    with (
      mock.patch.object(app, 'run', _only_parse),
      mock.patch.object(flags.FlagValues, '__call__', stopping),
    ):
      yield
  finally:
    found[:] = [dict(f._flags()) if f is values else f for f in found]
    vars(values).clear()
    vars(values).update(state)
    sys.modules.update(held)


def _only_parse(main, flags_parser):
  flags_parser(sys.argv)
