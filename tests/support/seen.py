"""What the live page shows in a browser, and its buttons."""


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
