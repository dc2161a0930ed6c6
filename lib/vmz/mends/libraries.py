"""What newer libraries refuse or lack: numpy.load of objects, yaml.load, h5py's Dataset.value, Thread.isAlive."""

from __future__ import annotations

import threading
from typing import Any

from vmz.mends.hooks import when_imported
from vmz.mends.table import mend, report


@mend("numpy-load", "numpy.load of .npy files that contain objects, which numpy read unasked until 1.16.3")
def install_numpy_load() -> None:
    when_imported("numpy", _mend_numpy_load)


def _mend_numpy_load(numpy: Any) -> None:
    former = numpy.load

    def load(file: Any, *arguments: Any, **keywords: Any) -> Any:
        place = file.tell() if hasattr(file, "seek") else None
        try:
            return former(file, *arguments, **keywords)
        except ValueError as error:
            if "allow_pickle" not in str(error) or "allow_pickle" in keywords or len(arguments) > 1:
                raise
        report("numpy-load", "an .npy file of objects: read with allow_pickle=True, as numpy did then")
        if place is not None:
            file.seek(place)
        return former(file, *arguments, **{"encoding": "latin1", **keywords, "allow_pickle": True})

    numpy.load = load


@mend("yaml", "yaml.load without a Loader, which newer PyYAML refuses")
def install_yaml() -> None:
    when_imported("yaml", _mend_yaml)


def _mend_yaml(yaml: Any) -> None:
    former = yaml.load

    def load(stream: Any, Loader: Any = None) -> Any:
        if Loader is None:
            report("yaml", "yaml.load without a Loader: read with FullLoader")
            Loader = yaml.FullLoader
        return former(stream, Loader)

    yaml.load = load


@mend("h5py", "h5py's Dataset.value, gone since h5py 3")
def install_h5py() -> None:
    when_imported("h5py", _mend_h5py)


def _mend_h5py(h5py: Any) -> None:
    def value(dataset: Any) -> Any:
        report("h5py", "Dataset.value no longer exists: supplied")
        return dataset[()]

    if not hasattr(h5py.Dataset, "value"):
        h5py.Dataset.value = property(value)


@mend("threading", "threading.Thread.isAlive, gone since Python 3.9")
def install_threading() -> None:
    def is_alive(thread: threading.Thread) -> bool:
        report("threading", "Thread.isAlive no longer exists: supplied")
        return thread.is_alive()

    if not hasattr(threading.Thread, "isAlive"):
        threading.Thread.isAlive = is_alive  # type: ignore[attr-defined]
