"""A program that this one runs to its end."""

import signal
import subprocess

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(command):
  """Runs a command to its end.

  Its process has a group of its own: what ends this process comes to it once,
  and from here, so that it can save what it has.

  Args:
    command: the program and its arguments.

  Returns:
    `(status, came)`: as of `subprocess.Popen`, and the signals that came.
  """
  came, waiting, old = [], [], {}
  process = None

  def pass_on(number, frame):
    del frame
    came.append(number)
    waiting.append(number)
    while process and waiting:
      process.send_signal(waiting.pop())

  for number in _PASSED_ON:
    if signal.getsignal(number) is not signal.SIG_IGN:  # as of nohup
      old[number] = signal.signal(number, pass_on)
  try:
    process = subprocess.Popen(command, process_group=0)
    while waiting:  # what came before it was there
      process.send_signal(waiting.pop())
    return process.wait(), came
  finally:
    for number, handler in old.items():
      signal.signal(number, handler)
