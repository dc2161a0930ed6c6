from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from tests.engines.small_nets import op
from vmz.netdef.builder import NetBuilder
from vmz.netdef.inputs import VideoSource, add_video_input
from vmz.netdef.shape_rules import RULES
from vmz.netdef.video_outputs import ALL_OUTPUTS, ARGUMENT_OF, AV_OUTPUTS, VIDEO_OUTPUTS, asked_outputs, network_inputs
from vmz.video.arguments import VideoInputArgs
from vmz.video.reader import Batch

OPERATOR = Path(__file__).resolve().parents[2] / "ops" / "caffe2" / "operator_arguments.cc"
ALL = {"get_optical_flow": 1, "get_video_id": 1, "get_start_frame": 1, "get_record_index": 1}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, "data label"),
        ({"get_video_id": 1}, "data label video_id"),
        ({"get_rgb": 0, "get_optical_flow": 1}, "flow label"),
        ({"get_record_index": 1, "get_start_frame": 1, "get_video_id": 0}, "data label start_frame record_index"),
        (ALL, "data flow label video_id start_frame record_index"),
    ],
)
def test_what_arguments_ask_for_in_the_operators_order(arguments: dict[str, int], names: str) -> None:
    assert asked_outputs(arguments) == tuple(names.split())
    assert network_inputs(arguments) == ("data", *names.split()[1:])


def test_the_same_names_as_the_reader_and_the_operator_for_caffe2() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(VideoInputArgs)}
    for output in VIDEO_OUTPUTS:
        assert output.argument is None or fields[output.argument] == output.default
    assert {output.name for output in ALL_OUTPUTS} == {field.name for field in dataclasses.fields(Batch)} - {"keys"}
    listed = re.findall(r'\{(?:args\.(?:audio\.)?(\w+)|1), "(\w+)"\}', OPERATOR.read_text())
    reports = [("get_" + name, name) for name in ("position", "skipped", "ended_early", "without_sound")]
    for outputs, others in ((VIDEO_OUTPUTS, {"logmels", "without_sound"}), (AV_OUTPUTS, {"flow"})):
        asked = [(output.argument or "", output.name) for output in outputs]
        assert [pair for pair in listed if pair[1] not in others] == [
            pair for pair in (*asked, *reports) if pair[1] not in others
        ]


@pytest.mark.parametrize("asked", [{}, {"get_video_id": 1}, {"get_rgb": 0, "get_optical_flow": 1}])
def test_a_network_looks_at_the_first_output(asked: dict[str, int]) -> None:
    net = NetBuilder("clips", is_test=True, scope="gpu_0")
    add_video_input(net, VideoSource("x.lmdb", {"batch_size": 2, **asked}))
    reader, stop = net.net.op
    assert [*reader.output] == [f"gpu_0/{name}" for name in network_inputs(asked)]
    assert [*stop.input] == [*stop.output] == ["gpu_0/data"]


@pytest.mark.parametrize(
    ("asked", "inputs"),
    [("get_logmels", "data label"), ("get_logmels get_rgb get_video_id", "data logmels label video_id")],
)
def test_what_reads_sound_too(asked: str, inputs: str) -> None:
    net = NetBuilder("clips", is_test=True)
    arguments = {"batch_size": 2, "length_rgb": 4, "crop_size": 8, **dict.fromkeys(asked.split(), 1)}
    add_video_input(net, VideoSource("x.lmdb", arguments, operator="AVInput"))
    reader, stop = net.net.op
    assert reader.type == "AVInput" and [*reader.output] == inputs.split() and [*stop.input] == ["data"]
    shapes = RULES["AVInput"](reader, arguments, [])
    assert shapes[inputs.split().index("label") - 1] == (2, 1, 100, 40)


def test_the_shape_of_each() -> None:
    arguments = {"batch_size": 2, "clip_per_video": 3, "crop_size": 8, "length_rgb": 4, "length_of": 5, **ALL}
    found = RULES["VideoInput"](op("VideoInput", "db", " ".join(asked_outputs(arguments))), arguments, [])
    assert found == [(6, 3, 4, 8, 8), (6, 2, 5, 8, 8), (6,), (6,), (6,), (2,)]
    arguments = {**arguments, **dict.fromkeys(ALL, 0), "do_multi_label": 1, "num_of_class": 7}
    many = RULES["VideoInput"](op("VideoInput", "db", "data label"), arguments, [])
    assert many == [(6, 3, 4, 8, 8), (6, 7)]
    assert set(ARGUMENT_OF) == {"data", "flow", "logmels", "video_id", "start_frame", "record_index"}
