"""Runs on disks without room or read-only, two of them at once, and with a database that is remade under them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from tests.campaign.disturbed.cases import OTHERS, Case, unclean
from tests.campaign.disturbed.contents import Half
from tests.campaign.disturbed.forked import Ended, Moment
from tests.campaign.disturbed.writers import write_database

ROOM = "64m"
PAGE = 4096
_mounted: list[Path] = []


@cache
def without_mount() -> bool:
    """Whether this user may not mount a disk in memory."""
    probe = Path("/tmp") / f"vmz_mount_{os.getpid()}"
    probe.mkdir()
    try:
        return not _mount(probe, "size=64k")
    finally:
        _unmount(probe)
        probe.rmdir()


def possible(case: Case, what: str) -> bool:
    if what == "data remade":
        return bool(case.writer.reads)
    return what != "read-only" or not without_mount() or os.getuid() != 0


def _mount(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    if not done.returncode:
        _mounted.append(folder)
    return not done.returncode


def _remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def _unmount(folder: Path) -> None:
    if folder in _mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        _mounted.remove(folder)


def unmount_all() -> None:
    for folder in list(_mounted):
        _unmount(folder)


def full_once(case: Case, draw: random.Random) -> tuple[bool, str, str]:
    """A disk with room for part of the outputs: in bytes, or in files."""
    case.empty()
    if without_mount():
        where = Moment(signal.SIGXFSZ, file_bytes=draw.randint(4096, 1 << 19))
        return _without_room(case, case.run(where), str(where), lambda: None)
    used = sum(-(-path.stat().st_size // PAGE) for path in _after_a_run(case))
    case.empty()
    shutil.rmtree(case.out)
    case.out.mkdir()
    if draw.random() < 0.7:
        room = f"size={draw.randint(len(OTHERS), used) * PAGE}"
    else:
        room = f"size={ROOM},nr_inodes={draw.randint(len(OTHERS) + 1, len(OTHERS) + 10)}"
    assert _mount(case.out, room)
    try:
        case.empty()
        ended = case.run()
        return _without_room(case, ended, room, lambda: _remount(case.out, f"size={ROOM},nr_inodes=1000"))
    finally:
        _unmount(case.out)


def _after_a_run(case: Case) -> list[Path]:
    case.run()
    return [path for path in case.out.rglob("*") if path.is_file()]


def _without_room(case: Case, ended: Ended, where: str, make_room: Callable[[], None]) -> tuple[bool, str, str]:
    if ended.status == 0:
        return False, where, case.wrong_end(ended)
    wrong = unclean(ended) or case.wrong_on_the_way()
    left = case.hidden()
    wrong = wrong or (f"left behind: {', '.join(left)}" if left else "")
    if not wrong and "cannot be written" not in ended.errors:  # that is found before the work
        wrong = case.lacking(ended)
    make_room()
    return True, where, wrong or case.wrong_end(case.run())


def read_only_once(case: Case, draw: random.Random) -> tuple[bool, str, str]:
    """A folder, or as root a disk, that nothing can be written to: found before the work."""
    case.empty()
    if os.getuid() == 0:
        shutil.rmtree(case.out)
        case.out.mkdir()
        assert _mount(case.out, f"size={ROOM}")
    try:
        case.empty()
        if os.getuid() == 0:
            _remount(case.out, "ro")
        else:
            case.out.chmod(0o555)
        ended = case.run()
        wrong = unclean(ended, (2,)) or case.touched()
        if not wrong and case.writer.figures and case.writer.figures in ended.output:
            wrong = "found after the work, not before it"
    finally:
        if os.getuid() == 0:
            _unmount(case.out)
        else:
            case.out.chmod(0o755)
    return True, "read-only", wrong


def two_once(case: Case, draw: random.Random) -> tuple[bool, str, str]:
    """Two runs of one command, one begun at any moment of the other: one is refused, or comes after it."""
    case.empty()
    delay = draw.uniform(0, case.undisturbed.seconds)
    where = f"a second run {delay:.2f} s after the first"
    first = case.start()
    time.sleep(delay)
    second = case.start()
    ended = [first.ended(), second.ended()]
    if not any(one.status == 0 for one in ended):
        return True, where, f"neither came to its end: {[one.errors[-200:] for one in ended]}"
    for one in ended:
        if one.status and (wrong := unclean(one, (2,)) or _without_reason(one)):
            return True, where, wrong
    return True, where, case.wrong_end(next(one for one in ended if one.status == 0))


def remade_once(case: Case, draw: random.Random) -> tuple[bool, str, str]:
    """Its database is replaced at any moment: the result is of the one or of the other, or there is none."""
    case.empty()
    data = Path(next(flag for flag in case.argv if "_data=" in flag).partition("=")[2])
    kept, other = data.with_name("kept"), data.with_name("remade")
    shutil.copytree(data, kept)
    if not other.exists():
        write_database(other, 20)
    moment = Moment(signal.SIGUSR1, seconds=draw.uniform(0, case.undisturbed.seconds))
    in_place = draw.random() < 0.5

    def remake() -> None:
        if in_place:  # its files are written over
            for name in ("names.csv", "data.mdb"):
                shutil.copyfile(other / name, data / name)
        else:
            shutil.rmtree(data)
            shutil.copytree(other, data)

    where = f"{'written over' if in_place else 'removed and made'} at {moment.seconds} s"
    try:
        ended = case.start(moment).ended(at=remake)
        if ended.status:
            wrong = unclean(ended) or _half(case)
        else:
            found = case.found()
            wrong = case.wrong_contents(found) and _mixed(case, found, data, other)
    except Half as error:
        wrong = str(error)
    finally:
        shutil.rmtree(data)
        kept.rename(data)
    return True, where, wrong


_of_other: dict[Path, Mapping[str, str]] = {}  # what a run on the other database gives, by the folder of the case


def _mixed(case: Case, found: Mapping[str, str], data: Path, other: Path) -> str:
    """What is of neither database alone."""
    if case.out not in _of_other:
        shutil.rmtree(data)
        shutil.copytree(other, data)
        case.empty()
        assert case.run().status == 0
        _of_other[case.out] = case.found()
    names = sorted({*found, *case.reference, *_of_other[case.out]} - set(OTHERS))
    mixed = [name for name in names if found.get(name) != _of_other[case.out].get(name)]
    return f"of neither database alone: {', '.join(mixed)}" if mixed else ""


def _without_reason(ended: Ended) -> str:
    known = ("is writing it", "exists already")
    return "" if any(one in ended.errors for one in known) else f"refused for another reason: {ended.errors[-300:]}"


def _half(case: Case) -> str:
    try:
        case.found()
    except Half as error:
        return str(error)
    left = case.hidden()
    return f"left behind: {', '.join(left)}" if left else ""
