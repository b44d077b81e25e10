"""What a speed was measured on."""

import os
import pathlib
import platform


def processor():
  """The name of the processor, and the number of cores."""
  try:
    text = pathlib.Path('/proc/cpuinfo').read_text()
    name = text.split('model name')[1].split(':')[1].split('\n')[0].strip()
  except (OSError, IndexError):
    name = platform.processor() or platform.machine()
  return f'{name}, {os.cpu_count()} cores'
