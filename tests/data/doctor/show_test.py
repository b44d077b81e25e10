import io

from rich import console

from tsm_jax.data.doctor import __main__ as doctor
from tsm_jax.data.doctor import diagnosis, findings, page


def test_names_cannot_move_the_cursor(tmp_path):
  found = diagnosis.Diagnosis(
    source='a\x1b[2Jb',
    findings=[findings.Finding('static', ['[red]x\x1b[1A\n.mp4'], 'ü [/]')],
    splits={},
    classes={'[b]': {'train': 1}},
    notes=['note\x07 [bold]'],
    clips={},
    examples={},
  )
  file = io.StringIO()
  doctor.show(found, console.Console(file=file, width=100))
  text = file.getvalue()
  assert '\x1b' not in text and '\x07' not in text
  assert r'[red]x\x1b[1A\n.mp4' in text and 'ü [/]' in text
  assert r'note\x07 [bold]' in text
  # A page of it, too, although no clip is left to show.
  assert '<img' not in page.render(found)


def test_a_name_that_is_no_text_can_be_written(tmp_path):
  path = tmp_path / 'page.html'
  doctor._write(path, 'a\udcffü')
  assert path.read_text() == 'a\\udcffü'
  assert [p.name for p in tmp_path.iterdir()] == ['page.html']
