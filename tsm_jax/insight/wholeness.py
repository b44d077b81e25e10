"""`--mode=check`: which checkpoints of a workdir are whole."""

from tsm_jax import errors, files
from tsm_jax.runs import folders, hashes, replacing, steps


def check(workdir, log=print):
  """Reads every checkpoint of a workdir, and says whether it is whole.

  Args:
    workdir: of a run or of a converted model, its folder `checkpoints` or
      `best`, or one step in that; a local path or a URL.
    log: called with a line for every step, and for what is no step.

  Returns:
    Whether nothing is damaged.

  Raises:
    InputError: if there is no checkpoint.
  """
  workdir = files.path(workdir)

  def say(path, line):
    log(errors.printable(f'{path}: {line}'))

  found = [workdir / name for name in ('checkpoints', steps.BEST)]
  found = [folder for folder in found if steps.listed(folder)]
  if not found:
    folder, step = folders.find(workdir)
    if step is not None:
      return _check_step(folder, step, say)
    found = [folder]
  whole = True
  for folder in found:
    for step in steps.listed(folder):
      whole &= _check_step(folder, step, say)
    for path in sorted(folder.iterdir()):
      if not path.name.isdigit():
        say(path, f'not used: {_why(path.name)}')
  config = workdir / 'config.json'
  if config.exists():
    try:
      files.read_json(config)
    except errors.InputError as error:
      say(config, f'damaged: it {str(error).removeprefix(f"{config} ")}')
      whole = False
  return whole


def _check_step(folder, step, say):
  """Whether a step is whole; says it."""
  is_best = folder.name == steps.BEST
  path = folder / str(step)
  found = steps.damage(
    folder, step, steps.TO_RANK if is_best else steps.TO_CONTINUE
  )
  if not path.exists():
    return True  # a run that goes on has just replaced it
  if found:
    say(path, f'damaged: {found}')
    return False
  kind = 'a run continues from it'
  if is_best:
    kind = 'a model of highest top-1'
  elif steps.is_converted(path):
    kind = 'a converted model'
  note = ''
  if not hashes.exist(path):
    note = '; saved without hashes, so that a changed number cannot be found'
  say(path, f'whole ({kind}{note})')
  return True


def _why(name):
  if '.damaged' in name:
    return 'a damaged step that a run has set aside'
  if name.endswith(replacing.SUFFIX):
    return 'of a save that was killed; the next start uses it again'
  if folders.UNFINISHED in name:
    return 'a save that was killed; the next start removes it'
  return 'no step'
