"""`python -m tsm_jax.main --config configs/quickstart.py`: flags, dispatch."""

import contextlib
import os
import pathlib
import re
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from tsm_jax import cli

CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'A file of configs/, with its arguments after a colon.'
)
WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Where the run is kept; by default runs/ and its name.'
)
MODE = flags.DEFINE_enum(
  'mode', 'train', ['train', 'eval', 'describe'], 'What to do.'
)
COORDINATOR = flags.DEFINE_string(
  'coordinator', None, 'host:port of process 0, where several processes train.'
)
NUM_PROCESSES = flags.DEFINE_integer('num_processes', None, 'Of all hosts.')
PROCESS_ID = flags.DEFINE_integer('process_id', None, 'From 0, of this one.')
JOIN_SECONDS = flags.DEFINE_integer(
  'join_seconds', 300, 'How long to wait for the other processes.', 1
)
flags.mark_flag_as_required('config')


def main(argv):
  del argv
  # Libraries log an error before they raise it; it is told once, below.
  logging.set_verbosity(logging.FATAL)
  # Imported late: processes that only decode start from this file, too.
  from tsm_jax import errors, evaluate, train
  from tsm_jax.insight import describe
  from tsm_jax.runs import identity, processes, stopping

  config = CONFIG.value
  workdir = WORKDIR.value or str(
    pathlib.Path('runs') / re.sub(r'[^\w.=,-]+', '-', config.name)
  )
  try:
    processes.join(
      COORDINATOR.value,
      NUM_PROCESSES.value,
      PROCESS_ID.value,
      JOIN_SECONDS.value,
    )
    processes.check_same(
      {
        '--mode': MODE.value,
        '--workdir': workdir,
        **identity.shared_fields(config),
      }
    )
    if MODE.value == 'train':
      train.train(config, workdir)
    elif MODE.value == 'eval':
      evaluate.evaluate_checkpoint(config, workdir)
    else:
      for line in describe.describe(config):
        print(line)
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


def _fail(message):
  """`cli.fail`, but among several processes without waiting for the others."""
  import jax

  from tsm_jax import sharding

  if not jax.distributed.is_initialized():
    cli.fail(message)
  print(f'error: {message}', file=sys.stderr, flush=True)
  # Where all fail alike, each is to say so before the first is gone, which
  # ends the others.
  with contextlib.suppress(Exception):
    sharding.barrier('failed', seconds=5)
  os._exit(2)


if __name__ == '__main__':
  app.run(main, flags_parser=cli.parse_flags)
