"""Letters of any script on pictures."""

import functools

import matplotlib
from matplotlib import font_manager, ft2font
from PIL import Image, ImageDraw, ImageFont

USUAL = f'{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf'
_DARK, _LIGHT, _BAR = (0, 0, 0), (255, 255, 255), (80, 200, 120)


def draw(image, label, score):
  """A picture with a label and a bar of its score at its lower edge.

  Args:
    image: uint8 `[H, W, 3]` RGB; it is not changed.
    label: any text; of one that is too long, the end is cut off.
    score: from 0 to 1, the share of the width that the bar takes.

  Returns:
    A Pillow image.
  """
  picture = Image.fromarray(image)
  width, height = picture.size
  size = max(height // 16, 10)
  canvas = ImageDraw.Draw(picture)
  top = height - size - size // 2
  canvas.rectangle((0, top, width, height), fill=_DARK)
  bar = height - max(size // 6, 2)
  if length := round(score * width):
    canvas.rectangle((0, bar, length - 1, height), fill=_BAR)
  text = f'{label}  {score:.0%}' if label else ''
  position = size // 3, (top + bar) / 2
  canvas.text(
    position, text, fill=_LIGHT, font=_font(covering(text), size), anchor='lm'
  )
  return picture


@functools.lru_cache(32)
def _font(path, size):
  return ImageFont.truetype(path, size)


@functools.lru_cache(1000)
def covering(text):
  """The path of a font that has all letters of a text, or the usual one."""
  if _covers(USUAL, text):
    return USUAL
  for entry in font_manager.fontManager.ttflist:
    if 'LastResort' in entry.fname:  # it has a box for every letter
      continue
    if _covers(entry.fname, text):
      return entry.fname
  return USUAL


@functools.lru_cache(1000)
def _letters(path):
  try:
    return frozenset(ft2font.FT2Font(path).get_charmap())
  except (OSError, RuntimeError):  # a font that FreeType does not read
    return frozenset()


def _covers(path, text):
  return _letters(path).issuperset(map(ord, text))
