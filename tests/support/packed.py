"""Packages as npm writes them, with content of our own."""

import base64
import hashlib
import io
import tarfile

from tsm_jax.serve import web_runtime

NAMES = {
  *('LICENCE.txt', 'index.js', 'wasm_utils.js'),
  *('litert_wasm_internal.js', 'litert_wasm_internal.wasm'),
  *('litert_wasm_compat_internal.js', 'litert_wasm_compat_internal.wasm'),
}
INDEX = b'import {createWasmLib} from "@litertjs/wasm-utils";'


def archive(members):
  """The bytes of an archive of these members."""
  content = io.BytesIO()
  with tarfile.open(fileobj=content, mode='w:gz') as file:
    for name, data in members.items():
      member = tarfile.TarInfo(name)
      member.size = len(data)
      file.addfile(member, io.BytesIO(data))
  return content.getvalue()


def write(folder, monkeypatch):
  """Writes small packages in the place of the real ones; returns the folder."""
  folder.mkdir(parents=True, exist_ok=True)
  packages = []
  for package in web_runtime.PACKAGES:
    members = {
      f'package/{name}': INDEX if name.endswith('index.js') else name.encode()
      for name in package.members
    }
    content = archive({'../evil.js': b'', **members, 'package/more.js': b''})
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    packages.append(package._replace(sha512=digest))
    (folder / package.file).write_bytes(content)
  monkeypatch.setattr(web_runtime, 'PACKAGES', tuple(packages))
  return folder
