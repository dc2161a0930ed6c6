"""create_data_reader: the LMDB of videos that all devices of a model read from."""

from __future__ import annotations

from typing import Any

from vmz.engines.caffe2_engine.programs import need_operators, program_logger
from vmz.video.database.lmdb_database import VideoDatabase

log = program_logger("reader_utils")


def create_data_reader(model: Any, name: str, input_data: str) -> tuple[Any, int]:
    """Add CreateDB for the LMDB at `input_data` to the model's init net. Returns its blob and the number of records.

    name: of the operator. Raises UsageError where there is no such path, VmzError where it is no LMDB of videos.
    """
    need_operators()
    with VideoDatabase(input_data) as records:
        number = len(records)
    return model.param_init_net.CreateDB([], name=name, db=str(input_data), db_type="lmdb"), number
