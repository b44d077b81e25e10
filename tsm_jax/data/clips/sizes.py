"""The size of a picture whose shorter side is given; it needs no library."""


def with_short_side(width, height, short_side):
  """`(width, height)` with the given shorter side, the longer one floored.

  >>> with_short_side(640, 480, 256)
  (341, 256)
  """
  if width <= height:
    return short_side, short_side * height // width
  return short_side * width // height, short_side
