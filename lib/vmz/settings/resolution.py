"""Where each setting of a run comes from, so that a checkpoint is not tested with others than it was trained with.

In this order: a flag given by hand, --config, --zoo, the protocol that a checkpoint of ours holds, the published model
whose file name a checkpoint has, its blobs, the classes of the data (vmz.datasets.listed_data), the tool's default.
What a --zoo or a --protocol given by hand sets comes before --config. `resolve` is for the tools and for Python.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional, TypeVar

from vmz import zoo
from vmz.checkpoints.evidence import Fact
from vmz.errors import UsageError, VmzError
from vmz.models.config import CROPS
from vmz.netdef.video_outputs import OPTICAL_FLOW, RGB, RGB_AND_SOUND, SOUND
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import (
    FlowSettings,
    ReaderSettings,
    SoundSettings,
    ViewSettings,
)
from vmz.settings.self_description import SelfDescription, read_description
from vmz.settings.setting import Settings, setting, settings_of

COMMAND_LINE, CONFIG, ZOO, CHECKPOINT, PUBLISHED_FILE, BLOBS, DATA, DEFAULT = SOURCES = (
    "command line", "--config", "--zoo", "checkpoint", "published file", "blobs", "data", "default",
)  # fmt: skip

# What belongs to a machine or to the data at hand, not to a network or its test.
_MACHINE = {
    "use_cudnn", "test_data", "batch_size", "num_decode_threads", "video_timeout", "use_local_file", "on_bad_video",
    "on_missing_audio",
}  # fmt: skip
VIEWS = {"clip_per_video", "crop_per_clip", "aggregation"}
_COSTS = {"batch_size", "crop_per_inference"}  # of a published model: what its size asks for; no score depends on them
_OF_TRAINING = {"g_blend"}  # the score is the same with and without the other heads
NETWORK = set(settings_of(NetworkSettings)) - _MACHINE - _OF_TRAINING
INPUT = set(settings_of(ReaderSettings, ViewSettings)) - _MACHINE - VIEWS
FLOW = set(settings_of(FlowSettings)) - {"input_type"}
HEARD = {*settings_of(SoundSettings), "audio_input_3d"}


@dataclass(frozen=True)
class Use:
    """What a tool takes from elsewhere than its command line.

    takes: settings, of a published model, a checkpoint and its blobs alike. protocol: of a published model where
    --protocol is not given; None for a tool that does not test (it takes the input of the fast one). from_zoo: settings
    taken from --zoo alone. with_zoo: what --zoo means besides its row. not_rows: settings that a published model has
    for tests only.
    """

    takes: frozenset[str]
    protocol: Optional[str] = zoo.FAST
    from_zoo: frozenset[str] = frozenset()
    with_zoo: Mapping[str, Any] = field(default_factory=dict)
    not_rows: frozenset[str] = frozenset()


TESTING = Use(frozenset(NETWORK | INPUT | VIEWS | _COSTS | {"top_k"}), zoo.PUBLISHED)
FEATURES = Use(frozenset(NETWORK | INPUT | {"crop_per_clip", "batch_size"}))
# A checkpoint gives the network and its input. Labels, the head and how to train are the new data's.
_HEAD = {"num_labels", "multi_label", "pred_layer_name", "use_dropout", "use_convolutional_pred"}
TRAINING = Use(
    frozenset((NETWORK | INPUT) - _HEAD),
    protocol=None,
    from_zoo=frozenset({"num_labels", "epoch_size", "batch_size"}),
    with_zoo={"epoch_size": 0},  # one pass over the data at hand, not the 110,000 clips of the published runs
    # Training keeps the aspect, the tests of the 112 pixel models did not; and a batch of 1 is a test's.
    not_rows=frozenset({"video_res_type", "batch_size"}),
)


@dataclass(frozen=True)
class Sourced:
    """A value and which of SOURCES it comes from."""

    value: Any
    source: str


@dataclass(frozen=True)
class Resolution:
    """What `resolve` found out.

    settings: by flag. protocol: PUBLISHED or FAST where a published model is concerned. row: that of --zoo, or else of
    the checkpoint's file name. differences: settings that are not those of the training or the publication
    (`reference` says which). labels: names of the classes, which the checkpoint holds.
    """

    settings: Mapping[str, Sourced]
    protocol: Optional[str] = None
    row: Optional[zoo.ZooRow] = None
    checkpoint: Optional[SelfDescription] = None
    differences: tuple[str, ...] = ()
    reference: str = ""
    labels: Optional[tuple[str, ...]] = None

    def values(self) -> dict[str, Any]:
        """{flag: value}."""
        return {flag: setting.value for flag, setting in self.settings.items()}

    def of(self, source: str) -> dict[str, Any]:
        """{flag: value} of one source, without settings of optical flow or of sound where there is none."""
        idle = idle_settings(self.settings["input_type"].value) if "input_type" in self.settings else set()
        return {
            flag: setting.value
            for flag, setting in self.settings.items()
            if setting.source == source and flag not in idle
        }

    def changed(self, flag: str, value: Any, source: str) -> Resolution:
        """The same with another value of a setting."""
        return replace(self, settings={**self.settings, flag: Sourced(value, source)})

    def to_json(self) -> dict[str, Any]:
        """As results hold it."""
        return {
            "protocol": self.protocol,
            "published_model": self.row.name if self.row else None,
            "checkpoint": self.checkpoint.path if self.checkpoint else None,
            "sources": {
                flag: {"value": setting.value, "source": setting.source} for flag, setting in self.settings.items()
            },
            "differences": list(self.differences),
            "reference": self.reference or None,
        }


def idle_settings(input_type: Any) -> set[str]:
    """The settings that an --input_type has no use for: of optical flow, of sound."""
    flow = FLOW if input_type in (RGB, SOUND, RGB_AND_SOUND) else set()
    return flow | (HEARD if input_type in (RGB, OPTICAL_FLOW) else set())


def resolve(
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    use: Use = TESTING,
    config: Optional[Mapping[str, Any]] = None,
) -> Resolution:
    """Every setting of a tool that `use` takes, with its source.

    given: {flag: value} by hand, among them zoo, protocol, load_model_path, db_type, eps and allow_partial_load where
    they are; config: the same of --config; defaults: {flag: value} of all flags that the tool has. A checkpoint that is
    not there is left to whoever loads it. Raises UsageError for an unknown --zoo, what was not published and a
    --protocol of no published model; VmzError for a setting that contradicts the blobs, and for a checkpoint that is
    damaged.

    >>> resolve({"zoo": "r2plus1d_d18_l8"}, {"clip_length_rgb": 16, "top_k": 5}).values()
    {'clip_length_rgb': 8, 'top_k': 5}
    """
    by_hand, config = given, config or {}
    given = {**config, **by_hand}
    everything = {**defaults, **given}
    named = zoo.find(given["zoo"]) if given.get("zoo") else None
    path = everything.get("load_model_path")
    checkpoint = None
    if use.takes and path and (os.path.isfile(path) or os.path.isdir(path)):
        checkpoint = read_description(path, everything.get("db_type"), everything.get("eps"))
    filed = zoo.row_of_file(path) if use.takes and path else None
    if given.get("protocol") and named is None and filed is None and not (checkpoint and checkpoint.fast):
        raise UsageError(
            f"--protocol={given['protocol']} applies to published models, but there is no --zoo, and the checkpoint "
            "has no published file name; name the model with --zoo, or leave --protocol out"
        )
    protocol = _protocol(by_hand, config, use, named or filed, checkpoint)
    stored = _stored(checkpoint, protocol, use)
    layers: dict[str, Mapping[str, Any]] = {
        COMMAND_LINE: by_hand,
        CONFIG: _beside(by_hand, config, use),
        ZOO: {**_row_flags(named, protocol, use), **(use.with_zoo if named is not None else {})},
        CHECKPOINT: stored,
        PUBLISHED_FILE: _row_flags(filed, protocol, use),
        BLOBS: {fact.flag: fact.value for fact in checkpoint.facts if fact.known} if checkpoint else {},
        DEFAULT: defaults,
    }
    settings = {flag: _first(flag, layers, use) for flag in defaults if flag in use.takes or flag in use.from_zoo}
    if named is not None:
        told = {flag for flag, setting in settings.items() if setting.source != DEFAULT}
        absent = {flag for flag in named.flags if flag not in defaults}
        zoo.refuse_unpublished(named, told | absent)
    if checkpoint is not None and not everything.get("allow_partial_load"):
        _refuse_contradictions(settings, checkpoint, named, filed, use, "allow_partial_load" in defaults)
    reference, whose = _reference(checkpoint, filed or named, use, protocol, stored)
    values = {flag: setting.value for flag, setting in settings.items()}
    row = named or filed
    return Resolution(
        settings=settings,
        protocol=protocol if row is not None and use.protocol is not None else None,
        row=row,
        checkpoint=checkpoint,
        differences=tuple(_differences(values, reference, use)),
        reference=whose,
        labels=_labels(checkpoint, values.get("num_labels")),
    )


def _stored(checkpoint: Optional[SelfDescription], protocol: str, use: Use) -> Mapping[str, Any]:
    """The settings that a checkpoint holds; those of a saved model are a test's, as those of a published one are."""
    if checkpoint is None or not checkpoint.saved:
        return checkpoint.protocol if checkpoint else {}
    found = checkpoint.settings(fast=protocol == zoo.FAST)
    return {flag: value for flag, value in found.items() if flag not in use.not_rows}


def _protocol(
    by_hand: Mapping[str, Any],
    config: Mapping[str, Any],
    use: Use,
    row: Optional[zoo.ZooRow],
    checkpoint: Optional[SelfDescription],
) -> str:
    """--protocol, or the tool's; a crop given by hand that no fully convolutional network takes means the fast one.

    So does such a crop in --config, unless it is that of the published test: a file of settings has them all.
    """
    given = {**config, **by_hand}
    if given.get("protocol"):
        return str(given["protocol"])
    published = _row_flags(row, zoo.PUBLISHED, use) or (checkpoint.protocol if checkpoint else {})
    if not by_hand.keys() & {"crop_size", "use_convolutional_pred"}:
        given = {flag: value for flag, value in given.items() if value != published.get(flag, 0)}
    centre = given.get("crop_size") in CROPS or given.get("use_convolutional_pred") == 0
    return zoo.FAST if centre or use.protocol is None else use.protocol


def _beside(by_hand: Mapping[str, Any], config: Mapping[str, Any], use: Use) -> Mapping[str, Any]:
    """--config, without all that published models set where a --zoo or a --protocol is given by hand beside it."""
    if not (by_hand.get("zoo") or by_hand.get("protocol")):
        return config
    anew = {flag for row in zoo.rows() for kind in zoo.PROTOCOLS for flag in zoo.protocol_flags(row, kind)}
    anew = (anew & (use.takes | use.from_zoo)) - use.not_rows
    return {flag: value for flag, value in config.items() if flag not in anew}


def _row_flags(row: Optional[zoo.ZooRow], protocol: str, use: Use) -> dict[str, Any]:
    flags = zoo.protocol_flags(row, protocol) if row is not None else {}
    return {flag: value for flag, value in flags.items() if value is not None and flag not in use.not_rows}


def _first(flag: str, layers: Mapping[str, Mapping[str, Any]], use: Use) -> Sourced:
    for source, layer in layers.items():
        if source in (CHECKPOINT, PUBLISHED_FILE, BLOBS) and flag not in use.takes:
            continue
        if layer.get(flag) is not None and not (flag in _COSTS and source == CHECKPOINT):
            return Sourced(layer[flag], source)
    return Sourced(layers[DEFAULT].get(flag), DEFAULT)


def _refuse_contradictions(
    settings: Mapping[str, Sourced],
    checkpoint: SelfDescription,
    named: Optional[zoo.ZooRow],
    filed: Optional[zoo.ZooRow],
    use: Use,
    partial: bool,
) -> None:
    origin = {
        ZOO: f" (of --zoo={named.name if named else None})",
        CHECKPOINT: " (its own protocol)",
        PUBLISHED_FILE: f" (of the published model {filed.name if filed else None}, whose file name it has)",
        DEFAULT: " (the default)",
    }
    for fact in checkpoint.facts:
        setting = settings.get(fact.flag)
        if setting is None or fact.flag not in use.takes or setting.source == BLOBS or fact.accepts(setting.value):
            continue
        raise VmzError(
            f"--{fact.flag}={setting.value}{origin.get(setting.source, '')} contradicts {checkpoint.path}, which "
            f"belongs to another network: its blob {fact.blob} {checkpoint.shape_text(fact.blob)} {fact.says}; "
            f"{_advice(fact, setting, partial)}"
        )


def _advice(fact: Fact, setting: Sourced, partial: bool) -> str:
    what = {
        COMMAND_LINE: f"leave --{fact.flag} out" if fact.known else f"give another --{fact.flag}",
        CONFIG: f"give --{fact.flag}, which wins over --config",
        ZOO: "leave --zoo out, or name another model",
        PUBLISHED_FILE: "give the file another name",
        CHECKPOINT: "the file may be damaged",
        DEFAULT: f"give --{fact.flag}",
    }[setting.source]
    return f"{what}; or load another checkpoint" + (" (--allow_partial_load=1 loads what fits)" if partial else "")


def _reference(
    checkpoint: Optional[SelfDescription],
    row: Optional[zoo.ZooRow],
    use: Use,
    protocol: str,
    stored: Mapping[str, Any],
) -> tuple[Mapping[str, Any], str]:
    """What the settings should be, and whose they are."""
    if checkpoint is not None and stored:
        name = os.path.basename(os.path.normpath(checkpoint.path))
        return stored, f"as {name} was {'saved' if checkpoint.saved else 'trained'}"
    if row is not None:
        test = zoo.published_test(row) if zoo.PUBLISHED in (use.protocol, protocol) else {}
        wanted = {flag: value for flag, value in {**row.flags, **test}.items() if flag not in use.not_rows}
        return wanted, f"as {row.name} was published"
    return {}, ""


def _differences(values: Mapping[str, Any], reference: Mapping[str, Any], use: Use) -> Iterable[str]:
    for flag, value in values.items():
        wanted = reference.get(flag)
        if wanted is None or wanted == value or flag not in use.takes or flag in _COSTS or flag == "top_k":
            continue
        if flag in idle_settings(values.get("input_type")):
            continue
        yield f"--{flag}={value} instead of {wanted}"


def _labels(checkpoint: Optional[SelfDescription], num_labels: Any) -> Optional[tuple[str, ...]]:
    labels = checkpoint.labels if checkpoint is not None else None
    return labels if labels is not None and len(labels) == num_labels else None


ResolvedSettings = TypeVar("ResolvedSettings", bound="ZooSettings")


@dataclass(frozen=True)
class ZooSettings(Settings):
    """A published model whose settings are taken. A configuration of a tool inherits this, and has `use`."""

    zoo: Optional[str] = setting(
        None, "published model (see tools/zoo.py list) whose settings are used", metavar="NAME"
    )
    zoo_manifest: Optional[str] = setting(
        None,
        f"manifest of a private zoo, whose names --zoo takes too (several with '{os.pathsep}' between them); the "
        "environment variable VMZ_ZOO names others",
        metavar="FILE",
    )
    resolution: Optional[Resolution] = field(default=None, repr=False, compare=False)  # where the settings come from

    @classmethod
    def use(cls, flags: Mapping[str, Any]) -> Use:
        """What is taken from a checkpoint and a published model, beside {flag: value}."""
        raise NotImplementedError

    @classmethod
    def resolved(cls: type[ResolvedSettings], **given: Any) -> ResolvedSettings:
        """A configuration as the tool makes it: what is not given comes from zoo= and from the file of weights.

        Raises what `resolve` raises, and UsageError for a name that is no setting.
        """
        zoo.use_manifests(given.get("zoo_manifest"))
        if isinstance(given.get("load_model_path"), str):
            given["load_model_path"] = zoo.local_path(given["load_model_path"])
        checked = cls.from_flags(given)
        defaults = {name: known.effective_default() for name, known in settings_of(cls).items()}
        given = {name: getattr(checked, name) for name in given}
        resolution = resolve(given, defaults, cls.use({**defaults, **given}))
        return cls(**{**resolution.values(), **given}, resolution=resolution)

    @property
    def labels(self) -> Optional[tuple[str, ...]]:
        """Names of the classes that the file of weights holds."""
        return None if self.resolution is None else self.resolution.labels

    def sources(self) -> Optional[dict[str, Any]]:
        """Where the settings come from, as results hold it; None of a configuration made by hand."""
        return None if self.resolution is None else self.resolution.to_json()


@dataclass(frozen=True)
class ProtocolSettings(ZooSettings):
    """The same for a tool that tests."""

    protocol: Optional[str] = setting(
        None,
        "test protocol of a published model (--zoo, or a checkpoint with its file name). published: the test "
        "behind its figures, fully convolutional and with three crops for CSN; fast: one centre crop of the size "
        "that the table prints",
        choices=zoo.PROTOCOLS,
    )
