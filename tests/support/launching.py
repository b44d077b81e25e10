"""The launch scripts as real processes."""

import os
import subprocess

from support import helpers

LAUNCH = helpers.ROOT / 'launch'


FLAGS = [
  '--config',
  'configs/ssv2.py:frames=16',
  '--workdir=/mnt/the runs/$HOME',
  '--config.name=it\'s "new"',
]


def run(script, *arguments, **environment):
  return subprocess.run(
    [LAUNCH / script, *arguments],
    cwd=helpers.ROOT,
    env={**os.environ, **environment},
    capture_output=True,
    text=True,
    timeout=300,
  )
