"""A small server of the hub's protocol, for the real client.

It keeps repositories in memory: large files (`LARGE`) behind a redirect and by
their SHA-256, others as git has them.
"""

import base64
import contextlib
import dataclasses
import hashlib
import json
import threading
import time

from starlette import applications, responses, routing
import uvicorn

LARGE = ('.safetensors', '.bin', '.png')
TOKEN = 'hf_tests'


@dataclasses.dataclass
class Repo:
  """A repository: its files by name, and whether it needs the token."""

  files: dict = dataclasses.field(default_factory=dict)
  private: bool = False

  @property
  def commit(self):
    hashes = [(k, hashlib.sha1(v).hexdigest()) for k, v in self.files.items()]
    return hashlib.sha1(repr(sorted(hashes)).encode()).hexdigest()


class Hub:
  """The state of a server.

  Attributes:
    url: of it.
    repos: `Repo` by 'user/name'.
    asked: 'METHOD /path' of all requests.
    wrong: content to send instead of that of a SHA-256.
    cut: how many bytes of a large file are sent before the connection ends, of
      the next request; 0: all.
  """

  def __init__(self):
    self.url, self.repos, self.asked = '', {}, []
    self.objects, self.wrong, self.cut = {}, {}, 0

  def add(self, name, files, private=False):
    """Adds a repository."""
    self.repos[name] = Repo(dict(files), private)
    for content in files.values():
      self.objects[hashlib.sha256(content).hexdigest()] = content
    return self.repos[name]

  @property
  def cdn(self):
    """Its address as that of another host, as large files have."""
    return self.url.replace('127.0.0.1', 'localhost')

  def app(self):
    route, model = routing.Route, '/{user}/{name}'
    api = f'/api/models{model}'
    return applications.Starlette(
      routes=[
        route('/api/repos/create', self._create, methods=['POST']),
        route('/api/validate-yaml', self._validate, methods=['POST']),
        route('/lfs/{oid}', self._put, methods=['PUT']),
        route('/cdn/{oid}', self._large),
        route(f'{api}/preupload/{{revision}}', self._modes, methods=['POST']),
        route(f'{api}/commit/{{revision}}', self._commit, methods=['POST']),
        route(f'{api}/revision/{{revision}}', self._info),
        route(api, self._info),
        route(
          f'{model}.git/info/lfs/objects/batch', self._batch, methods=['POST']
        ),
        route(f'{model}/resolve/{{revision}}/{{path:path}}', self._resolve),
      ]
    )

  def _repo(self, request):
    """`(repo, refusal)`; one of them is None."""
    self.asked.append(f'{request.method} {request.url.path}')
    repo = self.repos.get('{user}/{name}'.format(**request.path_params))
    known = request.headers.get('authorization') == f'Bearer {TOKEN}'
    writes = request.method == 'POST'
    if repo is None or (repo.private and not known) or (writes and not known):
      # As the hub does, which does not tell a private one from none.
      return None, _error('RepoNotFound', 'Repository not found', 401)
    revision = request.path_params.get('revision', 'main')
    if not writes and revision not in ('main', repo.commit):
      return None, _error('RevisionNotFound', 'Invalid rev id', 404)
    return repo, None

  async def _info(self, request):
    repo, refusal = self._repo(request)
    if refusal:
      return refusal
    return responses.JSONResponse(
      {
        'id': '{user}/{name}'.format(**request.path_params),
        'sha': repo.commit,
        'private': repo.private,
        'siblings': [{'rfilename': name} for name in repo.files],
      }
    )

  async def _resolve(self, request):
    repo, refusal = self._repo(request)
    if refusal:
      return refusal
    name = request.path_params['path']
    if name not in repo.files:
      return _error('EntryNotFound', 'Entry not found', 404)
    content = repo.files[name]
    headers = {'X-Repo-Commit': repo.commit}
    if name.endswith(LARGE):
      oid = hashlib.sha256(content).hexdigest()
      headers |= {
        'X-Linked-Etag': f'"{oid}"',
        'Location': f'{self.cdn}/cdn/{oid}',
      }
      headers['X-Linked-Size'] = str(len(content))
      return responses.Response('', 302, headers)
    headers['ETag'] = f'"{git_hash(content)}"'
    return responses.Response(self.wrong.get(content, content), 200, headers)

  async def _large(self, request):
    self.asked.append(f'{request.method} {request.headers.get("range", "")}')
    assert 'authorization' not in request.headers  # another host
    oid = request.path_params['oid']
    content = self.wrong.get(oid, self.objects[oid])
    start = int(request.headers.get('range', 'bytes=0-')[6:].partition('-')[0])
    cut, self.cut = self.cut, 0
    headers = {
      'Content-Length': str(len(content) - start),
      'Content-Range': f'bytes {start}-{len(content) - 1}/{len(content)}',
    }

    async def stream():
      yield content[start : cut or None]
      if cut:
        raise ConnectionError('cut')

    return responses.StreamingResponse(
      stream(), 206 if start else 200, headers=headers
    )

  async def _create(self, request):
    self.asked.append('CREATE')
    if request.headers.get('authorization') != f'Bearer {TOKEN}':
      return _error('', 'Invalid username or password.', 401)
    asked = await request.json()
    name = f'{asked.get("organization") or "me"}/{asked["name"]}'
    if name in self.repos:
      return _error('', 'You already created this model repo', 409)
    self.add(
      name, {}, asked.get('private', asked.get('visibility') != 'public')
    )
    return responses.JSONResponse({'url': f'{self.url}/{name}'})

  async def _validate(self, request):
    del request
    return responses.JSONResponse({'errors': [], 'warnings': []})

  async def _modes(self, request):
    _, refusal = self._repo(request)
    if refusal:
      return refusal
    found = [
      {
        'path': file['path'],
        'uploadMode': 'lfs' if file['path'].endswith(LARGE) else 'regular',
        'shouldIgnore': False,
      }
      for file in (await request.json())['files']
    ]
    return responses.JSONResponse({'files': found})

  async def _batch(self, request):
    _, refusal = self._repo(request)
    if refusal:
      return refusal
    objects = [
      {**x, 'actions': {'upload': {'href': f'{self.url}/lfs/{x["oid"]}'}}}
      for x in (await request.json())['objects']
    ]
    return responses.JSONResponse({'transfer': 'basic', 'objects': objects})

  async def _put(self, request):
    content = await request.body()
    assert hashlib.sha256(content).hexdigest() == request.path_params['oid']
    self.objects[request.path_params['oid']] = content
    return responses.Response()

  async def _commit(self, request):
    repo, refusal = self._repo(request)
    if refusal:
      return refusal
    for line in (await request.body()).splitlines():
      item = json.loads(line)
      value = item['value']
      if item['key'] == 'file':
        repo.files[value['path']] = base64.b64decode(value['content'])
      elif item['key'] == 'lfsFile':
        repo.files[value['path']] = self.objects[value['oid']]
    name = '{user}/{name}'.format(**request.path_params)
    url = f'{self.url}/{name}/commit/{repo.commit}'
    return responses.JSONResponse({'commitUrl': url, 'commitOid': repo.commit})


def git_hash(content):
  return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()


def _error(code, message, status):
  headers = {'X-Error-Code': code, 'X-Error-Message': message}
  return responses.JSONResponse({'error': message}, status, headers)


@contextlib.contextmanager
def running():
  """Serves a `Hub` in this process; yields it."""
  hub = Hub()
  config = uvicorn.Config(hub.app(), port=0, log_level='critical', ws='none')
  server = uvicorn.Server(config)
  thread = threading.Thread(target=server.run)
  thread.start()
  try:
    while not server.started:
      time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    hub.url = f'http://127.0.0.1:{port}'
    hub.stop = lambda: (setattr(server, 'should_exit', True), thread.join())
    yield hub
  finally:
    server.should_exit = True
    thread.join()
