"""The interval of a share against its definition, and published values."""

import math
import statistics

import numpy as np
import pytest

from tsm_jax.insight import wilson


@pytest.mark.parametrize('total', [1, 7, 300])
def test_its_ends_are_so_many_deviations_away(total):
  """They solve (right / n - p)² = z² p (1 - p) / n, a polynomial in p."""
  z2 = statistics.NormalDist().inv_cdf(0.975) ** 2
  for right in {0, 1, total // 2, total}:
    share = right / total
    roots = np.roots([1 + z2 / total, -2 * share - z2 / total, share**2])
    found = wilson.interval(right, total)
    np.testing.assert_allclose(found, sorted(roots.real), atol=1e-7)
    assert 0 <= found[0] <= share <= found[1] <= 1


def test_known_values():
  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
  for right, total, low, high in (
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
  ):
    assert wilson.interval(right, total) == pytest.approx((low, high), abs=5e-5)
  assert all(map(math.isnan, wilson.interval(0, 0)))
