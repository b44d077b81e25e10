"""Misses against false alarms, as a picture."""

import io

import matplotlib as mpl
from matplotlib import figure

from tsm_jax import files

_STYLE = {'axes.spines.top': False, 'axes.spines.right': False}


def draw(points, limit, path):
  """Draws how false alarms are paid with misses, as a PNG.

  Args:
    points: from `tune.trade_off`.
    limit: false alarms per hour, at most.
    path: of the file.
  """
  alarms = [point['false_alarms_per_hour'] for point in points]
  misses = [point['misses'] for point in points]
  with mpl.rc_context(_STYLE):
    fig = figure.Figure((6, 4), layout='constrained')
    axes = fig.subplots()
    axes.plot(alarms, misses, '.-', label='stricter and laxer rules')
    for alarm, miss, point in zip(alarms, misses, points):
      if not point['stricter']:
        axes.plot([alarm], [miss], 'o', color='C3', label='the rule')
    axes.axvline(limit, color='grey', linestyle=':', label='limit')
    axes.set_xscale('symlog', linthresh=1)
    axes.set(
      xlim=(0, None),
      ylim=(-0.02, 1.02),
      xlabel='false alarms per hour',
      ylabel='share of events that are missed',
    )
    axes.grid(alpha=0.3)
    axes.legend()
    content = io.BytesIO()
    fig.savefig(content, dpi=110)
  files.write(path, content.getvalue())
