"""Runs on clips of several labels: trained, stopped, evaluated, asked."""

import json

import chex
import numpy as np
import pytest

from support import helpers, listed, ranked, trainings
import tsm_jax
from tsm_jax import errors, evaluate, main
from tsm_jax.convert import __main__ as convert
from tsm_jax.ensemble import __main__ as ensemble
from tsm_jax.export import __main__ as export
from tsm_jax.insight import run_report
from tsm_jax.predict import __main__ as predict
from tsm_jax.program import metrics, predictions
from tsm_jax.runs import request
from tsm_jax.stream import __main__ as stream
from tsm_jax.stream import session

LABELS = ['bright', 'green', 'red']


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  trainings.on_devices(monkeypatch, 1)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """Red or green clips, of which some are bright, too."""
  root = tmp_path_factory.mktemp('list')
  rows = []
  for number in range(24):
    color = number % 2
    path = root / f'{number}.mp4'
    helpers.write_video(path, 4, seed=number, bright=color)
    labels = ['red', 'green'][color] + ('|bright' if number % 3 else '')
    split = 'val' if number >= 18 else 'train'
    rows.append((path.name, labels, split))
  return listed.write_csv(root / 'a.csv', rows, ('path', 'label', 'split'))


def config(source, data_dir, **changes):
  usual = {
    'data__multi_label': True,
    'data__flip': 'on',
    'model__direction': 'past',
    'epochs': 4.0,
    'eval__every_epochs': 1.0,
    'checkpoint__every_steps': 2,
  }
  return helpers.tiny_config(source, data_dir, **{**usual, **changes})


@pytest.fixture(scope='module')
def trained(source, data_dir, tmp_path_factory):
  """`(workdir, state, result, log)`."""
  with pytest.MonkeyPatch.context() as patch:
    trainings.on_devices(patch, 1)
    workdir = tmp_path_factory.mktemp('runs') / 'multi'
    return workdir, *trainings.run(config(source, data_dir), workdir, True)


def test_what_it_says_follows_from_its_predictions(trained):
  workdir, _, result, log = trained
  assert 'Clips may have several labels' in log
  assert f'mAP {result.score:.2%}; the report is' in log
  rows = listed.read_csv(workdir / predictions.FILE)
  logits = np.array([row['logits'].split() for row in rows], float)
  truth = np.array(
    [[name in row['label'].split('|') for name in LABELS] for row in rows]
  ).astype(int)
  assert truth.sum() > len(rows) == 6
  found = [
    ranked.average_precision(logits[:, k], truth[:, k].tolist())
    for k in range(3)
  ]
  np.testing.assert_allclose(result.precisions, found)
  assert result.score == pytest.approx(np.mean(found))
  p = 1 / (1 + np.exp(-logits))
  losses = -truth * np.log(p) - (1 - truth) * np.log(1 - p)
  assert result.loss == pytest.approx(losses.mean(), rel=1e-4)
  best = logits.argmax(1)
  assert result.top1 == truth[np.arange(6), best].mean()
  for row, each in zip(rows, p):  # they need not add up to 1
    assert float(row['p1']) == pytest.approx(each.max(), rel=1e-4)
  last = [r for r in metrics.read(workdir) if 'eval/map' in r][-1]
  assert last['eval/map'] == pytest.approx(result.score)
  page = (workdir / 'report.md').read_text()
  assert f'mAP {result.score:.2%}, top-1 {result.top1:.2%}' in page
  assert '| bright |' in page


def test_the_page_says_why_a_run_ended_early(trained, tmp_path):
  workdir, _, result, _ = trained
  page = (workdir / 'report.md').read_text()
  assert 'The run ends' not in page
  config = json.loads((workdir / 'config.json').read_text())
  config['eval']['patience'] = 2
  (tmp_path / 'config.json').write_text(json.dumps(config))
  lines = [
    {'step': step, 'eval/map': score, 'eval/top1': 1.0, 'eval/loss': 1.0}
    for step, score in ((2, 0.5), (4, 0.75), (6, 0.75), (8, 0.625))
  ]
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, lines)))
  page = run_report.write(tmp_path, LABELS, result).read_text()
  assert (
    'The run ends at step 8: in the last 2 evaluations, mean average precision '
    "on 'val' has not been above the 75.00% of step 4"
  ) in page


def test_the_best_model_is_that_of_highest_map(trained):
  workdir, *_ = trained
  scores = {
    r['step']: r['eval/map'] for r in metrics.read(workdir) if 'eval/map' in r
  }
  assert len(scores) > 2
  (best,) = [int(p.name) for p in (workdir / 'best').iterdir()]
  assert scores[best] == max(scores.values())
  rows = listed.read_csv(workdir / predictions.BEST)
  assert {int(row['step']) for row in rows} == {best}


def test_a_stopped_run_goes_on_as_if_it_had_not(
  source, data_dir, trained, tmp_path, monkeypatch
):
  workdir, state, result, _ = trained
  trainings.terminate_at(monkeypatch, 4)
  with pytest.raises(SystemExit):
    trainings.run(config(source, data_dir), tmp_path)
  monkeypatch.undo()
  trainings.on_devices(monkeypatch, 1)
  again, found, log = trainings.run(config(source, data_dir), tmp_path)
  assert 'Continuing' in log
  chex.assert_trees_all_equal(again.params, state.params)
  assert found.score == result.score
  assert trainings.losses(tmp_path) == trainings.losses(workdir)


def test_its_evaluation_needs_the_workdir_only(trained):
  workdir, _, result, _ = trained
  main.main(['--workdir', str(workdir), '--mode=eval'])
  report = json.loads((workdir / 'eval_val.json').read_text())
  assert report['map'] == pytest.approx(result.score)
  assert report['loss'] == pytest.approx(result.loss, rel=1e-5)
  assert list(report['per_class']) == LABELS
  np.testing.assert_allclose(
    list(report['per_class'].values()), result.precisions
  )


def test_predict_gives_each_label_its_own_probability(trained, source, capsys):
  workdir, _, result, _ = trained
  path = source.parent / result.clips[0]
  model = tsm_jax.load(workdir)
  assert request.multi_label(model)
  found = {p.label: p.probability for p in model.predict(path)}
  expected = 1 / (1 + np.exp(-result.logits[0]))
  np.testing.assert_allclose(
    [found[name] for name in LABELS], expected, rtol=1e-3
  )
  predict.main([str(workdir), str(path), '--json'])
  (row,) = json.loads(capsys.readouterr().out)
  assert {p['label']: p['probability'] for p in row['predictions']} == found


def test_a_file_of_its_weights_keeps_its_sigmoids(
  trained, source, tmp_path, capsys
):
  workdir, _, result, _ = trained
  out, again = tmp_path / 'handed_over.pth', tmp_path / 'again'
  convert.main([str(workdir), str(out)])
  assert 'each class has a sigmoid of its own' in capsys.readouterr().out
  convert.main([str(out), str(again)])
  path = source.parent / result.clips[0]
  one, other = (tsm_jax.load(run).predict(path) for run in (workdir, again))
  assert [p.label for p in one] == [p.label for p in other]
  np.testing.assert_allclose(
    *([p.probability for p in found] for found in (one, other)), rtol=1e-5
  )


def test_data_of_one_label_are_not_evaluated(trained, source, data_dir):
  workdir, *_ = trained
  one = config(
    source, data_dir, data__multi_label=False, data__max_excluded=1.0
  )
  with pytest.raises(errors.InputError, match='trained for several labels'):
    evaluate.evaluate_checkpoint(one, workdir)
  with pytest.raises(errors.InputError, match='multi_label is False, but the'):
    evaluate.evaluate_checkpoint(one, workdir, asked={'data.multi_label'})


@pytest.mark.parametrize(
  ('main', 'args'),
  [
    (stream.main, ['tune', 'RUN', 'LIST']),
    (predict.main, ['RUN', 'LIST', '--stream']),
    (export.main, ['RUN', 'OUT', '--format=onnx']),
    (ensemble.main, ['RUN', 'RUN']),
  ],
)
def test_what_needs_a_softmax_refuses_it(
  trained, source, tmp_path, capsys, main, args
):
  places = {'RUN': trained[0], 'LIST': source, 'OUT': tmp_path / 'out'}
  with pytest.raises(SystemExit) as ended:
    main([str(places.get(arg, arg)) for arg in args])
  assert ended.value.code == 2
  assert 'models of one label per clip' in capsys.readouterr().err


def test_a_session_refuses_it(trained):
  model = tsm_jax.load(trained[0])
  with pytest.raises(errors.InputError, match='streams are for models of one'):
    session.Session(model)
