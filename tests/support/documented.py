"""Commands as the documentation writes them, and the parsers they meet."""

import argparse
import ast
import contextlib
import functools
import re
import runpy
import shlex
import sys
from unittest import mock
import warnings

from support import helpers
from tsm_jax import cli, configuration, errors
from tsm_jax.configuration import flags

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
  """Lets the parser of a command read its arguments.

  Returns:
    Its help texts by the names of its options.

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
    if not any(argument.startswith('--config=') for argument in arguments) and (
      '--config' not in arguments
    ):  # that of a run, which has the same fields
      _check_fields(arguments)
    return found[-1]
  except SystemExit as error:
    raise AssertionError(f'it ends with status {error.code}') from error
  except (ImportError, FileNotFoundError) as error:
    raise AssertionError(error) from error
  raise AssertionError('it does not parse its arguments')


def _check_fields(arguments):
  config = configuration.load('folder')
  try:
    flags.override(config, flags.split_flags(arguments)[0])
  except errors.InputError as error:
    raise AssertionError(error) from error


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
  """The parser of a program raises `Parsed` once it accepts its arguments.

  Args:
    found: a list, to which the options of parsers are added.
  """
  running = []  # calls of parsers; one may call others

  def stopping(parse):
    @functools.wraps(parse)
    def call(*args, **kwargs):
      running.append(parse)
      try:
        result = parse(*args, **kwargs)
      finally:
        running.pop()
      if not running:
        found.append(_options(args[0]))
        if _is_complete(args[0], result):
          raise Parsed
      return result

    return call

  with contextlib.ExitStack() as stack:
    for owner, name in _parsers():
      patch = mock.patch.object(owner, name, stopping(getattr(owner, name)))
      stack.enter_context(patch)
    # A program's log is not that of the tests.
    stack.enter_context(mock.patch.object(cli, 'quiet_libraries'))
    stack.enter_context(contextlib.chdir(helpers.ROOT))
    stack.enter_context(mock.patch.dict('os.environ'))
    # Of modules that run a second time, as programs.
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter('ignore', RuntimeWarning)
    yield


def _parsers():
  """Yields `(owner, name)` of all functions that parse arguments."""
  yield flags, 'parse_fields'
  kinds = [argparse.ArgumentParser]
  for kind in kinds:  # also those that commands derive
    kinds += kind.__subclasses__()
    for name in ('parse_args', 'parse_known_args'):
      if name in vars(kind):
        yield kind, name


def _options(parser):
  if isinstance(parser, argparse.ArgumentParser):
    return {
      action.option_strings[0]: action.help
      for action in parser._actions
      if action.option_strings
    }
  return {}


def _is_complete(parser, result):
  """Whether no other parser is to read what this one leaves."""
  if not isinstance(parser, argparse.ArgumentParser):
    return True
  if any(action.nargs == argparse.REMAINDER for action in parser._actions):
    return False
  return not isinstance(result, tuple) or not result[1]
