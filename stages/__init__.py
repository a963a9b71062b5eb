"""One page per DVC stage.

Set before torch loads OpenMP: waiting workers spin for microseconds, then sleep. A training step of
MobileNetV2 (batch 32, 48 px, two threads on two cores) took 0.11 s so, 0.18 s without spinning, and
1.3 s with libgomp's own default while another process wanted the cores.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
