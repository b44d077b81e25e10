"""What happens in a long drawn video: motions, and what is none between them.

A `Story` holds one value for every frame of everything that changes: pose,
colour, sprite, background. Parts are added from its beginning to its end.
"""

from typing import NamedTuple

import numpy as np

from tsm_jax.data.sources.drawn import drawing

# The pose has four axes: x, y, the logarithm of the size and the angle. Motions
# along the first two are the classes, downwards and upwards on the axis.
PAIRS = (('moves left', 'moves right'), ('moves up', 'moves down'))
LOW = np.array((0.2, 0.2, -0.5, -np.inf))
HIGH = np.array((0.8, 0.8, 0.5, np.inf))
SPEEDS = (0.4, 0.4, 0.7, 2.4)  # on average, per second
SWING = (0.04, 0.04, 0.15, 0.35)  # of a motion back and forth
RADIUS = 0.19  # at size 1; only the rim shows a turn, so sprites are large
LENGTH = (1.0, 2.2)  # seconds, of a motion
STEPS = 20  # per second, of what jitters
PAUSE = (0.6, 1.6)  # seconds, in which all stands still

DISTRACTORS = (
  *('swing', 'turn', 'swell', 'jitter', 'flicker', 'fade', 'recolor', 'visit'),
  'cut',
)


class Segment(NamedTuple):
  """A motion: its class, and from when to when, in seconds."""

  label: str
  start: float
  end: float


class Story:
  """The frames of one video, and what of them is a motion.

  Attributes:
    times: float `[N]`, seconds of every frame.
    segments: a list of `Segment`, in order.
  """

  def __init__(self, rng, times):
    count = len(times)
    self._rng, self.times, self.segments = rng, times, []
    self._pose = np.zeros((count, 4))
    self._now = np.zeros(4)  # the pose at the end of all parts
    self._outline = [drawing.choose(rng)] * count
    self._shown = np.ones(count, bool)
    self._back = [drawing.background(rng)]
    self._fading = np.zeros(count)  # 1.3: background 1, nearly a third of 2
    color = drawing.contrasting_color(rng, self._back[0])
    self._color = np.tile(np.array(color, float), (count, 1))
    self._guests = [[] for _ in times]
    self._jump(0.0)

  # --- Parts: from a start, in seconds, to the end that they return. ---

  def pause(self, start):
    """Nothing changes."""
    return start + self._rng.uniform(*PAUSE)

  def move(self, start, axis):
    """A motion along an axis, in the direction where there is room."""
    end, upward = self._change(start, axis)
    label = PAIRS[axis][int(upward)]
    self.segments.append(Segment(label, float(start), float(end)))
    return end

  def turn(self, start):
    """A turn on the spot, which is no class."""
    return self._change(start, 3)[0]

  def swell(self, start):
    """Growing or shrinking, which is no class."""
    return self._change(start, 2)[0]

  def swing(self, start):
    """Back and forth, too fast to be a motion of either class."""
    axis = self._rng.integers(4)
    cycle = self._rng.uniform(0.35, 0.5)  # seconds
    end = start + cycle * self._rng.integers(2, 6)
    height = SWING[axis] * self._rng.uniform(0.7, 1.2)
    wave = np.sin(2 * np.pi * (self.times - start) / cycle)
    self._pose[:, axis] += height * wave * self._within(start, end)
    return end

  def jitter(self, start):
    """Small random steps."""
    end = start + self._rng.uniform(0.5, 2)
    steps = self._rng.uniform(-0.02, 0.02, (2 * STEPS + 1, 2))
    number = np.clip((self.times - start) * STEPS, 0, len(steps) - 1)
    within = self._within(start, end)[:, None]
    self._pose[:, :2] += steps[number.astype(int)] * within
    return end

  def flicker(self, start):
    """The sprite disappears and appears."""
    end = start + self._rng.uniform(0.5, 2)
    cycle = self._rng.uniform(0.2, 0.6)
    hidden = (self.times - start) % cycle > cycle / 2
    self._shown &= ~(hidden & self._within(start, end))
    return end

  def fade(self, start):
    """The background becomes another one."""
    end = start + self._rng.choice((0.01, 0.5, 1.5))
    while True:
      new = drawing.background(self._rng)
      if drawing.contrasts(self._color[-1], new):
        break
    self._back.append(new)
    self._fading += self._ramp(start, end)
    return end

  def recolor(self, start):
    """The sprite gets another colour."""
    end = start + self._rng.choice((0.01, 0.5, 1.5))
    new = drawing.contrasting_color(self._rng, self._back[-1])
    self._color += (new - self._color[-1]) * self._ramp(start, end)[:, None]
    return end

  def visit(self, start):
    """Another sprite appears, stands still and disappears."""
    end = start + self._rng.uniform(0.5, 2.5)
    outline = drawing.choose(self._rng)
    color = drawing.contrasting_color(self._rng, self._back[-1])
    x, y = self._rng.uniform(0.1, 0.9, 2)
    radius = RADIUS * np.exp(self._rng.uniform(LOW[2], 0))
    points = drawing.place(outline, x, y, radius, self._rng.uniform(0, 6.3))
    for guests, within in zip(self._guests, self._within(start, end)):
      if within:
        guests.append((color, points))
    return end

  def cut(self, start):
    """Another sprite is somewhere else."""
    self._jump(start)
    return start + 0.1

  def _change(self, start, axis):
    """Changes the pose along an axis; the end, and whether it is upward."""
    speed = SPEEDS[axis] * self._rng.uniform(0.8, 1.25)
    room = self._now[axis] - LOW[axis], HIGH[axis] - self._now[axis]
    upward = bool(room[1] > room[0])
    if np.isinf(room[0]):
      upward = bool(self._rng.integers(2))
    longest = min(LENGTH[1], room[upward] / speed)
    seconds = self._rng.uniform(min(LENGTH[0], longest), longest)
    end = start + seconds
    change = speed * seconds * (1 if upward else -1)
    self._pose[:, axis] += change * self._ramp(start, end)
    self._now[axis] += change
    return end, upward

  def _jump(self, start):
    after = self.times >= start
    outline = drawing.choose(self._rng)
    self._outline = [
      outline if is_after else old
      for is_after, old in zip(after, self._outline)
    ]
    new = self._rng.uniform(np.maximum(LOW, -np.pi), np.minimum(HIGH, np.pi))
    self._pose[after] += new - self._now
    self._now = new

  def _ramp(self, start, end):
    """0 before `start`, 1 after `end`, a line between: `[N]`."""
    return np.clip((self.times - start) / (end - start), 0, 1)

  def _within(self, start, end):
    return (self.times >= start) & (self.times < end)

  def frames(self):
    """Paints all frames, a list of uint8 `[H, W, 3]`."""
    return [self._paint(i) for i in range(len(self.times))]

  def _paint(self, i):
    number, share = divmod(self._fading[i], 1)
    image = self._back[int(number)]
    if share:
      new = self._back[int(number) + 1]
      image = np.round((1 - share) * image + share * new).astype(np.uint8)
    for color, points in self._guests[i]:
      image = drawing.paint(image, color, points)
    if self._shown[i]:
      x, y, log_size, angle = self._pose[i]
      radius = RADIUS * np.exp(log_size)
      points = drawing.place(self._outline[i], x, y, radius, angle)
      image = drawing.paint(image, self._color[i].tolist(), points)
    return image
