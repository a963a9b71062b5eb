"""`python -m edgesmith.data.signs OUT.jpg [DIFFICULTY]`: a sheet of sample images to look at."""

import sys
from pathlib import Path

import cv2

from edgesmith.data.signs.generate import contact_sheet
from edgesmith.files import write_bytes

if __name__ == "__main__":
    target = Path(sys.argv[1])
    hardness = float(sys.argv[2]) if len(sys.argv) > 2 else 0.8
    sheet = contact_sheet(seed=0, side=64, difficulty=hardness, rows=6)
    _, content = cv2.imencode(target.suffix, sheet[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    write_bytes(target, content.tobytes())
