"""What the live page shows in a browser, and its buttons."""

import pytest


def text(page, name):
  """The text of an element by its id."""
  return page.evaluate(f'document.getElementById("{name}").innerText')


def click(page, name):
  page.evaluate(f'document.getElementById("{name}").click()')


def wait_for_label(page, label):
  page.wait(f'document.getElementById("label").innerText == "{label}"', 30)


def wait_for_message(page):
  """What the page says is wrong."""
  page.wait('!document.getElementById("message").hidden', 30)
  return text(page, 'message')


def rows(page):
  """The events that the page shows, the newest first."""
  return page.evaluate(
    '[...document.getElementById("events").rows].map('
    '(row) => [...row.cells].map((cell) => cell.innerText))'
  )


def check_followed_by_its_own_clock(page, video, seconds):
  """Plays a video twice as fast, whose parts are red 0-2 s, blue 4-6 s."""
  page.choose_file('#file', video)
  page.evaluate('document.getElementById("video").playbackRate = 2')
  page.wait('document.getElementById("events").rows.length == 2', seconds)
  page.wait('document.getElementById("stop").disabled', seconds)
  assert text(page, 'message') == ''
  blue, red = rows(page)
  for row, label, start, end in ((red, 'red', 0, 2), (blue, 'blue', 4, 6)):
    assert row[0] == label
    assert float(row[1].split()[0]) == pytest.approx(start, abs=0.6)
    assert float(row[2].split()[0]) == pytest.approx(end, abs=0.6)
