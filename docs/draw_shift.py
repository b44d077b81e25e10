"""Draws docs/shift.png from what `temporal_shift` does to marked channels.

python docs/draw_shift.py
"""

import pathlib

from matplotlib import figure
import numpy as np

from tsm_jax.models import shift

FRAMES, CHANNELS = 4, 8


def main():
  frames = np.arange(1, FRAMES + 1, dtype=np.float32)
  x = np.tile(frames[:, None], (1, CHANNELS)).reshape((1, FRAMES, 1, 1, -1))
  panels = {
    'features, frame by frame': x,
    "direction='both' (offline)": shift.temporal_shift(x),
    "direction='past' (online)": shift.temporal_shift(x, direction='past'),
  }
  fig = figure.Figure((9, 2.1), layout='constrained')
  for axes, (title, values) in zip(fig.subplots(1, 3), panels.items()):
    draw(axes, title, np.asarray(values)[0, :, 0, 0])
  fig.savefig(pathlib.Path(__file__).with_name('shift.png'), dpi=110)


def draw(axes, title, values):
  """One grid `[T, C]`: the number of the frame that a channel comes from."""
  colors = ('#ffffff', '#4e79a7', '#f28e2b', '#59a14f', '#b07aa1')
  for (t, c), frame in np.ndenumerate(values):
    color = colors[int(frame)]
    axes.add_patch(
      figure.mpl.patches.Rectangle((c, t), 1, 1, fc=color, ec='white', lw=2)
    )
    axes.text(
      c + 0.5,
      t + 0.5,
      f'{int(frame)}' if frame else '0',
      ha='center',
      va='center',
      color='white' if frame else 'gray',
      weight='normal' if frame == t + 1 else 'bold',
    )
  axes.set(
    xlim=(0, CHANNELS),
    ylim=(FRAMES, 0),
    title=title,
    xlabel='channel',
    ylabel='frame t',
    yticks=np.arange(FRAMES) + 0.5,
    yticklabels=range(1, FRAMES + 1),
    xticks=[],
    aspect='equal',
  )


if __name__ == '__main__':
  main()
