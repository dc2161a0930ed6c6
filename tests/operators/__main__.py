"""Record what real Caffe2 computes for every case, and write docs/reference/operators.md: run it in .venv-caffe2."""

from __future__ import annotations

import sys

from tests.operators import recorded
from tests.operators.caffe2_runs import run_in_caffe2
from tests.operators.page import PAGE, page
from tests.operators.table import CASES
from vmz.engines.caffe2_engine.workspace import import_caffe2
from vmz.files import atomic_write


def main() -> int:
    import_caffe2()
    numbers = {name: run_in_caffe2(case) for name, case in CASES.items()}
    recorded.write(numbers, CASES)
    with atomic_write(PAGE, "w") as stream:
        stream.write(page(numbers))
    print(f"{recorded.FILE}: {len(numbers)} cases, {recorded.FILE.stat().st_size} bytes; {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
