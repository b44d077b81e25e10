"""How the user makes a file that can be read of one that cannot.

Only the user can decide to run the code in a file.
"""

from tsm_jax.convert.reading import pickles, state_dicts

SUFFIXES = ('.pth', '.pth.tar', '.pt', '.safetensors')


def expression(inert):
  """Python for the weights in the `content` of a file.

  Args:
    inert: what `pickles.inspect` found in it.
  """
  if isinstance(inert, pickles.StandIn) and inert.is_module():
    return 'content.state_dict()'
  if isinstance(inert, dict):
    keys, _ = state_dicts.locate(inert)
    if keys is not None:
      weights = 'content' + ''.join(f'[{key!r}]' for key in keys)
      if not isinstance(inert.get('meta'), dict):
        return weights
      meta = "json.loads(json.dumps(content['meta'], default=str))"
      return f"{{'state_dict': {weights}, 'meta': {meta}}}"
    for key, value in inert.items():
      if isinstance(value, pickles.StandIn) and value.is_module():
        return f'content[{key!r}].state_dict()'
  return "content['state_dict']"


def lines(path, load, weights):
  """A sentence and three lines of PyTorch that write weights only.

  Args:
    path: of the file.
    load: Python for its content.
    weights: Python for the weights in `content`.
  """
  stem = str(path)
  for suffix in sorted(SUFFIXES, key=len, reverse=True):
    stem = stem.removesuffix(suffix)
  used = [name for name in ('json', 'numpy') if f'{name}.' in load + weights]
  modules = ', '.join([*used, 'torch'])
  return (
    'If you trust the file, write its weights into another one, and convert '
    'that:\n'
    f'  import {modules}\n'
    f'  content = {load}\n'
    f'  torch.save({weights}, {f"{stem}_weights.pth"!r})'
  )
