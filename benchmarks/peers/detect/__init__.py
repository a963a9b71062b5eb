"""Our detectors beside Ultralytics' exports of them: `python -m benchmarks.peers.detect`.

Ultralytics (AGPL-3.0) is called here and never on a device.
"""

# Sets what Ultralytics reads when it is imported, which must not be before.
import edgesmith.tasks.detect  # noqa: F401
