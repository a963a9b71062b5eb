"""Build a network with its start weights, untrained or pretrained: params -> models/<model>."""

from pathlib import Path

import torch

from edgesmith.data.index import read_index
from edgesmith.errors import ParamsError
from edgesmith.files import output_folder
from edgesmith.params import load_params
from edgesmith.tasks import store
from edgesmith.tasks.count import count
from edgesmith.tasks.task import task_of
from stages._run import main


def run(name: str) -> None:
    params = load_params()
    if name not in params.models:
        raise ParamsError(f"params.yaml: models.{name} is not defined")
    model = params.models[name]
    labels = read_index(Path("data") / model.dataset).labels
    torch.manual_seed(params.seed)
    net = task_of(model.task).start(model, name, len(labels))
    parameters, macs = count(net, model.input.height, model.input.width)
    card = store.Card(
        name=name,
        task=model.task,
        model=name,
        network=model,
        labels=labels,
        layers=store.layers_of(net),
        parent=None,
        parent_sha256=None,
        step="init",
        trained={},
        params=parameters,
        macs=macs,
    )
    with output_folder(Path("models") / name) as folder:
        store.save(folder, net, card)


if __name__ == "__main__":
    main(run)
