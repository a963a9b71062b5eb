"""All cells side by side.

metrics/{accuracy,bench/host,export,sensitivity}, devices/host/device.json
-> metrics/{strategies.json, comparison.md, active.json, strategies.png, sizes.png}
"""

from pathlib import Path

from edgesmith import files
from edgesmith.device import fingerprint
from edgesmith.params import load_params
from edgesmith.report import compare, sensitivity, sizes
from edgesmith.report.cells import read_cells
from edgesmith.report.formats import read_costs
from edgesmith.report.plot import strategies_png
from edgesmith.report.runtimes import read_runtimes
from edgesmith.report.sizes_plot import sizes_png
from stages._run import main


def run() -> None:
    params = load_params()
    metrics = Path("metrics")
    device = fingerprint.read(Path("devices/host/device.json"))
    cells = read_cells(params, metrics, device)
    files.write_json(metrics / "strategies.json", compare.strategies(cells))
    files.write_json(metrics / "active.json", compare.active(cells, params))
    compared = read_runtimes(params.runtimes, metrics, device)
    costs = read_costs(cells, metrics)
    report = compare.markdown(cells, params, device, compared, costs)
    layers = sensitivity.markdown(sensitivity.read_all(list(params.sensitivity)))
    lines = sizes.find(cells, params)
    report += sizes.markdown(lines, params)
    files.write_text(metrics / "comparison.md", report + layers)
    files.write_bytes(metrics / "strategies.png", strategies_png(cells))
    files.write_bytes(metrics / "sizes.png", sizes_png(lines))


if __name__ == "__main__":
    main(run)
