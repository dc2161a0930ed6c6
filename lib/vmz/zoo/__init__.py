"""The published models: what is known of each (manifest), and its file (cache, download)."""

from vmz.zoo.cache import Fetched, cached, fetch, folder, verify
from vmz.zoo.manifest import (
    FAST,
    PROTOCOLS,
    PUBLISHED,
    FlagValue,
    Published,
    ZooRow,
    find,
    flags,
    manifest,
    protocol_flags,
    published_test,
    refuse_unpublished,
    row_of_file,
    rows,
    select,
)

__all__ = [
    "FAST",
    "PROTOCOLS",
    "PUBLISHED",
    "Fetched",
    "FlagValue",
    "Published",
    "ZooRow",
    "cached",
    "fetch",
    "find",
    "flags",
    "folder",
    "manifest",
    "protocol_flags",
    "published_test",
    "refuse_unpublished",
    "row_of_file",
    "rows",
    "select",
    "verify",
]
