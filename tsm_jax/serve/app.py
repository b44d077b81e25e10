"""The addresses of the server: a table of the page's files, and three more."""

import pathlib

from starlette import applications, responses, routing

from tsm_jax.serve import live, metrics

PAGE = pathlib.Path(__file__).parent / 'page'
# Nothing else can be fetched: no path becomes a file's name.
FILES = (
  'index.html',
  'style.css',
  *('main.js', 'page.js', 'view.js', 'timeline.js'),
  *('source.js', 'pace.js', 'live.js'),
)
_TYPES = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
}


def create(slots, gate, counted, hello):
  """The application.

  Args:
    slots: a `slots.Slots`.
    gate: a `gate.Gate`.
    counted: a `metrics.Metrics`.
    hello: see `live.Live`.

  Returns:
    An ASGI application.
  """

  talking = live.Live(slots, gate, counted, hello)

  async def health(request):
    del request
    if slots.error:
      return responses.PlainTextResponse('the model failed\n', 503)
    return responses.PlainTextResponse('ok\n')

  async def numbers(request):
    if not gate.knows_bearer(request.headers):
      return responses.PlainTextResponse(
        'The token is missing or wrong: Authorization: Bearer TOKEN.\n',
        401,
        {'WWW-Authenticate': 'Bearer'},
      )
    return responses.Response(counted.text(), media_type=metrics.CONTENT_TYPE)

  found = [
    *(_file(name) for name in FILES),
    routing.Route('/healthz', health),
    routing.Route('/metrics', numbers),
    routing.WebSocketRoute('/live', talking.follow),
  ]
  application = applications.Starlette(routes=found)
  application.router.redirect_slashes = False
  return gate.middleware(application)


def _file(name):
  """The address of one of the page's files, which is read now."""
  path = PAGE / name
  content = path.read_bytes()

  async def get(request):
    del request
    return responses.Response(
      content, media_type=f'{_TYPES[path.suffix]}; charset=utf-8'
    )

  return routing.Route('/' if name == 'index.html' else f'/{name}', get)
