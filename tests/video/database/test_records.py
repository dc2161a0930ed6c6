import pytest

from vmz.netdef.protos import TensorProtos
from vmz.video.database.records import Record, RecordError, decode_record, encode_record


@pytest.mark.parametrize(
    "record",
    [
        Record(b"0", b"\x00\xff video", (3,)),
        Record(b"17", b"a/b.mp4", (3, 0, 3), start_frame=0, video_id=10000000000),
        Record(b"1", b"a", (-1,), start_frame=12),
        Record(b"1", b"a", (5,), video_id=7),
    ],
)
def test_what_is_written_is_read(record):
    assert decode_record(record.key, encode_record(record)) == record


def test_bytes_are_the_original_ones():
    assert encode_record(Record(b"0", b"\x00\xff", (2,))).hex() == "0a061004320200ff0a051002220102"


def test_a_start_frame_and_an_id_are_told_apart_by_type_whatever_their_order():
    protos = TensorProtos()
    protos.protos.add(data_type=10).int64_data.append(99)
    protos.protos.add(data_type=2).int32_data.append(4)
    protos.protos.add(data_type=4).string_data.append(b"v")
    protos.protos.add(data_type=2).int32_data.append(8)
    assert decode_record(b"0", protos.SerializeToString()) == Record(b"0", b"v", (4,), 8, 99)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty"),
        (encode_record(Record(b"0", b"video" * 9, (1,)))[:20], "truncated"),
        (b"\x89PNG and more", "truncated or is not a TensorProtos"),
        (TensorProtos().SerializeToString() or b"\x12\x00", "no video"),
    ],
)
def test_values_that_are_no_records_are_refused(value, reason):
    with pytest.raises(RecordError, match=reason):
        decode_record(b"0", value)


def test_a_record_without_a_label_is_refused():
    protos = TensorProtos()
    protos.protos.add(data_type=4).string_data.append(b"v")
    with pytest.raises(RecordError, match="no label"):
        decode_record(b"0", protos.SerializeToString())
