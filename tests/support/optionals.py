"""Values that may be None, where a test knows that they are there."""

from __future__ import annotations

from typing import Optional, TypeVar

T = TypeVar("T")


def present(value: Optional[T]) -> T:
    """The value itself. Fails the test where it is None."""
    assert value is not None
    return value
