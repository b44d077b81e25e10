"""Chooses a rule by recordings whose events are known."""

import math

from tsm_jax.stream.events import rules, search

# What the trade-off adds to the logits of `on`.
STRICTER = tuple(step / 2 for step in range(-6, 13))


def tune(recordings, background, limit, progress=lambda fields: fields):
  """The rule of the best mean average precision, of few false alarms.

  For every length of the window, one field after the other gets its best value,
  first whatever the false alarms, as few events would be right at first. Then
  it is done again under the limit, from the best rule that was met. At last,
  classes get thresholds of their own where that helps.

  Args:
    recordings: `search.Recordings`.
    background: a tuple of the labels that are never events.
    limit: false alarms per hour, at most.
    progress: wraps the windows that are tried.

  Returns:
    A `rules.Rule`.
  """
  trials = search.Search(recordings, limit)
  for window in progress(trials.windows()):
    trials.forget()
    rule = rules.Rule(
      window=window,
      background=tuple(background),
      min_length=0.0,
      merge_gap=0.0,
    )
    rule = trials.round(trials.shifted(rule), lambda point: point[1:])
    trials.round(rule)
  trials.forget()
  return trials.thresholds(trials.round(trials.best))


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
  trials, points = search.Search(recordings, math.inf), []
  for step in STRICTER:
    varied = rules.stricter(rule, recordings.labels, step)
    found = trials.measure(varied)
    points.append(
      {
        'stricter': step,
        'misses': abs(found.misses),
        'false_alarms_per_hour': abs(found.false_alarms),
      }
    )
  return points
