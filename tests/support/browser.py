"""A real browser, for pages that the tests open."""

import shutil
import subprocess

from support import lacking

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


def find():
  """The browser's path; without one the test is skipped, but not in CI."""
  found = next(filter(None, map(shutil.which, NAMES)), None)
  if found is None:
    lacking.skip('needs Chromium, for example: apt-get install chromium')
  return found


def show(url, folder, *options):
  """What the browser prints about a page, by default nothing.

  Args:
    url: of the page.
    folder: for its profile and whatever it writes.
    *options: of the browser: '--dump-dom' prints the page as it is after its
      scripts ran, '--screenshot=FILE' draws it.
  """
  command = [
    find(),
    *('--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'),
    *('--disable-background-networking', '--disable-dev-shm-usage'),
    f'--user-data-dir={folder / "profile"}',
    *options,
    str(url),
  ]
  done = subprocess.run(
    command, capture_output=True, text=True, timeout=120, cwd=folder
  )
  assert done.returncode == 0, done.stderr
  return done.stdout
