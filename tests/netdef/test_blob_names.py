from __future__ import annotations

import pytest

from vmz.errors import VmzError
from vmz.netdef.blob_names import first_of_each, full_name, is_scoped, meant, scoped, unscoped, without_scopes


def test_with_a_scope_and_without() -> None:
    assert scoped("conv1_w", "gpu_0") == "gpu_0/conv1_w" and scoped("conv1_w", "") == "conv1_w"
    assert scoped("net/Scale", "gpu_1") == "gpu_1/net/Scale"
    assert unscoped("gpu_0/net/Scale") == "Scale" and unscoped("conv1_w") == "conv1_w"
    assert is_scoped("gpu_0/conv1_w") and not is_scoped("conv1_w")


def test_of_several_devices_the_first_counts_or_none() -> None:
    arrays = {"gpu_1/a": 1, "gpu_0/a": 0, "b": 2}
    assert first_of_each(arrays) == {"a": 1, "b": 2}
    with pytest.raises(VmzError, match="blob a appears twice, once as gpu_0/a; give one device's blobs"):
        without_scopes(arrays)
    assert without_scopes({"gpu_1/a": 1, "b": 2}) == {"a": 1, "b": 2}


def test_the_blob_that_a_name_means() -> None:
    blobs = ["gpu_0/a", "gpu_1/a", "b", "x/b", "gpu_0/c"]
    assert full_name("b", blobs) == "b" and full_name("c", blobs) == "gpu_0/c" and full_name("x/b", blobs) == "x/b"
    assert meant("a", blobs) == ["gpu_0/a", "gpu_1/a"] and meant("d", blobs) == []
    with pytest.raises(VmzError, match="blob a is ambiguous: it may be gpu_0/a, gpu_1/a; give the full name"):
        full_name("a", blobs)
    with pytest.raises(VmzError, match="no blob d in the net; among its 5 blobs are gpu_0/a, gpu_1/a, b, x/b, gpu_0/c"):
        full_name("d", blobs)
