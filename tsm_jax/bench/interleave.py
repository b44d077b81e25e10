"""Measuring by turns, so that a busy moment of the machine is one for all."""

from tqdm import auto as tqdm


def measure(runs, repeats):
  """Runs all functions by turns, and all once before to warm up.

  Args:
    runs: functions by name, which return what they measured.
    repeats: turns.

  Returns:
    A dict of lists with a value for each repeat.
  """
  measured = {name: [] for name in runs}
  for turn in tqdm.trange(
    repeats + 1, desc='measure', leave=False, disable=None
  ):
    for name, run in runs.items():
      value = run()
      if turn:
        measured[name].append(value)
  return measured
