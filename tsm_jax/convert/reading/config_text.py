"""Values out of the text of a Python file, which is not executed."""

import ast
import contextlib
import json

_LONGEST = 2**20  # characters; a configuration has some thousand
_DEPTH = 4  # of dicts that add to those of a base


def parse(text):
  """The values that a configuration assigns to its names, as far as written.

  >>> parse("a = dict(b=[1, 2])\\nimport os\\nc = (a, os.sep)")
  {'a': {'b': [1, 2]}, 'c': ({'b': [1, 2]}, None)}

  Args:
    text: in Python; lines that name a file, as older releases have them, are
      passed over. An object in JSON, or a dict, is taken as it is.

  Returns:
    A dict; a value is None where it is no literal. Of several dicts with the
    same name, a later one adds to the earlier one, as those of a base.
  """
  if isinstance(text, dict):
    return text
  if not isinstance(text, str) or len(text) > _LONGEST:
    return {}
  if text.startswith('{'):
    with contextlib.suppress(ValueError, RecursionError):
      return json.loads(text)
  lines = [x for x in text.splitlines() if not x.rstrip().endswith('.py')]
  try:
    tree = ast.parse('\n'.join(lines))
    values = {}
    for line in tree.body:
      if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
        name = line.targets[0].id
        value = _value(line.value, values)
        values[name] = _merged(values.get(name), value, _DEPTH)
  except (SyntaxError, ValueError, RecursionError, MemoryError):
    return {}
  return values


def _value(node, values):
  """The value of an expression, or None."""
  match node:
    case ast.Constant(value=value):
      return value
    case ast.Name(id=name):
      return values.get(name)
    case ast.List(elts=items):
      return [_value(item, values) for item in items]
    case ast.Tuple(elts=items):
      return tuple(_value(item, values) for item in items)
    case ast.Dict(keys=keys, values=items):
      pairs = zip(keys, items)
      return {
        key.value: _value(item, values)
        for key, item in pairs
        if isinstance(key, ast.Constant)
      }
    case ast.Call(func=ast.Name(id='dict'), args=[], keywords=items):
      return {x.arg: _value(x.value, values) for x in items if x.arg}
    case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
      return -value if type(value) in (int, float) else None
  return None


def _merged(old, new, depth):
  dicts = isinstance(old, dict) and isinstance(new, dict)
  if not dicts or new.get('_delete_') or not depth:
    return new
  changed = {k: _merged(old.get(k), v, depth - 1) for k, v in new.items()}
  return {**old, **changed}


def get(nest, *keys):
  """The dict at a path in dicts; an empty one if there is none."""
  for key in keys:
    nest = nest.get(key) if isinstance(nest, dict) else None
  return nest if isinstance(nest, dict) else {}
