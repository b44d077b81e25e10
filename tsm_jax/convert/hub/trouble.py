"""What goes wrong with the hub, in one sentence."""

import contextlib

from tsm_jax import errors

_LOGIN = 'log in by `hf auth login`, or set HF_TOKEN'


class AwayError(Exception):
  """The hub cannot be reached; the cache may help."""


@contextlib.contextmanager
def explained(named, action='read'):
  """Turns what the client of the hub raises into an InputError.

  Args:
    named: a `names.Named`.
    action: 'read' or 'write to', what is being done.

  Raises:
    InputError: with the reason and a remedy.
    AwayError: if the hub does not answer, or must not be asked.
  """
  from huggingface_hub import constants
  from huggingface_hub import errors as problems

  repo, endpoint = named.repo, constants.ENDPOINT
  try:
    yield
  except problems.GatedRepoError as error:
    raise errors.InputError(
      f'{repo} is given only to those who have accepted its terms, at '
      f'{endpoint}/{repo}; then {_LOGIN}.'
    ) from error
  except problems.RevisionNotFoundError as error:
    raise errors.InputError(
      f'{repo} has no revision {named.revision!r}; leave it out for the newest.'
    ) from error
  except problems.RepositoryNotFoundError as error:
    raise errors.InputError(
      f'{endpoint} shows no model {repo}: there is none (a name is user/model, '
      f'for example timm/resnet50.a1_in1k), or it is private; then {_LOGIN}.'
    ) from error
  except problems.LocalEntryNotFoundError as error:
    raise AwayError(_away(constants, error)) from error
  except problems.HfHubHTTPError as error:
    raise _of_status(error, repo, endpoint, action) from error
  except (OSError, ValueError) as error:
    # Of a network, and of a file whose size is not the stated one.
    if isinstance(error, ConnectionError):
      raise AwayError(_away(constants, error)) from error
    raise errors.InputError(
      f'It failed to {action} {repo}: {_first_line(error)}'
    ) from error
  except RuntimeError as error:  # of a file that is written
    raise errors.InputError(
      f'{error} ({_first_line(error.__cause__ or error)})'
    ) from error
  except problems.HTTPError as error:
    raise AwayError(_away(constants, error)) from error


def _of_status(error, repo, endpoint, action):
  status = error.response.status_code
  if status in (401, 403):
    return errors.InputError(
      f'{endpoint} does not let you {action} {repo} (status {status}); '
      f'{_LOGIN} with a token that may.'
    )
  if status >= 500 or status == 429:
    return AwayError(f'The hub ({endpoint}) answers with status {status}')
  return errors.InputError(
    f'{endpoint} answers with status {status} about {repo}: '
    f'{_first_line(error)}'
  )


def _away(constants, error):
  if constants.HF_HUB_OFFLINE:
    return 'HF_HUB_OFFLINE is set, so that the hub is not asked'
  return (
    f'The hub ({constants.ENDPOINT}) cannot be reached '
    f'({_first_line(error.__cause__ or error)})'
  )


def _first_line(error):
  return errors.printable(str(error).strip().partition('\n')[0])


def not_found():
  """What the client raises for a repository that it is not shown."""
  from huggingface_hub import errors as problems

  return problems.RepositoryNotFoundError
