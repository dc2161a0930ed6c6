#!/usr/bin/env python3
"""Looks through a file system for what gives a user more than they should have; the build of each image ends with it.

Reports files and folders with a setuid or setgid bit, and those that everybody may write; of these /tmp alone is
allowed, with its sticky bit. Exit status 1 where there is one, and where a folder could not be looked into. Only root
sees them all:

    docker run --user 0 vmz docker/scan_image.py [FOLDER]
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

OTHERS = ("dev", "proc", "sys")  # the kernel's, not the image's
STICKY = ("tmp",)


def faults(root: Path) -> Iterator[str]:
    """A line for each path below `root` that has such a permission, or cannot be looked into."""
    unread: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=unread.append):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in OTHERS]
        for name in sorted(folders + files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                continue
            if mode & (stat.S_ISUID | stat.S_ISGID):
                yield f"{stat.filemode(mode)} {path}: has a setuid or setgid bit"
            sticky = mode & stat.S_ISVTX and str(path.relative_to(root)) in STICKY
            if mode & stat.S_IWOTH and not sticky:
                yield f"{stat.filemode(mode)} {path}: everybody may write it"
    yield from (f"{error.filename}: not looked into ({error.strerror})" for error in unread)


def main(arguments: list[str]) -> int:
    root = Path(arguments[0] if arguments else "/")
    found = list(faults(root))
    print("\n".join(found) if found else f"{root}: no setuid or setgid bit; only /tmp may be written by everybody")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
