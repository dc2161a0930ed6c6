#!/usr/bin/env python3
"""Looks through a file system for what gives a user more than they should have; the build of each image ends with it.

Reports

- files and folders with a setuid or setgid bit;
- those that everybody may write, of which /tmp alone is allowed, with its sticky bit;
- compilers and programs that fetch files, by their names;
- what package managers and builds leave: lists, packages, caches;
- private keys, and files that hold passwords of registries, repositories and clouds.

Exit status 1 where there is one, and where a file or a folder could not be looked into. Only root sees them all:

    docker run --user 0 vmz docker/scan_image.py [FOLDER]
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

OTHERS = ("dev", "proc", "sys")  # the kernel's, not the image's
STICKY = ("tmp",)
PROGRAM = re.compile(
    r"(?:[\w-]+-)?(?:gcc|g\+\+|clang|clang\+\+|cc|c\+\+|cpp|ld|as|nvcc|rustc)(?:-[\d.]+)?|[gc]?make|ninja"
    r"|curl|wget|git|ssh|scp|rsync|ftp|telnet|nc|ncat|netcat|socat"
)
PROGRAM_FOLDERS = ("bin", "sbin")
EMPTY = ("var/lib/apt/lists", "var/cache/apt/archives", "root/.cache", "var/tmp")  # nothing but a lock and `partial`
SECRET_NAMES = (".netrc", ".pypirc", ".git-credentials", ".npmrc", "id_rsa", "id_ecdsa", "id_ed25519", "id_dsa")
SECRET_PATHS = (".aws/credentials", ".docker/config.json", ".kube/config")
PRIVATE_KEY = re.compile(rb"^-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\r?$", re.MULTILINE)
LOOKED_AT = 1 << 18  # bytes of a file, in which a key would begin


def faults(root: Path) -> Iterator[str]:
    """A line for each path below `root` that should not be there or be so, or cannot be looked into."""
    unread: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=unread.append):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in OTHERS]
        for name in sorted(folders + files):
            path = Path(folder, name)
            inside, mode = path.relative_to(root).as_posix(), path.lstat().st_mode
            yield from (f"{stat.filemode(mode)} {path}: {fault}" for fault in name_faults(inside, mode))
            if not stat.S_ISLNK(mode):
                yield from (f"{stat.filemode(mode)} {path}: {fault}" for fault in permission_faults(inside, mode))
            if stat.S_ISREG(mode):
                try:
                    if holds_key(path):
                        yield f"{stat.filemode(mode)} {path}: holds a private key"
                except OSError as error:
                    unread.append(error)
    yield from (f"{error.filename}: not looked into ({error.strerror})" for error in unread)


def permission_faults(inside: str, mode: int) -> Iterator[str]:
    """`inside`: the path in the image, without its first slash."""
    if mode & (stat.S_ISUID | stat.S_ISGID):
        yield "has a setuid or setgid bit"
    if mode & stat.S_IWOTH and not (mode & stat.S_ISVTX and inside in STICKY):
        yield "everybody may write it"


def name_faults(inside: str, mode: int) -> Iterator[str]:
    *folders, name = inside.split("/")
    if not stat.S_ISDIR(mode) and folders and folders[-1] in PROGRAM_FOLDERS and PROGRAM.fullmatch(name):
        yield "compiles or fetches"
    if any(inside.startswith(f"{folder}/") for folder in EMPTY) and name not in ("lock", "partial"):
        yield "was left by the build"
    if name == ".git" or (name == "pip" and folders[-1:] == [".cache"]):
        yield "was left by the build"
    if name in SECRET_NAMES or any(f"/{inside}".endswith(f"/{path}") for path in SECRET_PATHS):
        yield "is a file for secrets"


def holds_key(path: Path) -> bool:
    with open(path, "rb") as stream:
        return PRIVATE_KEY.search(stream.read(LOOKED_AT)) is not None


def main(arguments: list[str]) -> int:
    root = Path(arguments[0] if arguments else "/")
    found = list(faults(root))
    nothing = (
        "no setuid or setgid bit; only /tmp may be written by everybody; no compiler, no program that fetches, "
        "no cache, no key"
    )
    print("\n".join(found) if found else f"{root}: {nothing}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
