"""The HEF reader on files that the test writes; no vendor code ran, no network is in them."""

import json
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.hef.errors import HefError
from edgesmith.hef.read import read
from tests.hef import files

HEADERS = {0: 32, 1: 28, 2: 44, 3: 56}
VERSIONS = list(HEADERS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("group", [files.old_group, files.new_group])
def test_every_container_version_and_both_layouts_say_the_same(
    version: int, group, tmp_path: Path
) -> None:
    path = files.write(tmp_path / "net.hef", version, files.description(group()))
    found = read(path)
    (net,) = found.network_groups
    image, (logits, boxes) = net.inputs[0], net.outputs

    assert found.container == version and found.size_bytes == path.stat().st_size
    assert found.checksum == ["md5", "crc32", "xxh3_64", "xxh3_64"][version]
    assert found.hw_arch == "hailo8l" and found.runs_on == ["HAILO8L", "HAILO8"]
    assert found.dfc_version == "3.33.0" and found.created == 1_700_000_000
    assert (net.name, net.networks, net.contexts) == ("net", ["net/net"], 2)
    assert len(net.inputs) == 1 and image.name == "net/input_layer1"
    assert image.shape == [48, 48, 3] and image.padded == [48, 48, 4] and image.order == "NHWC"
    assert (image.bits, image.scale, image.zero_point) == (8, 1, 0) and image.limits == (0, 255)
    assert logits.shape == [1, 1, 10] and (logits.bits, logits.order) == (16, "NC")
    assert (logits.scale, logits.zero_point) == (0.125, 117)
    assert image.normalised_on_chip and not logits.normalised_on_chip
    assert logits.layers == ["net/net/fc1_origin"] and logits.network == "net/net"
    assert boxes.scale == [0.1, 0.2, 0.3, 0.4] and boxes.zero_point == [3, 4, 5, 6]


def test_post_processing_of_the_library_is_told(tmp_path: Path) -> None:
    (net,) = read(files.write(tmp_path / "net.hef")).network_groups
    (nms,) = net.host_nms
    assert net.post_processing == ["nms1: yolov8 NMS by HailoRT"]
    assert (nms.classes, nms.max_per_class) == (80, 100)
    assert (nms.score_threshold, nms.iou_threshold) == (0.2, 0.7)


def test_nms_on_the_chip_is_told(tmp_path: Path) -> None:
    nms = files.data(11, files.data(1, files.number(2, 80) + files.number(3, 100)))
    info = files.numeric(1, 0, 0, 1)
    out = files.layer("net/nms1", (80, 5, 100), (80, 5, 100), info, order=6, size=2, extra=nms)
    edges = files.data(2, files.edge(out, out=True))
    group = files.data(3, files.data(3, edges)) + files.data(10, "net")
    found = read(files.write(tmp_path / "net.hef", 2, files.description(group, arch=0)))
    (stream,) = found.network_groups[0].outputs
    assert found.hw_arch == "hailo8" and stream.order == "NMS"
    assert stream.nms is not None and (stream.nms.classes, stream.nms.max_per_class) == (80, 100)


def test_layouts_of_a_chip_with_fewer_clusters_are_one_network(tmp_path: Path) -> None:
    layouts = 2 * files.data(7, files.data(1, files.core_op()))
    group = files.data(8, files.data(4, files.data(1, files.data(1, "net")) + layouts))
    found = read(files.write(tmp_path / "net.hef", 2, files.description(group)))
    assert found.network_groups[0].layouts == 2 and len(found.network_groups[0].outputs) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_every_altered_byte_is_noticed(version: int, tmp_path: Path) -> None:
    path = files.write(tmp_path / "net.hef", version)
    content = path.read_bytes()
    start = HEADERS[version]
    for position in (start, start + 90, (start + len(content)) // 2, len(content) - 1):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        )
        with pytest.raises(HefError, match=r"net\.hef: its (md5|crc32|xxh3_64)\D* does not match"):
            read(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cut_or_extended_file_is_refused(version: int, tmp_path: Path) -> None:
    path = files.write(tmp_path / "net.hef", version)
    content = path.read_bytes()
    for cut, message in (
        (content[:-1], "truncated: .* announces"),
        (content + b"\0", "longer than it says"),
        (content[: HEADERS[version] - 1], "truncated inside its header"),
        (content[:11], "11 bytes; shorter than the header"),
        (b"", "0 bytes; shorter"),
    ):
        path.write_bytes(cut)
        with pytest.raises(HefError, match=message):
            read(path)


def test_the_description_has_a_checksum_of_its_own_in_version_3(tmp_path: Path) -> None:
    path = files.write(tmp_path / "net.hef", 3)
    content = bytearray(path.read_bytes())
    content[40:48] = struct.pack(">Q", 1)
    path.write_bytes(content)
    with pytest.raises(HefError, match="its xxh3_64 of the description does not match"):
        read(path)


def test_what_is_no_hef_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.hef"
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"PK\x03\x04" + bytes(60), "not a HEF"),
        (
            struct.pack(">III", files.MAGIC, 4, 0) + bytes(60),
            "container version 4; known are 0 to 3",
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(HefError, match=message):
            read(path)
    with pytest.raises(HefError, match="cannot be read"):
        read(tmp_path / "absent.hef")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x0a\xff", "ends inside an integer"),
        (b"\x0a\x05ab", "field 1 reaches beyond its end"),
        (b"\x0b", "field 1 is of the unknown kind 3"),
        (b"\x00\x00", "a field has the number 0"),
        (b"\x80" * 12, "one is too long"),
        (files.number(1, 3), "field 1 is an integer"),
        (files.data(1, files.data(1, b"x")), "field 1 is no integer"),
        (files.data(1, files.data(3, b"\xff")) + files.data(2, b""), "field 3 is no UTF-8"),
        (files.data(1, b""), "holds no network"),
        (
            files.description(
                files.data(3, files.data(3, files.data(2, files.data(3, files.data(3, b"\x15")))))
            ),
            "reaches beyond",
        ),
    ],
)
def test_a_damaged_description_under_a_right_checksum_is_an_error(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = files.write(tmp_path / "net.hef", 1, content)
    with pytest.raises(HefError, match=message):
        read(path)


def test_a_mux_of_muxes_without_end_is_refused(tmp_path: Path) -> None:
    inner = files.data(1, files.LOGITS)
    for _ in range(20):
        inner = files.data(2, files.data(5, inner))
    mux = files.data(5, inner)
    edges = files.data(2, files.edge(mux, out=True, field=4))
    group = files.data(3, files.data(3, edges))
    path = files.write(tmp_path / "net.hef", 1, files.description(group))
    with pytest.raises(HefError, match="muxes nested"):
        read(path)


def test_inspect_prints_a_hef(tmp_path: Path) -> None:
    path = files.write(tmp_path / "net.hef")
    shown = CliRunner().invoke(app, ["inspect", str(path)])
    assert shown.exit_code == 0
    assert "compiled for" in shown.output and "hailo8l; runs on HAILO8L, HAILO8" in shown.output
    assert "48×48×3 (48×48×4) NHWC 8 bits" in shown.output
    assert "pixels of 0–255 as they are" in shown.output and "2 contexts" in shown.output
    record = json.loads(CliRunner().invoke(app, ["inspect", str(path), "--json"]).output)
    assert record["network_groups"][0]["outputs"][1]["scale"] == [0.1, 0.2, 0.3, 0.4]

    path.write_bytes(path.read_bytes()[:-3])
    refused = CliRunner().invoke(app, ["inspect", str(path)])
    assert refused.exit_code == 1 and "truncated" in refused.output
