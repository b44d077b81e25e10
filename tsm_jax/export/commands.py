"""What `python -m tsm_jax.export` and its `verify` do."""

import humanize

from tsm_jax import checkpoints, cli, errors
from tsm_jax.export import (
  calibration,
  card,
  converters,
  folder,
  graph,
  lowering,
  proof,
  runner,
  samples,
)
from tsm_jax.export.runner import engine
from tsm_jax.runs import request
from tsm_jax.stream import progress
from tsm_jax.stream.events import rule_file

NUM_CALIBRATED = 20  # clips of the training split


def export(args):
  """Writes the folder of a checkpoint; nothing, if its proof fails."""
  folder.check(args.out)
  _check(args)
  log = progress.log
  trained = checkpoints.restore_model(args.checkpoint, log)
  request.require_one_label(trained, 'exports')
  if trained.config.dtype != 'float32':
    log(
      f'The model was trained in {trained.config.dtype}; it leaves in float32.'
    )
    trained = graph.in_float32(trained)
  converters.check(args.format, args.precision, trained.config)
  what = args.what or graph.default_kind(trained)
  made = graph.create(trained, what, args.batch)
  lowering.check_size(made, args.format)
  rule, origin = rule_file.choose(args.checkpoint, trained)
  if what == 'step':
    log(f'Events are decided by {origin}.')
  clips = samples.find(args.checkpoint, trained, args.fields, log)
  inputs = None
  if args.precision == 'int8':
    _check_calibration(clips)
    inputs = calibration.inputs(trained, made, clips, NUM_CALIBRATED)
  found = samples.collect(trained, clips, made.what, args.clips, log)
  limits = proof.bounds(args.precision, args.max_difference, args.min_equal)
  with folder.made(args.out) as out:
    versions = _write_model(out / card.MODELS[args.format], made, args, inputs)
    versions[engine.FORMATS[args.format][1]] = engine.version(args.format)
    card.write_labels(out, trained.labels)
    runner.write(out, args.format)
    described = card.describe(
      trained,
      made,
      rule,
      card.origin(args.checkpoint, trained),
      format=args.format,
      precision=args.precision,
      batch=args.batch,
      versions=versions,
    )
    card.write(out, described)
    result = proof.prove(out, found, limits, clips.about(args.clips))
    card.write(out, described)
  _show(args.out, result)


def verify(args):
  """Proves an export again; the status is 1 if it does not answer as before."""
  found, log = None, progress.log
  if args.checkpoint:
    trained = checkpoints.restore_model(args.checkpoint, log)
    written = card.read(args.out)
    if trained.labels != written.labels:
      raise errors.InputError(
        f'{args.checkpoint} has the classes {", ".join(trained.labels)}; '
        f'{args.out} has {", ".join(written.labels)}: give the checkpoint that '
        'it was made of.'
      )
    if card.origin(args.checkpoint, trained)['sha256'] != (
      written.source.get('sha256')
    ):
      log(f'{args.out} was not made of {args.checkpoint} as it is now.')
    clips = samples.find(args.checkpoint, trained, args.fields, log)
    found = samples.collect(trained, clips, written.what, args.clips, log)
  elif args.fields:
    raise errors.InputError(
      f'{args.fields[0]} names clips of a checkpoint; give --checkpoint, too.'
    )
  limits = args.max_difference, args.min_equal
  return 0 if proof.verify(args.out, *limits, found) else 1


def _check(args):
  """Raises InputError for what a format does not have."""
  known = card.PRECISIONS[args.format]
  if args.precision not in known:
    others = [
      name for name, p in card.PRECISIONS.items() if args.precision in p
    ]
    raise errors.InputError(
      f'--precision is {args.precision}, and --format={args.format} has '
      f'{" and ".join(known)} only; {" and ".join(others)} have it.'
    )
  if args.batch is None and args.format == 'litert':
    raise errors.InputError(
      '--batch is any, but a file of litert is for one number of clips; give '
      'it, or choose --format=onnx.'
    )
  if args.converter and args.format == 'stablehlo':
    raise errors.InputError(
      f'--converter is {args.converter!r}, but --format=stablehlo needs none; '
      'leave it out.'
    )
  if not engine.version(args.format):
    raise errors.InputError(
      f'--format={args.format} needs {engine.FORMATS[args.format][1]}, in '
      "which the proof is run; install it by: pip install 'tsm_jax[export]'."
    )


def _check_calibration(clips):
  """Raises InputError if there are no clips to calibrate by."""
  try:
    clips.dataset.split(calibration.TRAIN)
  except errors.InputError as error:
    raise errors.InputError(
      f'{error} --precision=int8 needs training clips, for the ranges of '
      'features; name a dataset that has some by --config.data.source.'
    ) from error


def _write_model(path, made, args, inputs):
  """Writes the file of a graph; returns the versions of what made it."""
  if args.format == 'stablehlo':
    path.write_bytes(lowering.exported(made, args.precision).serialize())
    return {}
  return converters.convert(
    args.format,
    made,
    path,
    precision=args.precision,
    calibration=inputs,
    python=args.converter or None,
    log=progress.log,
  )


def _show(out, result):
  """Prints what was written, and how equal it is."""
  found = card.read(out)
  rows = [
    (name, humanize.naturalsize(kept['bytes']))
    for name, kept in found.files.items()
    if '/' not in name
  ]
  cli.show_rows(('file', 'size'), rows)
  each = {'step': 'a frame', 'clip': 'a clip'}[found.what]
  print(f'{found.multiply_adds / 1e6:,.1f} M multiply-adds for {each}.')
  print(f'Run by {engine.FORMATS[found.format][1]}: {result.line()}.')
