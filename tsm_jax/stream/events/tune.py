"""Chooses a rule by recordings whose events are known."""

import math

from tsm_jax.stream.events import rules, search

_ROUNDS = 2
_MARGIN = 0.01  # recall that thresholds of single labels must gain
# What the trade-off adds to the logits of `on`.
STRICTER = tuple(step / 2 for step in range(-6, 13))


def tune(recordings, background, limit, progress=lambda windows: windows):
  """The rule of the best candidates, which lets few false alarms through.

  For every length of the window, one field after the other gets its best value.
  Then `on` is chosen: for all labels, or for each its own where there are
  enough recordings.

  Args:
    recordings: `search.Recordings`.
    background: a tuple of the labels that are never events.
    limit: false alarms per hour, at most.
    progress: wraps the windows that are tried.

  Returns:
    A `rules.Rule`.
  """
  trials, best = search.Search(recordings, background, limit), None
  for window in progress(trials.windows()):
    rule = rules.Rule(window=window, min_length=0.0, merge_gap=0.0)
    for _ in range(_ROUNDS):
      rule = trials.round(rule)
    if best is None or trials.merit(rule) > trials.merit(best):
      best = rule
  rule = best._replace(background=tuple(background))
  return _decisive(trials, rule)


def _decisive(trials, rule):
  """The rule with its `on`."""
  budget = trials.budget()
  peaks = {label: trials.of_class(rule, label)[1] for label in trials.labels}
  together = search.merged(list(peaks.values()))
  on = together.threshold(budget, rule.off)
  gained, counts = _apart(peaks, budget + 1)
  if gained - together.hits(budget) >= _MARGIN * trials.num_true:
    thresholds = {
      label: (peaks[label].threshold(count, rule.off), rule.off)
      for label, count in counts.items()
    }
    return rule._replace(on=max(on, rule.off), thresholds=thresholds)
  return rule._replace(on=on)


def _apart(peaks, budget):
  """The most hits, if every label has false alarms of its own.

  Args:
    peaks: a dict from label to `search.Peaks`.
    budget: of all labels, each of which needs one more than it lets through.

  Returns:
    `(hits, counts)`: counts is a dict from label to its false alarms, empty if
    the budget is too small.
  """
  best = {0: (0, {})}  # by what is spent
  for label, found in peaks.items():
    longer = {}
    for spent, (hits, counts) in best.items():
      for count in range(budget - spent):
        total = hits + found.hits(count)
        key = spent + count + 1
        if key not in longer or total > longer[key][0]:
          longer[key] = total, {**counts, label: count}
    best = longer
  return max(best.values(), key=lambda pair: pair[0], default=(0, {}))


def trade_off(recordings, rule):
  """Misses against false alarms, of stricter rules and of laxer ones.

  Args:
    recordings: `search.Recordings`.
    rule: a `rules.Rule` without a preset.

  Returns:
    A list of dicts, one for each of `STRICTER`, which is added to the logits
    of all thresholds `on`, 0 being the rule itself, see `rules.stricter`: of
    `stricter`, the share `misses` and `false_alarms_per_hour`.
  """
  trials = search.Search(recordings, rule.background, math.inf)
  points = []
  for step in STRICTER:
    varied = rules.stricter(rule, recordings.labels, step)
    hits, false = trials.count(varied)
    points.append(
      {
        'stricter': step,
        'misses': 1 - hits / trials.num_true,
        'false_alarms_per_hour': false / trials.hours,
      }
    )
  return points
