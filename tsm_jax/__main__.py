"""The commands by one name: `tsm-jax NAME ...` is `python -m tsm_jax.NAME`."""

import argparse
import runpy
import sys
import textwrap

from tsm_jax import cli, interrupts

COMMANDS = {
  'main': 'train, evaluate or describe a model, or check a workdir',
  'folds': 'cross-validation: train and evaluate every fold',
  'predict': 'label videos, or say when things happen in long ones',
  'report': 'draw the curves of several runs into one picture',
  'ensemble': 'score several models as one',
  'convert': "read and write PyTorch's weights",
  'hub': 'write a run to the Hugging Face hub, or read one',
  'stream': 'choose when scores are an event, and count the right ones',
  'export': 'a trained model as a file for another runtime',
  'serve': 'a page that shows what a camera does',
  'plan': 'what a run needs on machines that are not here',
  'bench': 'measure the speed of this machine',
  'data.build': 'build a dataset',
  'data.doctor': 'find what is wrong with a folder or list of videos',
  'data.fingerprint': 'find out why two machines differ',
}


@cli.command()
def choose(argv):
  """The name of a command and its arguments.

  Args:
    argv: what follows the name of this program.

  Raises:
    InputError: if there is no such command.
  """
  width = max(map(len, COMMANDS))
  rows = (f'{name:{width}}  {text}' for name, text in COMMANDS.items())
  parser = cli.Parser(
    'NAME',
    description='Temporal Shift Module in JAX. The commands:\n\n'
    + textwrap.indent('\n'.join(rows), '  '),
    epilog='Each explains its own options: tsm-jax NAME --help.',
  )
  parser.prog = 'tsm-jax'
  parser.add_argument('name', choices=COMMANDS, metavar='NAME')
  parser.add_argument('options', nargs=argparse.REMAINDER)
  args = parser.parse_args(argv or ['--help'])
  return args.name, args.options


def main():
  interrupts.install()
  name, options = choose(sys.argv[1:])
  sys.argv = [f'tsm-jax {name}', *options]
  runpy.run_module(f'tsm_jax.{name}', run_name='__main__', alter_sys=True)


if __name__ == '__main__':
  main()
