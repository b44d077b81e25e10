"""What a run shows when it has ended: a page about its last and best model."""

import html
import re

import numpy as np

from tsm_jax import errors, files
from tsm_jax.insight import (
  drawing,
  learning,
  mistakes,
  multi_label_page,
  wilson,
)
from tsm_jax.program import early_stopping, metrics, predictions, results

_END = """
Everything needed to run this again is in [config.json](config.json), which
`--config` takes; every number is in [metrics.jsonl](metrics.jsonl), what every
clip got in [predictions.csv](predictions.csv).
"""
_ONLINE = """
## Frame by frame

Of {num_clips} clips, {equal} have the same top-1 frame by frame as in one
piece; their logits differ by at most {difference:.1e}. Frame by frame, top-1 is
{stream_top1:.2%}, in one piece {clip_top1:.2%}.

![top-1 after a share of the frames](early_recognition.png)
"""


def write(workdir, labels, result, online=None, frames=None, counts=None):
  """Writes `report.md` with `curves.png` and `confusion.png`.

  Of a model that can run frame by frame, also with `early_recognition.png`;
  where the best model is not the last, with `confusion_best.png`; where clips
  are mistaken, with `mistakes.png`.

  Args:
    workdir: of the run.
    labels: class names by index.
    result: the last `results.Result`; of a `multi_label.Result` it is
      `multi_label_page`, without what there is one label for.
    online: what `agreement.report` has found, or None.
    frames: from `mistakes.reader`, or None to show no mistakes.
    counts: training clips of every class `[K]`, or None.

  Returns:
    The path of the page.
  """
  workdir = files.path(workdir)
  if result.confusion is None:
    text = multi_label_page.text(workdir, labels, result, _markdown)
  else:
    text = _text(workdir, labels, result, online, frames, counts)
  page = workdir / 'report.md'
  files.write(page, text + _END)
  return page


def _text(workdir, labels, result, online, frames, counts):
  """The page of clips of one label but for its end; writes its pictures."""
  config = files.read_json(workdir / 'config.json')
  records = metrics.read(workdir)
  last, best = _last_and_best(records)
  drawing.draw_curves([workdir], workdir / 'curves.png')
  drawing.draw_confusion(result.confusion, labels, workdir / 'confusion.png')
  confusion = None if last == best else _best_confusion(workdir, best, labels)
  return f"""# {_markdown(config['name'])}

On {result.num_clips} clips of the split {config['eval']['split']!r}: \
{results.summary(result)}.

{_models(result, last, best, config)}

{early_stopping.paragraph(records, config['eval'])}![loss and top-1](curves.png)

{_hint(records, result, labels)}![confusion matrix](confusion.png)
{_of_the_best(workdir, confusion, labels)}{_online(workdir, online)}
{_classes(labels, result.confusion, confusion, counts)}

The intervals hold the true top-1 in 95 of 100 such counts (Wilson's, of clips
that are independent of each other).
{_mistakes(workdir, labels, result, frames)}"""


def _last_and_best(records):
  """The records of the last and of the best evaluation; empty without one."""
  found = [r for r in records if 'eval/top1' in r]
  if not found:
    return {}, {}
  # At a tie, the later model is the better one, as in the folder `best`.
  return found[-1], max(found, key=lambda r: (r['eval/top1'], r['step']))


def _models(result, last, best, config):
  """The table of the last and the best model."""
  count = result.num_clips

  def row(name, step, top1, top5, loss):
    interval = wilson.shown(round(top1 * count), count)
    return f'| {name} | {step} | {top1:.2%} | {interval} | {top5} | {loss} |'

  kept = config.get('checkpoint', {}).get('keep_best', 1)
  name = 'best, in `best/`' if kept else 'best'
  rows = [
    row(
      'last' if last != best else f'last, which is the {name}',
      last.get('step', ''),
      result.top1,
      f'{result.top5:.2%}',
      f'{result.loss:.4f}',
    )
  ]
  if last != best:
    top5, loss = best.get('eval/top5'), best.get('eval/loss')
    rows.append(
      row(
        name,
        best['step'],
        best['eval/top1'],
        '' if top5 is None else f'{top5:.2%}',
        '' if loss is None else f'{loss:.4f}',
      )
    )
  head = '| model | step | top-1 | 95% interval | top-5 | loss |'
  return '\n'.join([head, '|---|---|---|---|---|---|', *rows])


def _best_confusion(workdir, best, labels):
  """The confusion `[K, K]` of the best model, or None if it was not kept."""
  path = workdir / predictions.BEST
  if not path.exists():  # of a run by an earlier version
    return None
  step, classes, logits = predictions.read(path, labels)
  if step != best['step']:
    return None
  confusion = np.zeros((len(labels), len(labels)), int)
  np.add.at(confusion, (classes, logits.argmax(axis=1)), 1)
  return confusion


def _of_the_best(workdir, confusion, labels):
  path = workdir / 'confusion_best.png'
  if confusion is None:
    path.unlink(missing_ok=True)
    return ''
  drawing.draw_confusion(confusion, labels, path)
  return f'\nOf the best model:\n\n![confusion matrix]({path.name})\n'


def _hint(records, result, labels):
  found = learning.hint(records, result.num_clips, len(labels))
  return f'{found}\n\n' if found else ''


def _online(workdir, online):
  if not online:
    return ''
  drawing.draw_early(online, workdir / 'early_recognition.png')
  return _ONLINE.format(**online)


def _classes(labels, confusion, best, counts):
  """The table of the classes, with that of the best model if there is one."""
  head = ['class', 'top-1', '95% interval', 'clips']
  if counts is not None:
    head.append('training clips')
  if best is not None:
    head.append('top-1 of the best')
  lines = []
  for i, label in enumerate(labels):
    right, total = int(confusion[i, i]), int(confusion[i].sum())
    row = [_markdown(label), _share(right, total), wilson.shown(right, total)]
    row.append(str(total))
    if counts is not None:
      row.append(str(counts[i]))
    if best is not None:
      row.append(_share(best[i, i], best[i].sum()))
    lines.append(row)
  rule = '|---' * len(head) + '|'
  first, *rows = [f'| {" | ".join(cells)} |' for cells in [head, *lines]]
  return '\n'.join([first, rule, *rows])


def _share(right, total):
  return f'{right / total:.2%}' if total else 'no clip'


def _mistakes(workdir, labels, result, frames):
  """The part about the worst mistakes, with its picture."""
  path = workdir / 'mistakes.png'
  found = mistakes.worst(result) if frames else []
  if not found:
    path.unlink(missing_ok=True)  # of a run that went on
    return ''
  mistakes.draw(found, labels, frames, path)
  rows = '\n'.join(
    f'| {_markdown(m.clip)} | {_markdown(labels[m.label])} '
    f'| {_markdown(labels[m.predicted])} | {m.probability:.1%} |'
    for m in found
  )
  return f"""
## The worst mistakes

What the last model was surest of, and wrong: label → predicted. A label may be
wrong, too.

![frames of the clips]({path.name})

| clip | label | predicted | probability |
|---|---|---|---|
{rows}
"""


def _markdown(name):
  """A name as text of Markdown in a row of a table."""
  escaped = re.sub(r'([\\`*_\[\]|~$])', r'\\\1', errors.printable(name))
  return html.escape(escaped, quote=False)
