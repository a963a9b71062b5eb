"""What the chain asks of detection beside training and measuring."""

from __future__ import annotations

import pytest
import torch

from edgesmith.params import Model
from edgesmith.tasks.detect import networks, task
from edgesmith.tasks.detect.blocks import SplitAttention
from edgesmith.tasks.detect.networks import Head
from edgesmith.tasks.task import boxes_of, task_of
from tests import tiny_detector as tiny


def model(head: Head = "one-to-one") -> Model:
    keys = {"architecture": "yolo26n", "dataset": "any", "input": tiny.SPEC}
    return Model(task="detect", head=head, **keys)


def test_maps_and_attention_keep_their_channels_by_reason() -> None:
    net = networks.build("yolo26n", 2, "one-to-one")
    fixed = task.fixed_channels(net)
    names = {name: fixed[module] for name, module in net.named_modules() if module in fixed}
    heads = [f"{kind}.{k}.2" for kind in ("boxes", "scores") for k in range(3)]
    heads += [f"other_{name}" for name in heads]

    assert {name for name in names if "layers" not in name} == set(heads)
    assert {names[name] for name in heads} == {"its outputs are the head's maps"}
    attention = {name: why for name, why in names.items() if "layers" in name}
    assert set(attention.values()) == {"attention divides its channels among heads"}
    assert {name.split(".attn.")[1] for name in attention} == {
        f"{part}.conv" for part in ("query", "key", "value", "pe", "proj")
    }
    assert len(attention) == 5 * sum(isinstance(m, SplitAttention) for m in net.modules())


def test_a_dropped_head_has_nothing_to_keep() -> None:
    net = tiny.network()
    before = len(task.fixed_channels(net))
    task.deploy(net)

    assert len(task.fixed_channels(net)) == before - 2 * 3


@pytest.mark.parametrize("head", ["one-to-one", "one-to-many"])
def test_a_model_is_built_with_its_head_and_classes(head: Head) -> None:
    net = task.build(model(head), 7)
    with torch.no_grad():
        maps = net.eval()(torch.zeros(1, 3, tiny.SIZE, tiny.SIZE))

    assert (net.head, boxes_of(model(head)).head) == (head, head)
    assert {level.shape[1] for level in maps} == {4, 7}


def test_weights_none_are_drawn_anew() -> None:
    torch.manual_seed(0)
    one = task.start(model(), "net", 2).state_dict()
    torch.manual_seed(0)
    other = task.build(model(), 2).state_dict()

    assert all(torch.equal(one[key], other[key]) for key in other)


def test_the_module_of_the_task_is_this_one() -> None:
    assert task_of("detect") is task
