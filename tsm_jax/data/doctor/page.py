"""A diagnosis as one page of HTML with contact sheets, complete in itself.

Names and labels are escaped by the template engine, and the page forbids
scripts and anything that is not within it.
"""

import base64
import pathlib

import jinja2

from tsm_jax.data.clips import workers
from tsm_jax.data.doctor import examine, kinds

MAX_ROWS = 20  # of a kind that are shown, each with its contact sheets
MAX_COPIES = 4  # of equal clips whose contact sheets are shown
MAX_CLASSES = 100  # that are shown with an example
TEMPLATE = pathlib.Path(__file__).with_name('page.html')


def render(found):
  """The page, as text.

  Args:
    found: a `diagnosis.Diagnosis`.
  """
  by_kind = found.by_kind()
  examples = dict(list(found.examples.items())[:MAX_CLASSES])
  names = list(examples.values())
  for members in by_kind.values():
    for member in members[:MAX_ROWS]:
      names += member.clips[:MAX_COPIES]
  environment = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
  )
  totals = {la: sum(counts.values()) for la, counts in found.classes.items()}
  return environment.from_string(TEMPLATE.read_text()).render(
    found=found,
    kinds=by_kind,
    problem=kinds.PROBLEM,
    sheets=_sheets(found.clips, dict.fromkeys(names)),
    examples=examples,
    totals=totals,
    most=max([1, *totals.values()]),
    max_rows=MAX_ROWS,
    max_copies=MAX_COPIES,
  )


def _sheets(clips, names):
  """The contact sheets of clips as data URIs, of those that can be read."""
  names = [name for name in names if name in clips]
  with workers.Workers(examine.sheet) as pool:
    outcomes = pool.outcomes([clips[name] for name in names])
    return {
      name: f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'
      for name, (data, _) in zip(names, outcomes)
      if data
    }
