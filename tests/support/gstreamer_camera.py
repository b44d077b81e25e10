"""A server of RTSP by GStreamer: H.264 in RTP, as cameras of the network send.

As a program, run by the system's Python, it serves the film that it is given
and prints its port. The tests import it for `serving`.
"""

import contextlib
import subprocess
import sys

SYSTEM_PYTHON = '/usr/bin/python3'  # which has GStreamer's packages
_PACKAGES = 'gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good'
_PIPELINE = '( filesrc location="{}" ! qtdemux ! rtph264pay name=pay0 pt=96 )'


@contextlib.contextmanager
def serving(path):
  """The address at which a film is sent at its speed, to all who ask.

  Without GStreamer the test is skipped, but not in CI.
  """
  from support import lacking

  command = [SYSTEM_PYTHON, __file__, str(path)]
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    try:
      port = server.stdout.readline().strip()
      if not port:
        lacking.skip(f'needs GStreamer: apt-get install {_PACKAGES}')
      yield f'rtsp://127.0.0.1:{port}/door'
    finally:
      server.kill()


def main(path):
  import gi

  gi.require_version('Gst', '1.0')
  gi.require_version('GstRtspServer', '1.0')
  from gi.repository import GLib, Gst, GstRtspServer

  Gst.init(None)
  server = GstRtspServer.RTSPServer()
  server.set_service('0')  # any port
  factory = GstRtspServer.RTSPMediaFactory()
  factory.set_launch(_PIPELINE.format(path))
  server.get_mount_points().add_factory('/door', factory)
  server.attach(None)
  print(server.get_bound_port(), flush=True)
  GLib.MainLoop().run()


if __name__ == '__main__':
  main(sys.argv[1])
