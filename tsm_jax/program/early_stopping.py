"""A run that ends before its last step, for it no longer gets better.

What was evaluated is read from metrics.jsonl, so that a run that was killed
decides as if it had not been.
"""

from tsm_jax.program import metrics
from tsm_jax.runs import processes

# Of clips of several labels the mean average precision, else top-1.
MEASURES = {'eval/map': 'mean average precision', 'eval/top1': 'top-1'}


def was_evaluated(workdir, step):
  """Whether metrics.jsonl has the evaluation of a step.

  A run may have been killed after the save of a step and before its evaluation.
  Of several processes, one looks, so that all do the same.
  """
  found = any(at == step for at, _ in _evaluations(metrics.read(workdir)))
  return processes.broadcast(found)


def reached(workdir, step, config, log):
  """Whether a run ends at a step because of `eval.patience`; says why.

  Of several processes, one decides.

  Args:
    workdir: of the run.
    step: the last one that counts; a killed run may have evaluated later ones.
    config: its configuration.
    log: called with a sentence if it ends.
  """
  if not config.eval.patience:
    return False
  lines = [line for line in metrics.read(workdir) if line['step'] <= step]
  sentence = explain(lines, config.eval)
  if not processes.broadcast(bool(sentence)):
    return False
  log(sentence)
  return True


def explain(lines, evaluation):
  """Why a run need not go on, as a sentence, or ''.

  Args:
    lines: of `metrics.read`.
    evaluation: the section `eval` of a configuration; older ones have no
      patience.
  """
  found = _evaluations(lines)
  patience = evaluation.get('patience', 0)
  best = max((top1 for _, top1 in found), default=0.0)
  # The first with that top-1: an equal one is not better.
  at, step = next(
    ((i, s) for i, (s, t) in enumerate(found) if t == best), (0, 0)
  )
  since = len(found) - 1 - at
  if not patience or since < patience:
    return ''
  many = f'{since} evaluations' if since > 1 else 'evaluation'
  return (
    f'The run ends at step {found[-1][0]}: in the last {many}, '
    f'{MEASURES[measured(lines)]} on '
    f'{evaluation["split"]!r} has not been above the {best:.2%} of step {step} '
    f'(eval.patience={patience}; 0 trains on).'
  )


def paragraph(lines, evaluation):
  """What `explain` says, as a paragraph of Markdown, or ''."""
  found = explain(lines, evaluation)
  return f'{found}\n\n' if found else ''


def _evaluations(lines):
  """`(step, top1)` of the evaluations among the lines of metrics."""
  measure = measured(lines)
  return [(line['step'], line[measure]) for line in lines if measure in line]


def measured(lines):
  """By which of `MEASURES` the models of a run are compared."""
  return next((m for m in MEASURES if any(m in x for x in lines)), 'eval/top1')
