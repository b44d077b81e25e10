"""The numbers of a plan, as lines for people."""

from rich import console, table

from tsm_jax import program, sharding
from tsm_jax.configs import warm_up

GIB, MIB = 2**30, 2**20


def recipe(config, num_clips, target):
  """What follows from the batch: pairs of label and text."""
  _, total = program.plan_steps(config, num_clips)
  yield 'batch', f'{config.batch_size} clips'
  if target is not None:
    sharding.check_batch_size(
      'batch_size', config.batch_size, target, config.accumulation
    )
    yield 'batch per chip', f'{config.batch_size // target.size} clips'
  yield 'learning rate', f'{config.learning_rate:g}'
  warmup = warm_up.epochs(config)
  yield 'schedule', f'{config.schedule.kind}, {warmup:g} epochs of warm-up'
  yield 'epochs', f'{config.epochs:g}'
  yield 'steps', f'{total}'


def host_input(config, target, numbers, frames_per_cpu):
  """What the hosts must feed at the predicted speed; {} if that is unknown."""
  if 'step_seconds' not in numbers:
    return {}
  clips = config.batch_size / numbers['step_seconds']
  cpus = clips * config.model.num_frames / frames_per_cpu
  return {
    'clips_per_second': clips,
    'cpus': cpus,
    'cpus_per_host': cpus / target.num_hosts,
    'frames_per_cpu': frames_per_cpu,
  }


def rows(config, target, numbers, num_clips, utilisation):
  """Pairs of label and text; a text of None makes the label a heading."""
  yield from _memory(numbers)
  if 'step_seconds' in numbers:
    yield from _work(target, numbers)
    yield from _input(target.chip, numbers['input'])
    yield 'Duration', None
    epoch = num_clips / numbers['input']['clips_per_second']
    for share in utilisation:
      yield f'epoch at {share:.0%} of that speed', _duration(epoch / share)
      whole = config.epochs * epoch / share
      yield f'{config.epochs:g} epochs at {share:.0%}', _duration(whole)


def _work(target, numbers):
  yield 'Work of a step, per chip', None
  yield 'arithmetic', f'{numbers["chip_flops"] / 1e12:.3f} TFLOPs'
  yield 'memory traffic', f'{numbers["chip_bytes"] / 1e9:.2f} GB'
  for kind, row in numbers['moves'].items():
    if row['count']:
      size = row['bytes'] / MIB
      yield f'{kind} of features', f'{row["count"]}, {size:.1f} MiB'
  for kind, row in numbers['collectives'].items():
    yield kind, f'{row["count"]}, {row["bytes"] / MIB:.1f} MiB together'
  if target.size > 1:
    yield 'sent', f'{numbers["chip_sent_bytes"] / MIB:.1f} MiB'
  yield 'Least time of a step (roofline)', None
  for name, seconds in numbers['seconds'].items():
    yield name, f'{1e3 * seconds:.2f} ms'
  yield 'step', f'{1e3 * numbers["step_seconds"]:.2f} ms'
  yield 'bound by', numbers['bound']


def _input(chip, feed):
  yield 'Input at that speed', None
  yield 'clips', f'{feed["clips_per_second"]:.0f} /s'
  yield (
    f'logical CPUs at {feed["frames_per_cpu"]:g} frames/s',
    f'{feed["cpus"]:.0f}',
  )
  if chip.vcpus:
    yield f'per host of {chip.vcpus} vCPUs', f'{feed["cpus_per_host"]:.1f}'


def _memory(numbers):
  memory = numbers['memory']
  yield 'Memory per chip', None
  for kind, size in memory['kinds'].items():
    yield kind, f'{size / MIB:.1f} MiB'
  if memory['total'] is not None:
    yield 'total', f'{memory["total"] / GIB:.2f} GiB'
  yield 'available', f'{memory["limit"] / GIB:.2f} GiB'
  yield 'fits', 'yes' if numbers['fits'] else 'NO'
  sizes = ' and '.join(map(str, numbers['largest_from']))
  largest = numbers['largest_chip_batch']
  yield (
    'largest batch per chip',
    'unknown' if largest is None else f'{largest} clips (line through {sizes})',
  )


def misfit(config, target, numbers):
  """A sentence: why a configuration does not fit, and what may help."""
  memory = numbers['memory']
  need = numbers['out_of_memory']
  if need is None:
    need = f'it needs {memory["total"] / GIB:.2f} GiB per chip'
  largest = numbers['largest_chip_batch']
  help_ = 'take a larger topology, model.dtype=bfloat16 or model.remat=block'
  unit = target.size * config.accumulation  # batches are multiples of it
  lower = min((largest or 0) * target.size, config.batch_size - 1)
  if lower := lower // unit * unit:
    help_ = f'lower batch_size to {lower}, {help_}'
  return (
    f'{config.name} with batch_size {config.batch_size} does not fit '
    f'{target.name}, where {memory["limit"] / GIB:.2f} GiB per chip are '
    f'available: {need.rstrip(".")}; {help_}.'
  )


def _duration(seconds):
  if seconds < 60:
    return f'{seconds:.1f} s'
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return (
    f'{hours} h {minutes:02} min' if hours else f'{minutes} min {seconds:02} s'
  )


def show(name, target, columns):
  """Prints the rows of several configurations side by side."""
  labels = {label: None for rows in columns.values() for label, _ in rows}
  headings = {
    k for rows in columns.values() for k, text in rows if text is None
  }
  texts = [dict(rows) for rows in columns.values()]
  grid = table.Table(box=None, pad_edge=False)
  grid.add_column('predicted', no_wrap=True)
  for title in columns:
    grid.add_column(title, justify='right', no_wrap=True)
  for label in labels:
    if label in headings:
      grid.add_row()
      grid.add_row(label, style='bold')
    else:
      grid.add_row(f'  {label}', *(text.get(label, '') or '' for text in texts))
  # The grid is as wide as its texts; a terminal may wrap it, nothing is cut.
  out = console.Console(width=1000, highlight=False, soft_wrap=True)
  out.print(
    f'{name} on {target.name}: {target.size} chips, {target.num_hosts} hosts.\n'
    'All numbers are predicted, from the program that the compiler made for '
    'this topology\nand published figures of the chip '
    f'({target.chip.source}); none is measured.\n'
  )
  out.print(grid)
