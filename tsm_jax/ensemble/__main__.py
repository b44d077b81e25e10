"""Several models as one: `python -m tsm_jax.ensemble RUN RUN... [options]`.

  python -m tsm_jax.ensemble runs/rgb runs/flow --weights 1 1.5

They may differ in network, T, modality, preprocessing and dataset, as long as
these hold the same videos by name: two-stream evaluation (arXiv 1406.2199) is
one model of RGB and one of flow. The official code adds raw logits, which are
on different scales, and divides by the number of models.
"""

import functools
import json
import sys

import jax
import numpy as np
from tqdm import auto as tqdm

from tsm_jax import cli, errors, evaluate, files, sharding
from tsm_jax.data.input import cropping, pipeline, records
from tsm_jax.ensemble import members as members_lib
from tsm_jax.program import metrics

MEANS = ('softmax', 'logits')


def ensemble(members, mean, split, views, batch_size=0, threads=16, log=print):
  """Evaluates the weighted mean of several models' scores.

  Args:
    members: each a `members.Member`.
    mean: 'softmax' or 'logits', see `combine`.
    split: of every dataset.
    views: a `records.Views`.
    batch_size: clips, over all devices; 0 is one per device.
    threads: that decode.
    log: called with every line for the user.

  Returns:
    `(result, report)`: an `evaluate.Result`, and a dict for JSON that also has
    every model's own top-1.

  Raises:
    InputError: if a checkpoint or dataset is missing, or if they do not have
      the same classes and videos.
  """
  _check(members, mean)
  mesh = sharding.create_mesh()
  batch_size = batch_size or mesh.size
  sharding.check_batch_size('--batch_size', batch_size, mesh)
  opened = [members_lib.open_member(member, split, log) for member in members]
  first = opened[0].trained.labels
  members_lib.check_classes(members, opened)
  orders = members_lib.matched(members, opened)

  logits, alone = [], []
  for member, one, order in zip(members, opened, orders):
    scores, label = _logits(one, views, batch_size, threads, mesh)
    logits.append(scores[order])
    alone.append(_result(scores, label))
    log(f'{member.path} alone: {evaluate.summary(alone[-1])}')
  label = label[order]  # in the order of the first, as those of all are
  total = sum(member.weight for member in members)
  weights = [member.weight / total for member in members]
  result = _result(combine(logits, weights, mean), label)
  report = {
    'members': [
      {
        'checkpoint': str(member.path),
        'step': one.trained.step,
        'dataset': str(one.dataset.path),
        'modality': one.trained.preprocessing.modality,
        'num_frames': one.trained.preprocessing.num_frames,
        'weight': weight,
        'top1': own.top1,
      }
      for member, one, weight, own in zip(members, opened, weights, alone)
    ],
    'mean': mean,
    **evaluate.describe(result, first, split, views),
  }
  named = {
    'softmax': 'the softmax of its mean logits over the views',
    'logits': 'its mean logits over the views',
  }
  shares = ', '.join(f'{weight:.3f}' for weight in weights)
  log(
    f'{result.num_clips} clips of {split!r}, of each model {named[mean]}, '
    f'weighted by {shares}: {evaluate.summary(result)}'
  )
  return result, report


def combine(logits, weights, mean):
  """The scores of an ensemble.

  Args:
    logits: of each model, `[N, K]`.
    weights: of each model; they add up to 1.
    mean: 'logits', the weighted mean of the logits; or 'softmax', the logarithm
      of that of the probabilities.

  Returns:
    float64 `[N, K]`, whose softmax are the probabilities.
  """
  logits = [np.asarray(x, np.float64) for x in logits]
  if mean == 'logits':
    return sum(w * x for w, x in zip(weights, logits))
  shifted = [x - x.max(axis=1, keepdims=True) for x in logits]
  exps = [np.exp(x) for x in shifted]
  total = sum(
    w * e / e.sum(axis=1, keepdims=True) for w, e in zip(weights, exps)
  )
  return np.log(np.maximum(total, np.finfo(np.float64).tiny))


def _check(members, mean):
  if mean not in MEANS:
    raise errors.InputError(f'--mean is {mean!r}; choose from {MEANS}.')
  for member in members:
    if not 0 < member.weight < float('inf'):
      raise errors.InputError(
        f'The weight of {member.path} is {member.weight}; it must be positive.'
      )


def _logits(one, views, batch_size, threads, mesh):
  """A model's logits of every clip, the mean over its views.

  Returns:
    `(logits, label)`: float32 `[N, K]`, int32 `[N]`.
  """
  trained, how = one.trained, one.trained.preprocessing
  model = trained.module()
  everywhere = sharding.replicated(mesh)

  @functools.partial(jax.jit, out_shardings=everywhere)
  def step(variables, batch):
    logits = evaluate.view_logits(model, variables, batch['frames'], how)
    return {**batch, 'frames': (), 'logits': logits}

  variables = jax.device_put(trained.variables, everywhere)
  count = len(one.records)
  batches = pipeline.eval_batches(
    one.records, batch_size, how, views, threads, sharding.process()
  )
  logits = np.full((count, len(trained.labels)), np.nan, np.float32)
  label = np.zeros(count, np.int32)
  for batch in tqdm.tqdm(
    batches, 'evaluate', -(-count // batch_size), leave=False, disable=None
  ):
    found = jax.device_get(step(variables, sharding.to_devices(batch, mesh)))
    real = found['mask'] > 0
    rows = found['number'][real]
    logits[rows], label[rows] = found['logits'][real], found['label'][real]
  return logits, label


def _result(scores, label):
  mask = np.ones(len(label), np.float32)
  total = metrics.counts(np.asarray(scores, np.float32), label, mask)
  return evaluate.summarize(total, len(label))


@cli.command()
def main(argv=None):
  args = _parser().parse_args(argv)
  _, report = ensemble(
    _members(args),
    args.mean,
    args.split,
    records.Views(args.clips, args.crops, args.full_resolution),
    args.batch_size,
    args.threads,
  )
  files.write(args.out, json.dumps(report, indent=1))
  print(f'All numbers are in {args.out}.')


def _members(args):
  """The members that the flags name, in the order of the checkpoints."""
  count = len(args.checkpoints)
  for name in ('weights', 'sources'):
    given = getattr(args, name)
    if given and len(given) != count:
      raise errors.InputError(
        f'--{name} has {len(given)} values for {count} checkpoints.'
      )
  weights, sources = args.weights or [1.0] * count, args.sources or [''] * count
  return [
    members_lib.Member(*member)
    for member in zip(args.checkpoints, weights, sources)
  ]


def _parser():
  parser = cli.Parser(
    'ensemble',
    description='Evaluates the weighted mean of the scores of several models.',
  )
  add, positive = parser.add_argument, cli.at_least(1)
  add('checkpoints', nargs='+', help='workdirs, or steps in them')
  add('--weights', nargs='+', type=float, help='one of each (default: equal)')
  add(
    '--sources',
    nargs='+',
    help='a built dataset for each (default: those they were trained on)',
  )
  add(
    '--mean', default='softmax', choices=MEANS, help='which scores to average'
  )
  add('--split', default='val', help='of the datasets (default %(default)s)')
  add('--clips', type=positive, default=1, help='views over time')
  add(
    '--crops', type=int, default=1, choices=cropping.CROPS, help='of each clip'
  )
  parser.add_switch('full_resolution', 'crops of the whole short side')
  add('--batch_size', type=int, default=0, help='clips (default: 1 per device)')
  add('--threads', type=positive, default=16, help='for decoding')
  add('--out', default='ensemble.json', help='JSON file (default %(default)s)')
  return parser


if __name__ == '__main__':
  sys.exit(main())
