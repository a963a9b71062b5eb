"""`python -m edgesmith.data.scenes OUT.png [DIFFICULTY]`: scenes with their boxes, to look at."""

import sys
from pathlib import Path

import cv2

from edgesmith.data.scenes.generate import contact_sheet
from edgesmith.files import write_bytes

if __name__ == "__main__":
    target = Path(sys.argv[1])
    hardness = float(sys.argv[2]) if len(sys.argv) > 2 else 0.7
    sheet = contact_sheet(seed=0, side=192, difficulty=hardness, rows=4, columns=6)
    _, content = cv2.imencode(target.suffix, sheet[:, :, ::-1])
    write_bytes(target, content.tobytes())
