"""Trains, evaluates, describes or checks: `python -m tsm_jax.main`.

python -m tsm_jax.main --config quickstart
python -m tsm_jax.main --config folder --config.data.source=/path/to/videos
python -m tsm_jax.main --workdir=runs/folder
python -m tsm_jax.main --workdir=runs/folder --mode=eval
python -m tsm_jax.main --workdir=runs/folder --mode=check
"""

import contextlib
import os
import pathlib
import re
import sys
import time

from tsm_jax import allocation, cli, compilation_cache, errors


@cli.command()
def main(argv=None):
  args = _parser().parse_args(argv)
  if args.mode == 'check':
    return _check(args)
  allocation.keep_freed()
  # JAX takes seconds to import, which --help and mistakes need not wait for.
  from tsm_jax.runs import identity, processes, request, stopping

  workdir = args.workdir or _usual_workdir(args.config)
  try:
    processes.join(
      args.coordinator, args.num_processes, args.process_id, args.join_seconds
    )
    if processes.alone():  # XLA lets several wait for what one of them compiles
      compilation_cache.switch_on()
    config, asked = _configuration(args, workdir)
    if args.mode == 'train':
      request.check_stored(config, asked)
    processes.check_same(
      {
        '--mode': args.mode,
        '--workdir': workdir,
        **identity.shared_fields(config),
      }
    )
    _run(args.mode, config, workdir, asked)
  except errors.InputError as error:
    _fail(error)
  except (ConnectionError, TimeoutError) as error:  # of a bucket
    stopping.end(f'a connection failed ({stopping.first_line(error)})')
  except OSError as error:  # for example a full disk
    _fail(f'{error} (workdir {workdir})')
  except Exception as error:
    if not stopping.is_lost(error):
      raise
    stopping.end(f'it lost another process ({stopping.first_line(error)})')


def _check(args):
  """The status: 0 if all is whole, 1 if something is damaged."""
  from tsm_jax.insight import wholeness

  workdir = args.workdir or _usual_workdir(args.config)
  return 0 if wholeness.check(workdir) else 1


def _usual_workdir(config):
  name = re.sub(r'[^\w.=,-]+', '-', config.name)
  return str(pathlib.Path('runs') / name)


def _configuration(args, workdir):
  """That of the flags, completed by that of the run in the workdir."""
  from tsm_jax.insight import choices
  from tsm_jax.runs import again

  if args.config is None:
    config, asked = again.load(workdir, args.overrides, args.mode)
    if args.mode != 'describe':
      again.check_source(config, asked)
    return config, asked
  if args.mode == 'train':
    again.keep(args.config, args.asked, workdir)
  if args.mode != 'eval':
    return args.config, args.asked
  # The config.json of a run says all.
  follow = not args.recipe.endswith('.json')
  config = again.complete(args.config, args.asked, workdir, follow)
  # A model that was not trained here does not say how its clips are stored.
  return choices.settle(config, log=lambda line: None), args.asked


def _run(mode, config, workdir, asked):
  from tsm_jax import evaluate, train
  from tsm_jax.insight import describe

  if mode == 'train':
    train.train(config, workdir)
    _name_next(config, workdir)
  elif mode == 'eval':
    evaluate.evaluate_checkpoint(config, workdir, asked=asked)
  else:
    print('\n'.join(describe.describe(config, workdir)))


def _name_next(config, workdir):
  """Names the commands that follow where it was said when things happen."""
  import jax

  from tsm_jax import models
  from tsm_jax.stream import agreement

  if not config.data.background or jax.process_index():
    return
  model = models.create_model({**config.model, 'num_classes': 2})
  if agreement.can_stream(model):
    name = 'python -m tsm_jax.stream'
    print(
      f'When things happen is decided by thresholds; choose them by {name} '
      f'tune {workdir}, then see {name} eval {workdir} --split=test.'
    )


def _parser():
  parser = cli.Parser(
    'main',
    description='Trains, evaluates or describes a model, or checks a workdir. '
    'The --workdir of a run is enough to continue or evaluate it.',
  )
  # What a workdir holds says itself what it is.
  parser.add_config(unless=lambda args: args.workdir)
  add = parser.add_argument
  add('--workdir', help='folder or bucket (default: runs/ and the name)')
  add(
    '--mode',
    choices=('train', 'eval', 'describe', 'check'),
    default='train',
    help='what to do (default %(default)s); check says which checkpoints of a '
    'workdir are whole, with status 1 if one is damaged',
  )
  add('--coordinator', help='host:port of process 0, if several train')
  add('--num_processes', type=int, help='on all hosts together')
  add('--process_id', type=int, help='of this one, from 0')
  add(
    '--join_seconds',
    type=cli.at_least(1),
    default=300,
    help='how long to wait for the other processes (default %(default)s)',
  )
  return parser


def _fail(message):
  """As `cli.fail`; among several processes, does not wait for the others."""
  import jax

  from tsm_jax import sharding

  if not jax.distributed.is_initialized():
    cli.fail(message)
  print(f'error: {message}', file=sys.stderr, flush=True)
  # The first process to end also ends the others. If all fail alike, this lets
  # each of them print its message before.
  with contextlib.suppress(Exception):
    sharding.barrier('failed', seconds=5)
    # They meet through process 0: if it were gone first, it would abort them.
    if jax.process_index() == 0:
      time.sleep(1)
  os._exit(2)


if __name__ == '__main__':
  cli.quiet_libraries()
  sys.exit(main())
