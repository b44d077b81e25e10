"""Memory that viewers leave behind is found, and given back to the system."""

import contextlib
import ctypes
import gc


@contextlib.contextmanager
def watched():
  """Lets Python look for rubbish among what is made from now on only.

  It looks at all there is when a quarter of it may be rubbish, and a loaded JAX
  is a lot.
  """
  gc.freeze()
  gc.collect()  # counts what is not frozen
  try:
    yield
  finally:
    gc.unfreeze()


def give_back():
  """Gives memory that is not used back to the system, where C can (glibc)."""
  gc.collect()
  with contextlib.suppress(AttributeError, OSError):
    ctypes.CDLL(None).malloc_trim(0)
