"""Every tool in the built images: their root read-only, no network, no rights. Needs root, buildah and the images."""

from __future__ import annotations

import contextlib
import filecmp
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaign.disturbed.writers import WRITERS, Inputs, Writer
from tests.campaign.runs import prepared
from tests.docker.dockerfiles import ROOT
from tests.docker.locked import Finished, Image, Mount, mounted, why_not
from tests.legacy.running import PROGRAMS, weights
from tests.support.threads import on_one_thread
from vmz.cores import OMP

IMAGES = {"localhost/vmz": ("caffe2", "pytorch"), "localhost/vmz-torch": ("pytorch",)}
USER, ANOTHER_USER = 1000, 4321
RUNS = [
    pytest.param(image, writer, engine, id=f"{image.split('/')[1]}-{writer.name}-{engine}")
    for image, engines in IMAGES.items()
    for writer in WRITERS
    for engine in (engines if writer.with_engine else ("-",))
    if not writer.both or "caffe2" in engines
]
slow = pytest.mark.slow
each = pytest.mark.parametrize("name", IMAGES)
runs = pytest.mark.parametrize("name, writer, engine", RUNS)


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, Image]]:
    """Those of IMAGES that were built of this tree's code, mounted."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(mounted(name)) for name in IMAGES if not why_not(name)}


@pytest.fixture
def image(images: dict[str, Image], name: str) -> Image:
    if name not in images:
        pytest.skip(why_not(name))
    if other := differing(images[name].root / "vmz"):
        pytest.skip(f"{name} was built of other code ({other}); build it again")
    return images[name]


def differing(built: Path) -> str:
    """A file of ours that an image has otherwise, or not."""
    ours = [path for folder in ("lib", "tools", "data") for path in (ROOT / folder).rglob("*.py")]
    for path in (*ours, *(ROOT / "docker").glob("*.py")):
        name = path.relative_to(ROOT)
        if not (built / name).is_file() or not filecmp.cmp(path, built / name, shallow=False):
            return str(name)
    return ""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inputs]:
    folder = tmp_path_factory.mktemp("locked") / "in"
    folder.mkdir(mode=0o755)
    with on_one_thread(), pytest.MonkeyPatch.context() as patched:
        patched.setenv(OMP, "1")
        prepared()
        yield Inputs(folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


def command(writer: Writer, engine: str, inputs: Inputs, out: Path) -> list[str]:
    """What the entrypoint is given."""
    return [os.path.normpath(f"tools/{writer.tool}.py"), *writer.argv(inputs, out, engine)]


def warnings(done: Finished) -> list[str]:
    small = "have a short side below"  # the videos of these tests
    return [line for line in done.errors.splitlines() if "warning: " in line.lower() and small not in line]


def check_quiet(done: Finished) -> None:
    """No fault of ours, and nothing that asked for an address."""
    assert "Traceback" not in done.errors and "internal error" not in done.errors, done.errors
    assert done.packets == 0, f"{done.packets} packets"


def skip_without(image: Image, writer: Writer) -> None:
    if writer.needs and not image.has(writer.needs):
        pytest.skip(f"{image.name} has no {writer.needs}")


@slow
@runs
@pytest.mark.parametrize("loopback", [False, True])  # what asks for an IPv6 address is only counted with it
def test_a_tool_writes_to_its_mount(
    image: Image, writer: Writer, engine: str, inputs: Inputs, out: Path, loopback: bool
) -> None:
    skip_without(image, writer)
    mounts = Mount(inputs.folder), Mount(out, writable=True)
    done = image.run(command(writer, engine, inputs, out), *mounts, loopback=loopback)
    assert done.status == 0, done.errors
    check_quiet(done)
    assert not warnings(done)
    written = [path for path in out.rglob("*") if path.is_file()]
    assert written and all(path.stat().st_uid == USER for path in written)
    assert writer.figures in done.output
    assert not [path for path in written if path.name.startswith(".vmz")], "a lock or a temporary file was left"


@slow
@runs
def test_a_read_only_root_is_refused_before_the_work(image: Image, writer: Writer, engine: str, inputs: Inputs) -> None:
    skip_without(image, writer)
    done = image.run(command(writer, engine, inputs, Path("/vmz")), Mount(inputs.folder))
    assert done.status in (1, 2), done.errors
    check_quiet(done)
    errors = [line for line in done.errors.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "/vmz" in errors[0], done.errors
    assert "videos/s" not in done.errors and (not writer.figures or writer.figures not in done.output)


@slow
@each
@pytest.mark.parametrize("user", [USER, ANOTHER_USER])
def test_the_health_check(image: Image, user: int) -> None:
    for engine in IMAGES[image.name][:1]:
        done = image.run(["docker/healthcheck.py"], user=user)
        assert done.status == 0, done.errors
        assert done.output.startswith(f"healthy: a video from an LMDB through {engine}, torch ")
        check_quiet(done)


@slow
@each
@pytest.mark.parametrize(
    "arguments", ["-m vmz.legacy --help", "tools/zoo.py list", "tools/print_net.py --model_depth=18"]
)
def test_what_writes_no_file(image: Image, arguments: str) -> None:
    done = image.run(arguments.split())
    assert (done.status, done.errors) == (0, "")
    check_quiet(done)


@slow
@pytest.mark.parametrize("name", ["localhost/vmz"])
def test_an_old_program(image: Image, inputs: Inputs, out: Path) -> None:
    program = PROGRAMS / "own_lib" / "tools" / "test_net.py"
    weights(out / "r3d.pkl", "r3d")
    flags = [
        f"--test_data={inputs['clips']}",
        f"--load_model_path={out / 'r3d.pkl'}",
        f"--output_path={out / 'scores'}",
    ]
    mounts = Mount(inputs.folder), Mount(PROGRAMS), Mount(out, writable=True)
    done = image.run(
        ["-m", "vmz.legacy", "--py2", str(program), *flags], *mounts, PYTHONPATH=f"{PROGRAMS}/own_lib/lib:/vmz/lib"
    )
    assert done.status == 0, done.errors
    check_quiet(done)
    assert "Test accuracy: " in done.output and (out / "scores").is_file()


@slow
@each
@pytest.mark.parametrize("writer", [one for one in WRITERS if one.name in ("test_net", "train_net", "extract npz")])
def test_two_processes_need_the_loopback_alone(image: Image, writer: Writer, inputs: Inputs, out: Path) -> None:
    for engine in IMAGES[image.name]:
        if (writer.name, engine) == ("train_net", "caffe2"):
            continue  # trains on several devices in one process, and only on GPUs
        (out / engine).mkdir()
        os.chown(out / engine, USER, USER)
        # Without both, today's torchrun waits for an address of the machine's name, which nothing resolves here.
        place = ["--master_addr=127.0.0.1", "--master_port=29500"]
        torchrun = ["-m", "torch.distributed.run", "--nproc_per_node=2", *place]
        arguments = [*torchrun, *command(writer, engine, inputs, out / engine)]
        done = image.run(arguments, Mount(inputs.folder), Mount(out, writable=True), loopback=True)
        assert done.status == 0, done.errors
        assert "Traceback" not in done.errors
        assert any((out / engine).iterdir())


CLEAN = (
    "no setuid or setgid bit; only /tmp may be written by everybody; no compiler, no program that fetches, "
    "no cache, no key"
)
PROBE = """
import pathlib, socket
for folder in {folders}:
    try:
        pathlib.Path(folder, "probe").write_text("")
        print(folder)
    except OSError as error:
        assert error.errno in (13, 30), error
status = pathlib.Path("/proc/self/status").read_text()
print([line.split()[1] for line in status.splitlines() if line.startswith(("Uid", "CapEff", "CapBnd", "NoNewPrivs"))])
"""
REACHED = "import socket; socket.create_connection(('{address}', 9), 5)"


@slow
@each
def test_the_container_is_what_it_should_be(image: Image, inputs: Inputs, out: Path) -> None:
    folders = ["/", "/vmz", "/opt/vmz", "/home/vmz", "/var/tmp", "/run", "/dev", "/tmp", str(inputs.folder), str(out)]
    done = image.run(["-c", PROBE.format(folders=folders)], Mount(inputs.folder), Mount(out, writable=True))
    assert (done.status, done.packets) == (0, 0), done.errors
    assert done.output.splitlines() == ["/tmp", str(out), "['1000', '0000000000000000', '0000000000000000', '1']"]


@slow
@each
def test_an_address_that_is_tried_is_counted(image: Image) -> None:
    for address, loopback in (("192.0.2.1", True), ("192.0.2.1", False), ("127.0.0.1", False), ("2001:db8::1", True)):
        done = image.run(["-c", REACHED.format(address=address)], loopback=loopback)
        assert done.status == 1 and done.packets > 0, address


@slow
@each
def test_the_scan(image: Image) -> None:
    """As root, which alone sees every folder; a fault that is put into the image is found."""
    reading = "-all,+dac_override"
    done = image.run(["docker/scan_image.py"], user=0, rights=reading)
    assert (done.status, done.output) == (0, f"/: {CLEAN}\n")
    added = image.root / "usr" / "bin" / "added"
    added.write_text("")
    try:
        added.chmod(0o4755)
        done = image.run(["docker/scan_image.py"], user=0, rights=reading)
    finally:
        added.unlink()
    assert done.status == 1 and "/usr/bin/added: has a setuid or setgid bit" in done.output
