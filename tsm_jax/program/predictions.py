"""A CSV row for every clip that was evaluated: what it is, what it got.

Columns: clip, label, step, top1, p1, ... top5, p5 (fewer of fewer classes) and
logits, numbers parted by blanks, in the order of the labels. Names are written
as they are, whatever they begin with.
"""

import csv
import io

import numpy as np

from tsm_jax import errors, files
from tsm_jax.program import metrics

FILE = 'predictions.csv'  # of the last evaluation of a run
BEST = 'predictions_best.csv'  # of its best one
TOP = 5


def softmax(logits):
  """Probabilities, float64 `[N, K]`, of logits `[N, K]`."""
  logits = np.asarray(logits, np.float64)
  exps = np.exp(logits - logits.max(axis=1, keepdims=True))
  return exps / exps.sum(axis=1, keepdims=True)


def sigmoid(logits):
  """Probabilities, float64, of logits of classes apart from each other."""
  return 0.5 * (1 + np.tanh(np.asarray(logits, np.float64) / 2))


def header(top):
  """The columns of the `top` most probable labels and their probabilities.

  >>> header(2)
  ['top1', 'p1', 'top2', 'p2']
  """
  return [f'{name}{i}' for i in range(1, top + 1) for name in ('top', 'p')]


def cells(ranked):
  """A row's part below `header`, of `(label, probability)` pairs.

  >>> cells([('run', 0.75), ('jump', 0.25)])
  ['run', '0.75', 'jump', '0.25']
  """
  return [cell for label, p in ranked for cell in (label, f'{p:.6g}')]


def write(path, result, labels, step):
  """Writes what every clip of a split got; the file is never half written.

  Args:
    path: of the CSV file, local or a URL.
    result: a `results.Result` with its clips.
    labels: class names by index, K of them.
    step: of the model; of several, their steps with '+' between them.
  """
  files.write(path, _table(result, labels, step))


def _table(result, labels, step):
  """The content of the file, bytes."""
  top = min(TOP, len(labels))
  content = io.BytesIO()
  text = io.TextIOWrapper(content, encoding='utf-8', newline='')
  table = csv.writer(text, lineterminator='\n')
  table.writerow(['clip', 'label', 'step', *header(top), 'logits'])
  numbers = ' '.join(['%.9g'] * len(labels))  # enough to be read back exactly
  # In this order argmax, which counts, comes first among equals.
  best = np.argsort(-result.logits, axis=1, kind='stable')[:, :top]
  several = result.labels.ndim == 2
  p = sigmoid(result.logits) if several else softmax(result.logits)
  p = np.take_along_axis(p, best, axis=1)
  for i, (clip, label) in enumerate(zip(result.clips, result.labels.tolist())):
    ranked = zip([labels[k] for k in best[i]], p[i].tolist())
    logits = numbers % tuple(result.logits[i].tolist())
    named = (
      '|'.join(x for x, has in zip(labels, label) if has)
      if several
      else labels[label]
    )
    table.writerow([clip, named, step, *cells(ranked), logits])
  text.flush()
  return content.getvalue()


def keep(workdir, step, result, labels, active=True):
  """Writes the predictions of a run's own evaluation: the last, and the best.

  Before the line in `metrics.jsonl`, which says that the evaluation is done.

  Args:
    workdir: of the run.
    step: that was evaluated.
    result: a `results.Result` with its clips.
    labels: class names by index.
    active: whether this process writes.
  """
  if not active:
    return
  workdir = files.path(workdir)
  content = _table(result, labels, step)
  files.write(workdir / FILE, content)
  measure = 'eval/top1' if result.labels.ndim == 1 else 'eval/map'
  earlier = {
    r['step']: r[measure]
    for r in metrics.read(workdir)
    if measure in r and r['step'] < step
  }
  # At a tie, the later model is the better one, as in the folder `best`.
  if all(result.score >= score for score in earlier.values()):
    files.write(workdir / BEST, content)
  elif _step(workdir / BEST) not in earlier:
    # Of a run that went on from before that step, maybe with other values.
    (workdir / BEST).unlink(missing_ok=True)


def _step(path):
  """The step of a table, by its first row; None if it has none."""
  if not path.exists():
    return None
  csv.field_size_limit(2**31 - 1)  # the logits of many classes are long
  with path.open('rb') as file:
    text = io.TextIOWrapper(file, encoding='utf-8', errors='replace')
    step = next(csv.DictReader(text), {}).get('step') or ''
  return int(step) if step.isdecimal() else None


def read(path, labels):
  """What `write` has written, without the names of the clips.

  Args:
    path: of the CSV file, local or a URL.
    labels: class names by index.

  Returns:
    `(step, labels, logits)`: a number, int `[N]` and float32 `[N, K]`.

  Raises:
    InputError: if it is no such file, or of other classes.
  """
  index = {label: i for i, label in enumerate(labels)}
  csv.field_size_limit(2**31 - 1)  # the logits of many classes are long
  steps, classes, logits = set(), [], []
  try:
    with (
      files.path(path).open('rb') as file,
      io.TextIOWrapper(file, encoding='utf-8', newline='') as text,
    ):
      for row in csv.DictReader(text, strict=True):
        steps.add(int(row['step']))
        classes.append(index[row['label']])
        logits.append(np.array(row['logits'].split(), np.float32))
    (step,) = steps
    logits = np.stack(logits)
    if logits.shape[1] != len(labels):
      raise ValueError('there are other classes')
  except (AttributeError, KeyError, TypeError, ValueError, csv.Error) as error:
    raise errors.InputError(
      f'{path} is not a table of predictions ({error}); remove it.'
    ) from error
  return step, np.array(classes), logits
