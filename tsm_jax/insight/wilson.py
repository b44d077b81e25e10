"""How far a share of few clips may be from that of all clips."""

import math
import statistics

LEVEL = 0.95


def interval(right, total, level=LEVEL):
  """The score interval of a share, by Wilson.

  With p = right / n and z the normal quantile of (1 + level) / 2, its ends are
  (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n): the shares from
  which the counted one is z standard deviations away. E. B. Wilson, Probable
  inference, the law of succession, and statistical inference, J. Am. Stat.
  Assoc. 22 (1927).

  >>> [round(end, 3) for end in interval(8, 10)]
  [0.49, 0.943]

  Args:
    right: clips counted.
    total: of so many, n.
    level: how often such an interval holds the true share.

  Returns:
    `(low, high)`, from 0 to 1; both nan of no clip.
  """
  if not total:
    return math.nan, math.nan
  z2 = statistics.NormalDist().inv_cdf((1 + level) / 2) ** 2 / total
  p = right / total
  middle = p + z2 / 2
  half = math.sqrt(z2 * (p * (1 - p) + z2 / 4))
  # The ends of 0 and n are known without rounding.
  low = (middle - half) / (1 + z2) if right > 0 else 0.0
  high = (middle + half) / (1 + z2) if right < total else 1.0
  return low, high


def shown(right, total):
  """The interval in words.

  >>> shown(8, 10), shown(0, 0)
  ('49.0–94.3%', '')
  """
  low, high = interval(right, total)
  return f'{100 * low:.1f}–{100 * high:.1f}%' if total else ''
