"""The command: what it prints, refuses, and how it ends."""

import argparse
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from support import colours, commands, exported, serving
from tsm_jax import checkpoints, stream
from tsm_jax.data import intervals
from tsm_jax.serve import model, pictures, server
from tsm_jax.stream.events import rule_file, rules

RED = serving.encode(colours.frame('red'))


def reachable(port):
  try:
    socket.create_connection(('127.0.0.1', port), timeout=1).close()
  except OSError:
    return False
  return True


def watch_and_interrupt(port, told):
  """A viewer, in a thread, that sees Ctrl-C come."""
  end = time.monotonic() + 60
  while not reachable(port) and time.monotonic() < end:
    time.sleep(0.02)
  with contextlib.ExitStack() as stack:
    stack.callback(os.kill, os.getpid(), signal.SIGINT)
    client = stack.enter_context(serving.Client(f'127.0.0.1:{port}'))
    told += [client.hello, client.ask(0, RED)]
    stack.pop_all()
    os.kill(os.getpid(), signal.SIGINT)
    told.append(client.closed())
    client.socket.close()


def test_a_checkpoint_is_served_until_ctrl_c(workdir):
  port, told = commands.free_port(), []
  viewer = threading.Thread(target=watch_and_interrupt, args=(port, told))
  viewer.start()
  before = threading.active_count()
  done = commands.call('serve', workdir, f'--port={port}', '--slots=3')
  viewer.join()
  assert done.returncode == 130
  assert done.stdout == f'http://127.0.0.1:{port}/  (Ctrl-C ends)\n'
  assert 'A frame is shown every 0.25 s; events by the usual' in done.stderr
  assert done.stderr.endswith('Interrupted.\n')
  hello, answer, closed = told
  assert hello == {
    'labels': colours.LABELS,
    'interval': 0.25,
    'short_side': 256,
    'about': 'A model of 3 classes, which is shown a frame every 0.25 s.',
  }
  best, _ = max(answer['top'], key=lambda pair: pair[1])
  assert colours.LABELS[best] == 'red'
  assert closed == (1012, '')
  assert not reachable(port)
  assert threading.active_count() == before - 1


@pytest.fixture
def not_run(monkeypatch):
  """Compiles and serves nothing; what is printed before it is tested."""
  monkeypatch.setattr(stream.Session, 'compile', lambda _: None)
  monkeypatch.setattr(server, 'run', lambda *_: None)


def test_other_machines_need_a_token(workdir, not_run, monkeypatch):
  monkeypatch.setattr(socket, 'gethostname', lambda: 'desk')
  address = '--host=0.0.0.0', '--port=0'
  first = commands.call('serve', workdir, *address).stdout
  second = commands.call('serve', workdir, *address).stdout
  assert first.startswith('http://desk:')
  tokens = {text.split('#token=')[1].split()[0] for text in (first, second)}
  assert len(tokens) == 2
  assert min(map(len, tokens)) >= 32


def test_a_proxy_needs_a_token_of_ones_own_choice(
  workdir, not_run, monkeypatch
):
  allow = 'serve', workdir, '--port=0', '--allow_host=a.example'
  assert '#token=' in commands.call(*allow).stdout
  monkeypatch.setenv('TSM_JAX_TOKEN', 'mine')
  assert '#token=mine ' in commands.call(*allow).stdout
  monkeypatch.setenv('TSM_JAX_TOKEN', 'a+b/c&d=%20')  # as of openssl, and worse
  assert '#token=a%2Bb%2Fc%26d%3D%2520 ' in commands.call(*allow).stdout


def test_a_taken_port_is_found_before_the_model_is_read():
  with server.listen('127.0.0.1', 0) as listener:
    port = listener.getsockname()[1]
    done = commands.call('serve', 'nowhere', f'--port={port}')
  assert done.returncode == 2
  assert done.stderr == (
    f'error: Port {port} of 127.0.0.1 cannot be used: Address already in use; '
    'choose another one with --port, 0 for any that is free.\n'
  )


@pytest.mark.parametrize(
  'arguments, sentence',
  [
    (['nowhere'], "error: '{cwd}/nowhere' holds no checkpoint"),
    (['{workdir}', '--slots=0'], 'error: --slots is 0; it must be at least 1.'),
    (
      ['{workdir}', '--port=70000'],
      'error: --port is 70000; it must be at most',
    ),
    (['{workdir}', '--host=192.0.2.1'], 'error: Port 0 of 192.0.2.1 cannot'),
    (['{workdir}', '--background=green'], "error: The rule names the label 'g"),
    (['{workdir}', '--rule=none.json'], 'error: '),
    (['{workdir}', '--every=0'], 'error: --every is 0; it must be positive.'),
    (['{workdir}', '--prot=1'], 'error: There is no flag --prot; did you mean'),
  ],
)
def test_what_cannot_be_served_is_one_sentence(
  workdir, not_run, arguments, sentence
):
  arguments = [argument.format(workdir=workdir) for argument in arguments]
  done = commands.call('serve', '--port=0', *arguments)
  assert done.returncode == 2
  assert done.stdout == ''
  assert done.stderr.startswith(sentence.format(cwd=os.getcwd()))
  assert done.stderr.count('\n') == 1


def test_a_model_that_sees_the_future_is_refused(tmp_path, not_run):
  workdir = colours.save_model(tmp_path, direction='both')
  done = commands.call('serve', workdir, '--port=0')
  assert done.returncode == 2
  assert done.stderr.startswith("error: model.direction is 'both'")


def test_a_model_that_knows_no_interval_needs_one(
  workdir, not_run, monkeypatch
):
  monkeypatch.setattr(intervals, 'from_meta', lambda _: None)
  done = commands.call('serve', workdir, '--port=0')
  assert (done.returncode, '--every' in done.stderr) == (2, True)
  done = commands.call('serve', workdir, '--port=0', '--fps=5')
  assert 'A frame is shown every 0.2 s' in done.stderr


def test_an_export_answers_as_its_checkpoint(export, make_session):
  expected = make_session(1)
  expected.add('')
  args = argparse.Namespace(
    **dict(model=export, rule='', background=[], bgr=False, slots=2),
    **dict(every=None, fps=None),
  )
  served = model.load(args, lambda _: None)
  assert (served.interval, served.hello['short_side']) == (0.25, 256)
  with (
    serving.running(served.session) as running,
    serving.Client(running.address) as client,
  ):
    for number, label in enumerate(['red', 'red', 'idle', 'red', 'blue']):
      jpeg = serving.encode(colours.frame(label))
      answer = client.ask(0.25 * number, jpeg)
      frame = pictures.decode(jpeg)
      scores = expected.step({'': frame}, {'': 0.25 * number})[''].probabilities
      for index, score in answer['top']:
        assert score == pytest.approx(scores[index], abs=1e-5)
  expected.remove('')


@pytest.mark.parametrize(
  'flags, origin',
  [
    ([], 'the rule in card.json'),
    (['--background=blue'], 'the rule in card.json'),
    (['--rule=default'], 'the usual rule, which is not tuned'),
  ],
)
def test_the_rule_of_an_export(export, not_run, flags, origin):
  done = commands.call('serve', export, '--port=0', *flags)
  assert f'events by {origin}.' in done.stderr
  assert done.returncode == 0


def test_the_rule_of_a_file_on_an_export(export, not_run, tmp_path):
  path = tmp_path / 'rule.json'
  rule_file.write(path, rules.Rule(), colours.LABELS, list='a.csv', step=3)
  done = commands.call('serve', export, '--port=0', f'--rule={path}')
  assert f'events by the rule in {path}, tuned on a.csv' in done.stderr


def test_an_export_of_clips_is_refused(workdir, tmp_path, not_run):
  trained = checkpoints.restore_model(workdir)
  out = exported.write(tmp_path / 'out', trained, 'clip')
  done = commands.call('serve', out, '--port=0')
  assert done.returncode == 2
  assert '--what=step' in done.stderr
