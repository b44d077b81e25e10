"""Tables of Markdown."""


def table(head, lines):
  """A table of Markdown from lists of cells."""
  rows = [head, ['---'] * len(head), *lines]
  return '\n'.join(f'| {" | ".join(cells)} |' for cells in rows)
