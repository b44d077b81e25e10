"""The real client of the hub, set to ask a server of the tests."""


def use(monkeypatch, hub, cache):
  """Lets the client ask this server, with an empty cache and no token."""
  from huggingface_hub import constants

  template = hub.url + '/{repo_id}/resolve/{revision}/{filename}'
  for name, value in (
    ('ENDPOINT', hub.url),
    ('HUGGINGFACE_CO_URL_TEMPLATE', template),
    ('HF_HUB_CACHE', str(cache)),
    ('HF_TOKEN_PATH', str(cache / 'no_token')),
    ('HF_HUB_DISABLE_XET', True),
    ('HF_HUB_OFFLINE', False),
    ('HF_HUB_DISABLE_TELEMETRY', True),
  ):
    monkeypatch.setattr(constants, name, value)
  monkeypatch.setenv('HF_HUB_DISABLE_XET', '1')
  monkeypatch.delenv('HF_TOKEN', raising=False)
