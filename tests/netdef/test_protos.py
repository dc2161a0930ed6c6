from __future__ import annotations

import json

from tests.goldens.recordings import golden_path
from vmz.netdef.protos import DATA_TYPES, Argument, NetDef, OperatorDef, TensorProto, TensorProtos


def test_wire_format_of_a_record_is_caffe2s() -> None:
    """Bytes written out by hand from the format's facts: field 4 packed int32, field 6 bytes, data_type in field 2."""
    record = TensorProtos()
    record.protos.add(data_type=DATA_TYPES["STRING"], string_data=[b"abc"])
    record.protos.add(data_type=DATA_TYPES["INT32"], int32_data=[3, 300])
    assert record.SerializeToString() == bytes.fromhex("0a07100432036162630a071002220303ac02")


def test_records_the_original_wrote_survive_a_round_trip() -> None:
    cases = json.loads(golden_path("reader/create_video_db.json").read_text())["cases"]
    seen = 0
    for case in cases.values():
        for _, value in case.get("items_in_cursor_order", []):
            record = TensorProtos()
            record.ParseFromString(bytes.fromhex(value))
            assert record.SerializeToString() == bytes.fromhex(value)
            assert record.protos[0].data_type == DATA_TYPES["STRING"]
            seen += 1
    assert seen >= 12


def test_presence_and_defaults() -> None:
    argument = Argument(name="x", i=0)
    assert argument.HasField("i") and not argument.HasField("f")
    assert TensorProto().data_type == DATA_TYPES["FLOAT"]
    net = NetDef(name="n")
    net.op.append(OperatorDef(type="Relu", input=["a"], output=["a"]))
    assert NetDef.FromString(net.SerializeToString()).op[0].type == "Relu"
