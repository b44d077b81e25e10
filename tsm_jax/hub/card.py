"""The model card of a run: what people need to know before they use it."""

import json

from tsm_jax import errors, models
from tsm_jax.models import cost

# Fields of a model that its weights depend on.
_SHAPE = (
  'name',
  'depth',
  'width',
  'stem',
  'downsample',
  'groups',
  'width_per_group',
  'width_multiplier',
  'num_frames',
  'non_local',
)


def text(repo, trained, content, license=''):
  """The model card, Markdown with a header of YAML.

  Args:
    repo: 'user/name'.
    trained: a `checkpoints.TrainedModel`.
    content: of `tsm_jax.json`: step, numbers, meta and files.
    license: such as 'apache-2.0', or ''.
  """
  meta, numbers = content['meta'], content['numbers']
  name, model = meta['config']['name'], trained.config
  parameters = cost.num_parameters(trained.variables['params'])
  shift = (
    'without a shift (TSN)'
    if model.shift == 'none'
    else f'with the shift {_code(model.shift)}, direction '
    f'{_code(model.direction)}'
  )
  kind = model.name
  if kind == 'resnet':
    kind = f'resnet, depth {model.depth}'
  return f"""---
{_header(repo, meta, numbers, license)}
---

# {_code(name)}

A network that recognises what happens in a video, trained by tsm_jax (Temporal
Shift Module, [Lin, Gan and Han, 2019](https://arxiv.org/abs/1811.08383)):
{kind}, {shift}, {model.num_frames} frames, {parameters:,} parameters, step
{content['step']}.

## Use

```bash
{_commands(repo, model)}
```

## Numbers

{_numbers(meta['config'], numbers)}

## Data

{_data(meta)}

## Preprocessing

{_table(_preprocessing(trained.preprocessing))}

## Labels

```json
{_labels(trained.labels)}
```

## Training

{_table(_training(meta))}

All fields are in `config.json`.

## Files

`pull` compares every file with its SHA-256, which `tsm_jax.json` has, too.

{_table(content['files'].items(), ('file', 'SHA-256'))}
"""


def _commands(repo, model):
  """What people do with the run."""
  folder, source = _folder(repo), '--config.data.source=/path/to/videos'
  main = 'python -m tsm_jax.main'
  fields = [
    f'--config.model.{k}={model[k]!r}'.replace("'", '').replace(' ', '')
    for k in _SHAPE
    if model[k] != models.DEFAULTS[k] or k == 'depth'
  ]
  return '\n'.join(
    (
      f'python -m tsm_jax.hub pull {repo} {folder}',
      f'python -m tsm_jax.predict {folder} clip.mp4',
      f'{main} --workdir {folder} --mode=eval {source}',
      f'{main} --config configs/folder.py {source} '
      f'--config.init_from={repo} {" ".join(fields)}',
    )
  )


def _header(repo, meta, numbers, license):
  """YAML; JSON is a part of it."""
  fields = {
    'library_name': 'tsm_jax',
    'pipeline_tag': 'video-classification',
    'tags': ['video-classification', 'temporal-shift-module', 'jax', 'flax'],
  }
  if license:
    fields['license'] = license
  metrics = [
    {'type': 'accuracy', 'name': shown, 'value': numbers[field]}
    for field, shown in (('top1', 'top-1'), ('top5', 'top-5'))
    if field in numbers
  ]
  if metrics:
    dataset = meta.get('dataset') or 'own clips'
    result = {
      'task': {'type': 'video-classification'},
      'dataset': {'type': 'other', 'name': dataset},
      'metrics': metrics,
    }
    name = repo.partition('/')[2]
    fields['model-index'] = [{'name': name, 'results': [result]}]
  return '\n'.join(f'{k}: {json.dumps(v)}' for k, v in fields.items())


def _numbers(config, numbers):
  if not numbers:
    return 'This step was not evaluated.'
  rows = []
  for field, value in sorted(numbers.items()):
    share = field.startswith('top') and 0 <= value <= 1
    rows.append((field, f'{value:.2%}' if share else f'{value:.6g}'))
  evaluated = config.get('eval', {})
  split = evaluated.get('split', 'val')
  return (
    f'Of the split {_code(split)}, while the run trained: {_views(evaluated)} '
    f'of every video.\n\n{_table(rows)}'
  )


def _views(evaluated):
  """What the logits of a video are the mean of, in words."""
  clips, crops = evaluated.get('clips', 1), evaluated.get('crops', 1)
  full = evaluated.get('full_resolution', False)
  size = ' at full resolution' * full
  if clips == crops == 1:
    return f'one clip and one {"" if full else "centre "}crop{size}'
  many = [
    f'{count} {what}{"s" if count > 1 else ""}'
    for count, what in ((clips, 'clip'), (crops, 'crop'))
  ]
  return f'the mean of {many[0]} with {many[1]}{size} each'


def _data(meta):
  data = meta['config']['data']
  rows = [
    ('dataset', meta.get('dataset') or 'not known'),
    ('source', data.get('source') or data.get('dataset') or 'not known'),
    ('classes', len(meta['labels'])),
  ]
  if folds := data.get('folds', 0):
    rows += [('folds', folds), ('fold held out', data['fold'])]
  else:
    rows += [
      ('share held out, without splits', data.get('holdout', 'not known')),
      ('seed of that', data.get('holdout_seed', 'not known')),
    ]
  return _table(rows)


def _preprocessing(preprocessing):
  return sorted(vars(preprocessing).items())


def _training(meta):
  config = meta['config']
  fields = ('epochs', 'batch_size', 'learning_rate', 'seed')
  rows = [(name, config[name]) for name in fields if name in config]
  start = meta.get('initialised_from')
  rows.append(('initialised from', json.dumps(start) if start else 'nothing'))
  versions = meta.get('versions', {})
  known = [k for k in ('tsm_jax', 'jax', 'python') if k in versions]
  return [*rows, *((f'version of {k}', versions[k]) for k in known)]


def _table(rows, head=('', '')):
  lines = [f'| {head[0]} | {head[1]} |', '|---|---|']
  lines += [f'| {name} | {_code(value)} |' for name, value in rows]
  return '\n'.join(lines)


def _labels(labels):
  shown = json.dumps(dict(enumerate(labels)), indent=1)
  return shown.replace('`', '\\u0060')  # none ends the block


def _code(value):
  """A value as it is, whatever Markdown would make of it."""
  shown = errors.printable(value).replace('`', "'").replace('|', '\\|')
  return f'`{shown}`' if shown else ''


def _folder(repo):
  return 'runs/' + repo.partition('/')[2]
