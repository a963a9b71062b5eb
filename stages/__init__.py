"""One page per DVC stage.

Set before torch loads OpenMP: waiting workers spin for microseconds, then sleep. On two cores that
other processes shared now and then, a training step of MobileNetV2 (batch 32, 48 px, two threads)
took 0.11 s so, 0.18 s without spinning and 1.3 s with libgomp's own default.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
