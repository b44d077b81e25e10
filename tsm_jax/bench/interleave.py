"""Functions that take turns, so that a busy moment of the machine hits all."""

from tsm_jax import progress

LONG = 0.5  # seconds of a step that needs none before it to warm up


def measure(runs, repeats):
  """Runs each function once in every turn, after one turn to warm up.

  Args:
    runs: functions by name. Each returns one measured value.
    repeats: number of turns that count.

  Returns:
    A dictionary from name to list of values, one for each turn.
  """
  measured = {name: [] for name in runs}
  for turn in progress.bar(range(repeats + 1), 'measure', leave=False):
    for name, run in runs.items():
      value = run()
      if turn:
        measured[name].append(value)
  return measured
