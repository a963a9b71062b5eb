"""GStreamer's RTSP server with a test picture; run by the system's Python, which has its bindings.

Takes a port (0 for a free one) and prints the one that it has. `--check` tells whether it can run.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURE = "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1"
H264 = "openh264enc gop-size=5 ! rtph264pay name=pay0 pt=96"
JPEG = "jpegenc ! rtpjpegpay name=pay0 pt=26"

Gst.init(None)
if "--check" in sys.argv:
    needed = ("videotestsrc", "jpegenc", "rtpjpegpay")
    sys.exit(not all(Gst.ElementFactory.find(name) for name in needed))
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
encode = H264 if Gst.ElementFactory.find("openh264enc") else JPEG
factory.set_launch(f"( {PICTURE} ! {encode} )")
factory.set_shared(True)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
