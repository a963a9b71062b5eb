"""Object detection: build a network, train it, measure it. Ultralytics (AGPL-3.0) stays in here."""

import os
import tempfile

# Read by Ultralytics when it is imported: install nothing, ask no server, print nothing, and keep
# its settings file out of the user's home.
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_VERBOSE", "false")
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
