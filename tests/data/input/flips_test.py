import numpy as np
import pytest

from tsm_jax import errors
from tsm_jax.data.input import flips

SOMETHING = (  # of Something-Something; 'right' is also a part of 'upright'
  'Pulling [something] from left to right',
  'Pulling [something] from right to left',
  'Pushing [something] from left to right',
  'Pushing [something] from right to left',
  'Putting [something] upright on the table',
  'Turning the camera left while filming [something]',
  'Turning the camera right while filming [something]',
  'Turning the camera upwards while filming [something]',
  'Turning the camera downwards while filming [something]',
  'Plugging [something] into [something] but pulling it right out as you '
  'remove your hand',
  'Moving [something] up',
  'Moving [something] down',
)
JESTER = (
  'Drumming Fingers',
  'Sliding Two Fingers Down',
  'Sliding Two Fingers Left',
  'Sliding Two Fingers Right',
  'Sliding Two Fingers Up',
  'Swiping Down',
  'Swiping Left',
  'Swiping Right',
  'Swiping Up',
  'Turning Hand Clockwise',
  'Turning Hand Counterclockwise',
  'Zooming In With Full Hand',
)


def partners(swapped, count):
  """The identity, but for the given pairs."""
  classes = np.arange(count)
  for a, b in swapped:
    classes[[a, b]] = b, a
  return classes


@pytest.mark.parametrize(
  ('labels', 'swapped'),
  [
    (SOMETHING, [(0, 1), (2, 3), (5, 6)]),  # as the known map of either version
    (JESTER, [(2, 3), (6, 7), (9, 10)]),
    (('moves left', 'moves up', 'moves right', 'moves down'), [(0, 2)]),
    (('turns clockwise', 'turns counter-clockwise', 'grows'), [(0, 1)]),
    (('anti-clockwise', 'Clockwise', 'anticipate'), [(0, 1)]),
    (('turn_left', 'TurnUp', 'turn right'), [(0, 2)]),
    (('TurnLeft', 'TurnRight', 'left and right', 'leftover'), [(0, 1)]),
    (('left2right', 'right2left'), [(0, 1)]),
    (('Turn Left1', 'Turn Right1', 'Turn Up1'), [(0, 1)]),
    (('SwipeLeft1', 'SwipeRight1'), [(0, 1)]),
    (('TURNLEFT', 'TURNRIGHT', 'BRIGHT'), [(0, 1)]),
    (('lefthand', 'righthand', 'upright'), [(0, 1)]),
    (('leftclick', 'rightclick', 'leftover'), [(0, 1)]),
    (('moving left then right', 'moving right then left'), [(0, 1)]),
    (
      ('left2right', 'right2left', 'Turn Left1', 'Turn Right1'),
      [(0, 1), (2, 3)],
    ),
    (
      ('SwipeLeft1', 'SwipeLeft2', 'SwipeRight2', 'SwipeRight1'),
      [(0, 3), (1, 2)],
    ),
    (('TURNLEFT', 'stop', 'TURNRIGHT'), [(0, 2)]),
    (('lefthand', 'righthand', 'leftovers', 'brightly'), [(0, 1)]),
  ],
)
def test_pairs_follow_from_the_texts(labels, swapped):
  classes = flips.mirrored_classes('swap', labels)
  assert classes.dtype == np.int32
  np.testing.assert_array_equal(classes, partners(swapped, len(labels)))
  lines = list(flips.describe(classes, labels))
  assert lines == [
    f'Mirrored clips swap {labels[a]!r} <-> {labels[b]!r}.' for a, b in swapped
  ]
  with pytest.raises(errors.InputError, match=r"'swap' to swap.*or 'off'") as e:
    flips.mirrored_classes('on', labels)
  assert repr(labels[swapped[0][0]]) in str(e.value)
  assert len(str(e.value).splitlines()) == 1


def test_a_class_without_a_mirror_image_is_not_mirrored():
  labels = ['throw left', 'jump', 'turn-left', 'turn left', 'turn right']
  classes = flips.mirrored_classes('swap', labels)
  np.testing.assert_array_equal(classes, [-1, 1, -1, 4, 3])
  assert next(flips.describe(classes, labels)) == (
    "Clips of 'throw left' are not mirrored: no class is the mirror."
  )


def test_modes():
  labels = ['jump', 'jump!', 'copyright', 'look up', 'look down']
  assert flips.mirrored_classes('off', SOMETHING) is None
  assert list(flips.describe(None, SOMETHING)) == []
  for mode in ('on', 'swap'):
    classes = flips.mirrored_classes(mode, labels)
    np.testing.assert_array_equal(classes, range(5))
    assert list(flips.describe(classes, labels)) == []
  for mode in ('True', True, False, 'yes'):
    with pytest.raises(errors.InputError, match="choose from 'off', 'on'"):
      flips.mirrored_classes(mode, labels)
