"""Settings of the engine: what runs a net, and on which devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from vmz.cores import available_cores
from vmz.engines.registry import ENGINES, default_engine, used_device
from vmz.errors import UsageError
from vmz.processes import identity
from vmz.settings.kinds import SEED, Integer, device, positive
from vmz.settings.setting import Settings, setting
from vmz.text import counted
from vmz.versions import versions


@dataclass(frozen=True)
class EngineSettings(Settings):
    """What runs the net, and where."""

    engine: str = setting(
        "pytorch",
        "engine that runs the network. caffe2 needs .venv-caffe2 (make setup-caffe2) and trains in one process, "
        "without torchrun. openvino tests networks on the CPU, does not train, and needs the extra openvino: pip "
        'install "vmz[openvino]". The environment variable VMZ_ENGINE sets the default',
        str,
        ENGINES,
        default_engine,
    )
    device: str = setting("auto", "auto (the first GPU, else the CPU), cpu, cuda or cuda:N", device, metavar="DEVICE")
    num_gpus: Optional[int] = setting(
        None,
        "number of GPUs, one process each; 0: the CPU. By default --device decides (the original uses one GPU, "
        "whether there is one or not)",
        Integer(0, 1024),
    )
    gpus: Optional[str] = setting(
        None, "numbers of the GPUs to use, such as 0,1; replaces --num_gpus and --device", str, metavar="N,N"
    )
    num_threads: Optional[int] = setting(
        None, "number of CPU threads of the engine; by default OMP_NUM_THREADS, or else all cores", positive
    )
    seed: int = setting(0, "seed of all random numbers", SEED)


def device_names(settings: EngineSettings) -> tuple[str, ...]:
    """The devices that this process trains on: Caffe2 takes several GPUs, PyTorch one (and torchrun for more)."""
    gpus = gpu_numbers(settings)
    if settings.engine == "caffe2" and gpus and len(gpus) > 1 and identity.world_size() == 1:
        return tuple(f"cuda:{number}" for number in gpus)
    return (device_name(settings),)


def gpu_numbers(settings: EngineSettings) -> Optional[tuple[int, ...]]:
    """The GPUs of a machine that --gpus, or else --num_gpus, means; none for the CPU, None where --device decides.

    Raises UsageError for --gpus that is no list of numbers.
    """
    if settings.gpus is not None:
        numbers = settings.gpus.split(",")
        if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
            raise UsageError(f"--gpus={settings.gpus} is not a list of different GPU numbers, such as 0,1")
        return tuple(int(number) for number in numbers)
    return None if settings.num_gpus is None else tuple(range(settings.num_gpus))


def device_name(settings: EngineSettings) -> str:
    """The one device of this process that --device, --gpus and --num_gpus mean together.

    Of several processes on a machine each has its own GPU. Raises UsageError where there are not as many of them.
    """
    gpus, several = gpu_numbers(settings), identity.local_size() > 1
    asked = f"--gpus={settings.gpus}" if settings.gpus is not None else f"--num_gpus={settings.num_gpus}"
    if gpus is None:
        return _local_device(str(settings.device), several)
    if not gpus:
        return "cpu"
    if len(gpus) > 1 and identity.world_size() == 1:
        raise UsageError(f"{asked}: one process uses one device; with --engine={settings.engine} start it by torchrun")
    if identity.local_rank(len(gpus)) >= len(gpus):
        raise UsageError(
            f"{asked} is too few: each of the {counted(identity.local_size(), 'process')} here takes a GPU"
        )
    return f"cuda:{gpus[identity.local_rank(len(gpus))]}" if several or settings.gpus is not None else "cuda"


def _local_device(device: str, several: bool) -> str:
    if not several or device == "cpu":
        return device
    if device.startswith("cuda:"):
        raise UsageError(
            f"--device={device} would be used by all {counted(identity.local_size(), 'process')} here; give "
            f"--device=cuda, "
            "so that each uses its own, or a list with --gpus"
        )
    from vmz.engines.torch_engine.devices import device_name as own_device  # torch is slow to import

    return own_device(device, each_its_own=True)


def used_devices(settings: EngineSettings) -> str:
    """The devices of this process as the engine found them: "cpu", "cuda:0, cuda:1"."""
    return ", ".join(used_device(settings.engine, name) for name in device_names(settings))


def environment(settings: EngineSettings) -> dict[str, str]:
    """What ran it: versions, engine, and the device that was used, not "auto"."""
    found = versions()
    return {
        "vmz": found.pop("vmz"),
        "engine": settings.engine,
        "device": used_devices(settings),
        "processes": str(identity.world_size()),
        "cores": str(available_cores()),
        **found,
    }
