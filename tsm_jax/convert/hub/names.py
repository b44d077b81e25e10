"""What a name of weights means: a path, or a file of the hub."""

import re
from typing import NamedTuple

from tsm_jax import errors, files
from tsm_jax.convert.reading import remedy

# The weights of torchvision, from which the published recipes start: timm keeps
# them on the hub. There are none of another width.
IMAGENET = {
  'resnet': {
    18: 'timm/resnet18.tv_in1k',
    34: 'timm/resnet34.tv_in1k',
    50: 'timm/resnet50.tv_in1k',
    101: 'timm/resnet101.tv_in1k',
    152: 'timm/resnet152.tv_in1k',
  },
  'deep resnet': {
    18: 'timm/resnet18d.ra2_in1k',
    34: 'timm/resnet34d.ra2_in1k',
    50: 'timm/resnet50d.ra2_in1k',
    101: 'timm/resnet101d.ra2_in1k',
    152: 'timm/resnet152d.ra2_in1k',
  },
  'mobilenet_v2': 'timm/mobilenetv2_100.ra_in1k',
}
SCHEME = 'hf://'
_PART = r'[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?'
_ID = re.compile(rf'(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[\w./-]+))?')
_URL = re.compile(
  rf'{SCHEME}(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[\w.-]+))?'
  r'(?:/(?P<file>.+))?'
)


class Named(NamedTuple):
  """Weights on the hub.

  Attributes:
    repo: 'user/name'.
    revision: a branch, tag or commit, or None for the newest.
    file: its path in there, or '' to look for the weights.
  """

  repo: str
  revision: str | None = None
  file: str = ''

  def __str__(self):
    at = f'@{self.revision}' if self.revision else ''
    return f'{self.repo}{at}' + (f'/{self.file}' if self.file else '')


def parse(name, model):
  """The `Named` that a name means, or None for a path.

  `imagenet` and `hf://user/repo[@revision][/file]` are never paths. Of
  `user/repo`, a path that exists wins, and a folder `user` here makes it one.

  Args:
    name: of `init_from`.
    model: fields of the model to train.

  Raises:
    InputError: if `hf://` is followed by something else, or there are no
      weights of ImageNet for this model.

  >>> parse('imagenet', {'name': 'resnet', 'depth': 18}).repo
  'timm/resnet18.tv_in1k'
  >>> parse('hf://user/repo@v1/weights/a.safetensors', {})
  Named(repo='user/repo', revision='v1', file='weights/a.safetensors')
  """
  name = str(name)
  if name == 'imagenet':
    return Named(_imagenet(model))
  if name.startswith(SCHEME):
    match = _URL.fullmatch(name)
    if not match:
      raise errors.InputError(
        f'init_from is {name!r}; a file of the hub is written '
        'hf://user/repo, hf://user/repo@revision or hf://user/repo/file.'
      )
    if match['file'] and not is_safe(match['file']):
      raise errors.InputError(
        f'init_from is {name!r}, whose file is no path inside of a repository.'
      )
    return Named(match['repo'], match['revision'], match['file'] or '')
  match = _ID.fullmatch(name)
  if not match or name.endswith(remedy.SUFFIXES):
    return None
  # A run that is not there must not be that of a stranger of such a name.
  if files.path(name).exists() or files.path(name.partition('/')[0]).is_dir():
    return None
  return Named(match['repo'], match['revision'])


def on_the_hub(name):
  """What to write for the hub, of a name that was taken for a path; or ''."""
  return f'; on the hub it is {SCHEME}{name}' if _ID.fullmatch(name) else ''


def is_safe(name):
  """Whether a name out of a list of the hub is a path below a folder.

  >>> is_safe('best/model.safetensors'), is_safe('../model.safetensors')
  (True, False)
  """
  parts = name.split('/')
  return (
    name.isprintable()
    and not set(name) & set('\\:*?"<>|')
    and len(name) <= 200
    and not any(part in ('', '.', '..') for part in parts)
  )


def _imagenet(model):
  kind = model['name']
  deep = model.get('stem', 'plain') == 'deep'
  table = IMAGENET.get('deep resnet' if deep else kind)
  found = table.get(model['depth']) if isinstance(table, dict) else table
  if found is None:
    depths = ', '.join(map(str, IMAGENET['resnet']))
    raise errors.InputError(
      f"init_from is 'imagenet', but there are no such weights for model.name="
      f'{kind!r}; choose from resnet (depth {depths}) and mobilenet_v2, or '
      'give a file.'
    )
  return found
