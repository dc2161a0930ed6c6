"""An image run as `docker run --read-only --network=none --cap-drop=ALL ...` runs it, without a Docker daemon.

buildah mounts the image; in namespaces of its own its root is read-only, /tmp is in memory, there is no network, and
the user has no right left. Needs root, buildah and util-linux. By hand, the folder vmz_data seen under its own path:

    python -m tests.docker.locked --image=localhost/vmz --data=vmz_data -- docker/healthcheck.py
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

PROGRAMS = ("buildah", "unshare", "chroot", "mount", "ip", "hostname")
NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
TMPFS = "mount -t tmpfs -o nosuid,nodev"
HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"  # as Docker writes it without a network
TIME = 300.0  # seconds, after which a run hangs
# As root in the new namespaces, $VIEW an empty folder. Docker too gives /proc, /sys, /dev/shm, and a name of the
# machine that nothing resolves. {folders} makes mount points, {mounts} mounts there.
SCRIPT = f"""
set -eu
hostname locked
[ "$LOOPBACK" = 0 ] || ip link set lo up
mount --make-rprivate /
mount --bind "$ROOT" "$VIEW"
{TMPFS},noexec,size=1g,mode=1777 none "$VIEW/tmp"
{{folders}}
mount -o remount,bind,ro "$VIEW"
{{mounts}}
mount -t proc -o nosuid,noexec,nodev none "$VIEW/proc"
mount -t sysfs -o ro,nosuid,noexec,nodev none "$VIEW/sys"
mount -t tmpfs -o nosuid,size=64k,mode=755 none "$VIEW/dev"
for device in null zero full random urandom; do
  touch "$VIEW/dev/$device"
  mount --bind "/dev/$device" "$VIEW/dev/$device"
done
mkdir "$VIEW/dev/shm"
ln -s /proc/self/fd "$VIEW/dev/fd"
mount -o remount,ro "$VIEW/dev"
{TMPFS},noexec,size=64m,mode=1777 none "$VIEW/dev/shm"
status=0
chroot "$VIEW" /usr/bin/setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups --inh-caps=-all \\
  --bounding-set="$RIGHTS" --no-new-privs "$@" || status=$?
cat /proc/net/snmp /proc/net/snmp6 >"$COUNTED"
exit $status
"""


@dataclass(frozen=True)
class Mount:
    """A folder that is seen under its own path."""

    folder: Path
    writable: bool = False

    def mount(self) -> str:
        source, target = shlex.quote(str(self.folder)), f'"$VIEW"{shlex.quote(str(self.folder))}'
        bound = f"mount --bind {source} {target}"
        return bound if self.writable else f"{bound}\nmount -o remount,bind,ro {target}"


@dataclass(frozen=True)
class Finished:
    status: int
    output: str
    errors: str
    packets: int  # sent, and not sent for want of a way


@dataclass(frozen=True)
class Image:
    name: str
    root: Path  # where buildah has mounted it
    environment: dict[str, str]
    entrypoint: list[str]
    working_folder: str

    def run(
        self,
        arguments: Sequence[str],
        *mounts: Mount,
        user: int = 1000,
        loopback: bool = False,
        rights: str = "-all",
        **more: str,
    ) -> Finished:
        """The entrypoint with these arguments; `more` are variables of its environment.

        loopback: 127.0.0.1 is there, as Docker gives it; without, no address is. rights: the capabilities that a
        process can have at most, as setpriv writes them.
        """
        variables = {**self.environment, "HOME": self.home(user), "HOSTNAME": "locked", **more}
        command = ["/usr/bin/env", "-i", "-C", self.working_folder, *(f"{k}={v}" for k, v in variables.items())]
        script = SCRIPT.format(
            folders="\n".join(f'mkdir -p "$VIEW"{shlex.quote(str(mount.folder))}' for mount in mounts),
            mounts="\n".join(mount.mount() for mount in mounts),
        )
        with tempfile.TemporaryDirectory(prefix="vmz_locked_") as name:
            view, counted = Path(name, "view"), Path(name, "counted")
            view.mkdir()
            given = {"ROOT": self.root, "VIEW": view, "COUNTED": counted, "USER_ID": user, "RIGHTS": rights}
            given["LOOPBACK"] = int(loopback)
            done = subprocess.run(
                [*NAMESPACES, "sh", "-c", script, "sh", *command, *self.entrypoint, *arguments],
                env={**os.environ, **{key: str(value) for key, value in given.items()}},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIME,
            )
            if not counted.exists():
                raise RuntimeError(f"{self.name} was not run: {done.stderr}")
            return Finished(done.returncode, done.stdout, done.stderr, packets(counted.read_text()))

    def home(self, user: int) -> str:
        """What Docker names in HOME: the folder in /etc/passwd, or / for a user who is not in it."""
        users = (line.split(":") for line in (self.root / "etc" / "passwd").read_text().splitlines())
        return {int(fields[2]): fields[5] for fields in users}.get(user, "/")

    def has(self, package: str) -> bool:
        return any((self.root / "opt" / "vmz" / "lib").glob(f"python*/site-packages/{package}"))


def packets(counters: str) -> int:
    """What the kernel counted in /proc/net/snmp and snmp6 of one network: packets out, and those without a way.

    Where there is not even a loopback, the kernel counts no try of an IPv6 address: no address is there to send from.
    """
    lines = [line.split() for line in counters.splitlines()]
    names, values = (line for line in lines if line[0] == "Ip:")
    count = sum(int(value) for name, value in zip(names, values) if name in ("OutRequests", "OutNoRoutes"))
    return count + sum(int(line[1]) for line in lines if line[0] in ("Ip6OutRequests", "Ip6OutNoRoutes"))


def why_not(image: str) -> str:
    """One sentence where this machine cannot run that image so, and else none."""
    if os.geteuid() != 0:
        return "only root can mount an image"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"{program} is not installed here"
    if _buildah("inspect", "--type", "image", image) is None:
        return f"there is no image {image}; build it with buildah, see docker/README.md"
    return ""


@contextmanager
def mounted(image: str) -> Iterator[Image]:
    """The image, mounted for this block. Raises RuntimeError where that cannot be."""
    container = (_buildah("from", "--pull-never", image) or "").strip()
    if not container:
        raise RuntimeError(why_not(image) or f"buildah made no container of {image}")
    try:
        root = Path((_buildah("mount", container) or "").strip())
        config = json.loads(_buildah("inspect", "--type", "image", image) or "")["OCIv1"]["config"]
        (root / "etc" / "hosts").write_text(HOSTS)
        environment = dict(variable.split("=", 1) for variable in config["Env"])
        yield Image(image, root, environment, config["Entrypoint"], config["WorkingDir"])
    finally:
        _buildah("rm", container)


def _buildah(*arguments: str) -> Optional[str]:
    """Its output, or None where it failed."""
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--image", default="localhost/vmz", metavar="NAME")
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="DIR", help="may be written")
    parser.add_argument("--read", type=Path, action="append", default=[], metavar="DIR", help="may be read")
    parser.add_argument("--user", type=int, default=1000, metavar="N")
    parser.add_argument("--loopback", type=int, default=1, metavar="0|1", help="0: not even 127.0.0.1")
    parser.add_argument("arguments", nargs="+", metavar="ARG", help="after --: what the image's entrypoint is given")
    options = parser.parse_args()
    if reason := why_not(options.image):
        print(f"error: {reason}", file=sys.stderr)
        return 1
    mounts = [Mount(path.resolve(), path in options.data) for path in (*options.read, *options.data)]
    with mounted(options.image) as image:
        done = image.run(options.arguments, *mounts, user=options.user, loopback=bool(options.loopback))
    sys.stdout.write(done.output)
    sys.stderr.write(done.errors)
    print(f"{options.image}: status {done.status}, {done.packets} packets", file=sys.stderr)
    return done.status


if __name__ == "__main__":
    sys.exit(main())
