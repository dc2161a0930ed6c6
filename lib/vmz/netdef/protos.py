"""Caffe2's protocol buffers: NetDef and what it is made of, TensorProtos and what they hold.

Where the wheel's own `caffe2.proto` can be imported, its classes are used, so that nets go to real Caffe2 as they
are. Elsewhere the same messages are declared here, field by field, wire-compatible with caffe2.proto.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_OPTIONAL, _REPEATED = 1, 3
_TYPES = {"double": 1, "float": 2, "int64": 3, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}
_MESSAGE, _ENUM = 11, 14

DATA_TYPES = {
    "UNDEFINED": 0,
    "FLOAT": 1,
    "INT32": 2,
    "BYTE": 3,
    "STRING": 4,
    "BOOL": 5,
    "UINT8": 6,
    "INT8": 7,
    "UINT16": 8,
    "INT16": 9,
    "INT64": 10,
    "FLOAT16": 12,
    "DOUBLE": 13,
}

# message -> {field: (number, type)}; "*" marks repeated, "*packed" repeated and packed.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "DeviceOption": {
        "device_type": (1, "int32"),
        "device_id": (2, "int32"),
        "random_seed": (3, "uint32"),
        "node_name": (4, "string"),
        "numa_node_id": (5, "int32"),
        "extra_info": (6, "string*"),
    },
    "TensorProto": {
        "dims": (1, "int64*"),
        "data_type": (2, "TensorProto.DataType"),
        "float_data": (3, "float*packed"),
        "int32_data": (4, "int32*packed"),
        "byte_data": (5, "bytes"),
        "string_data": (6, "bytes*"),
        "name": (7, "string"),
        "device_detail": (8, "DeviceOption"),
        "double_data": (9, "double*packed"),
        "int64_data": (10, "int64*packed"),
    },
    "TensorProtos": {"protos": (1, "TensorProto*")},
    "Argument": {
        "name": (1, "string"),
        "f": (2, "float"),
        "i": (3, "int64"),
        "s": (4, "bytes"),
        "floats": (5, "float*"),
        "ints": (6, "int64*"),
        "strings": (7, "bytes*"),
        "n": (8, "NetDef"),
        "nets": (9, "NetDef*"),
        "t": (10, "TensorProto"),
        "tensors": (11, "TensorProto*"),
    },
    "OperatorDef": {
        "input": (1, "string*"),
        "output": (2, "string*"),
        "name": (3, "string"),
        "type": (4, "string"),
        "arg": (5, "Argument*"),
        "device_option": (6, "DeviceOption"),
        "engine": (7, "string"),
        "control_input": (8, "string*"),
        "is_gradient_op": (9, "bool"),
        "debug_info": (10, "string"),
    },
    "NetDef": {
        "name": (1, "string"),
        "op": (2, "OperatorDef*"),
        "type": (3, "string"),
        "num_workers": (4, "int32"),
        "device_option": (5, "DeviceOption"),
        "arg": (6, "Argument*"),
        "external_input": (7, "string*"),
        "external_output": (8, "string*"),
    },
    "BlobsMap": {"key": (1, "string"), "value": (2, "string*")},
    "NetsMap": {"key": (1, "string"), "value": (2, "NetDef")},
    "StringMap": {"key": (1, "string"), "value": (2, "string")},
    "MetaNetDef": {
        "blobs": (1, "BlobsMap*"),
        "nets": (2, "NetsMap*"),
        "applicationSpecificInfo": (5, "StringMap*"),
    },
}

# Views of TensorProto and BlobProto, always our own classes: packed numbers and bytes are the same on the wire, and as
# bytes millions of numbers pass at once.
VIEWS: dict[str, dict[str, tuple[int, str]]] = {
    "TensorSegment": {"begin": (1, "int64"), "end": (2, "int64")},
    "TensorChunk": {
        "dims": (1, "int64*"),
        "data_type": (2, "int32"),
        "float_data": (3, "bytes"),
        "int32_data": (4, "bytes"),
        "byte_data": (5, "bytes"),
        "name": (7, "string"),
        "device_detail": (8, "DeviceOption"),
        "double_data": (9, "bytes"),
        "int64_data": (10, "bytes"),
        "segment": (11, "TensorSegment"),
    },
    "BlobChunk": {
        "name": (1, "string"),
        "type": (2, "string"),
        "tensor": (3, "TensorChunk"),
        "content": (4, "bytes"),
    },
}


def _declare() -> dict[str, Any]:
    """Message classes by name, from the tables above, in a descriptor pool of their own."""
    tables = {**MESSAGES, **VIEWS}
    file = descriptor_pb2.FileDescriptorProto(name="vmz/caffe2.proto", package="caffe2", syntax="proto2")
    for message_name, fields in tables.items():
        message = file.message_type.add(name=message_name)
        if message_name == "TensorProto":
            enum = message.enum_type.add(name="DataType")
            for value_name, number in DATA_TYPES.items():
                enum.value.add(name=value_name, number=number)
        for name, (number, kind) in fields.items():
            kind, repeated, repetition = kind.partition("*")
            field = message.field.add(name=name, number=number, label=_REPEATED if repeated else _OPTIONAL)
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type = _ENUM if kind.endswith("DataType") else _MESSAGE
                field.type_name = f".caffe2.{kind}"
                if field.type == _ENUM:
                    field.default_value = "FLOAT"
            if repetition == "packed":
                field.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if not hasattr(pool, "AddSerializedFile") else pool.AddSerializedFile(file.SerializeToString())
    make = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {name: make(pool.FindMessageTypeByName(f"caffe2.{name}")) for name in tables}


def _classes() -> tuple[dict[str, Any], bool]:
    declared = _declare()
    try:
        from caffe2.proto import caffe2_pb2, metanet_pb2
    except ImportError:
        return declared, False
    theirs = {**vars(caffe2_pb2), **vars(metanet_pb2)}
    return {name: theirs[name] if name in MESSAGES else declared[name] for name in declared}, True


_found, FROM_CAFFE2 = _classes()
# Typed Any: protobuf makes these classes at run time.
Argument: Any = _found["Argument"]
BlobChunk: Any = _found["BlobChunk"]
DeviceOption: Any = _found["DeviceOption"]
MetaNetDef: Any = _found["MetaNetDef"]
NetDef: Any = _found["NetDef"]
OperatorDef: Any = _found["OperatorDef"]
TensorProto: Any = _found["TensorProto"]
TensorProtos: Any = _found["TensorProtos"]

CPU, CUDA = 0, 1
