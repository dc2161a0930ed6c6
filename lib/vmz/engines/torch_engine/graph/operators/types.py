"""Caffe2's element types, by number and by name."""

from __future__ import annotations

from typing import Any

import torch

from vmz.engines.torch_engine.graph.op import Op
from vmz.netdef.protos import DATA_TYPES

_TORCH = {
    "FLOAT": torch.float32,
    "INT32": torch.int32,
    "BOOL": torch.bool,
    "UINT8": torch.uint8,
    "INT8": torch.int8,
    "INT16": torch.int16,
    "INT64": torch.int64,
    "FLOAT16": torch.float16,
    "DOUBLE": torch.float64,
}
# TensorProto.DataType -> torch
DTYPES = {DATA_TYPES[name]: dtype for name, dtype in _TORCH.items()}


def dtype_argument(op: Op, name: str, default: Any) -> torch.dtype:
    """The type that an argument names, by number or name. VmzError for one that PyTorch has not."""
    value = op.arg(name, default)
    number = DATA_TYPES.get(value.upper()) if isinstance(value, str) else value
    if number not in DTYPES:
        raise op.unsupported(name, f"the types are {', '.join(f'{at} ({DATA_TYPES[at]})' for at in _TORCH)}")
    return DTYPES[number]
