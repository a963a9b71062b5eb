"""`python -m edgesmith.data.signs OUT.png [DIFFICULTY]`: a sheet of sample images to look at."""

import sys
from pathlib import Path

from edgesmith.data.png import encode_png
from edgesmith.data.signs.generate import contact_sheet
from edgesmith.files import write_bytes

if __name__ == "__main__":
    target = Path(sys.argv[1])
    hardness = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5
    write_bytes(target, encode_png(contact_sheet(seed=1, side=64, difficulty=hardness, columns=8)))
