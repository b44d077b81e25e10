"""Runs a module, or a script, for as long as the process that started it lives.

PYTHON -I watched.py -m MODULE ARGUMENT...
PYTHON -I watched.py SCRIPT ARGUMENT...

However that process ends, its end of the pipe to this one is closed then.
"""

import os
import runpy
import sys
import threading


def _watch():
  os.read(0, 1)  # nothing is ever written: it returns at the end
  os._exit(1)


if __name__ == '__main__':
  threading.Thread(target=_watch, daemon=True).start()
  del sys.argv[0]
  if sys.argv[0] == '-m':
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
  else:
    runpy.run_path(sys.argv[0], run_name='__main__')
