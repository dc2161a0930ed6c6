from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vmz.errors import VmzError
from vmz.features.rows import RECORDS, Parts, PartWriter

NAMES = ["softmax", "label"]


def batch(*records: int, width: int = 3) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two rows a record, which say where they come from."""
    own = np.repeat(records, 2).astype(np.float32)
    return np.array(records, np.int64), {
        "softmax": own[:, None] + np.zeros(width, np.float32),
        "label": own.astype(np.int32),
    }


def fill(folder: Path, *batches: tuple[int, ...]) -> None:
    with PartWriter(folder, NAMES, 2) as writer:
        for records in batches:
            writer.append(*batch(*records))


@pytest.mark.parametrize(
    ("name", "said"), [("records.bin", "entry 2 is record 0"), ("0.bin", "rows in it have changed")]
)
def test_an_end_of_zeros_is_found(name: str, said: str, tmp_path: Path) -> None:
    """As a machine leaves it that loses its power."""
    fill(tmp_path / "0", (0, 1), (4, 5))
    with (tmp_path / "0" / name).open("r+b") as stream:
        stream.seek((tmp_path / "0" / name).stat().st_size // 2)
        stream.write(bytes((tmp_path / "0" / name).stat().st_size // 2))
    with pytest.raises(VmzError, match=said):
        fill(tmp_path / "0", (8,))
        read([tmp_path / "0"])


def test_a_record_of_two_processes_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "0", (0, 1))
    fill(tmp_path / "1", (1, 2))
    with pytest.raises(VmzError, match="record 1 was extracted twice"):
        read([tmp_path / "0", tmp_path / "1"])


def read(folders: list[Path]) -> dict[str, np.ndarray]:
    parts = Parts(folders, NAMES, 2)
    found = {name: np.concatenate(list(parts.chunks(name))) for name in NAMES}
    assert all(found[name].shape == parts.shape(name) and found[name].dtype == parts.dtype(name) for name in NAMES)
    return found


def test_parts_of_processes_come_in_the_order_of_records(tmp_path: Path) -> None:
    folders = [tmp_path / str(rank) for rank in range(3)]
    fill(folders[0], (0, 1), (6, 7), (12,))
    fill(folders[1], (2, 3), (8,))
    found = read(folders)  # the third has nothing
    assert found["label"].tolist() == [r for r in (0, 1, 2, 3, 6, 7, 8, 12) for _ in range(2)]
    assert found["softmax"][:, 2].tolist() == found["label"].tolist()


def test_a_writer_goes_on_behind_the_last_whole_record(tmp_path: Path) -> None:
    fill(tmp_path, (0, 1), (2, 3))
    (tmp_path / "0.bin").write_bytes((tmp_path / "0.bin").read_bytes()[:-5])  # a machine that lost its power
    with (tmp_path / "1.bin").open("ab") as stream:
        stream.write(b"xyz")
    with PartWriter(tmp_path, NAMES, 2) as writer:
        assert writer.records == 3 and writer.last == 2
        writer.append(*batch(3, 4))
    assert read([tmp_path])["label"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with PartWriter(tmp_path, NAMES, 2) as writer:
        assert writer.last is None
        writer.append(*batch(0))
        with pytest.raises(VmzError, match=r"softmax has rows of \(4,\) float32, but those so far have \(3,\)"):
            writer.append(*batch(1, width=4))
        with pytest.raises(VmzError, match="a feature has a row for each clip"):
            writer.append(np.array([1, 2]), batch(1)[1])
    assert (tmp_path / RECORDS).stat().st_size == 8
    with pytest.raises(VmzError, match="no clip could be read"):
        Parts([tmp_path / "none"], NAMES, 2)
