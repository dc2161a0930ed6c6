"""Published models and architectures by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from vmz import zoo
from vmz.datasets.transform import Transform
from vmz.errors import UsageError
from vmz.model.card import Card
from vmz.models import registry
from vmz.models.config import ModelConfig
from vmz.models.registry import ALL_NAMES, Model
from vmz.settings.model import ModelSettings
from vmz.settings.network import model_config
from vmz.zoo.labels import LabelSet, labels_of
from vmz.zoo.labels import labels as label_set


def list_models(pattern: str = "*", *, data: Optional[str] = None, released: bool = False) -> list[str]:
    """Names of published models, in the order of the published tables.

    pattern: as in a shell, with '-' for '_'. data: trained or pre-trained on it, such as "kinetics" or "ig-65m";
    released: only those whose weights were published. Raises UsageError for data that no model was trained on.

    >>> list_models("ir-csn-50*")
    ['ir_csn_50_kinetics_from_scratch', 'ir_csn_50_pretrained_ig65m', 'ir_csn_50_ft_kinetics_from_ig65m']
    """
    wanted = pattern.lower().replace("-", "_")
    return [
        row.name
        for row in zoo.select(None, data)
        if fnmatch.fnmatchcase(row.name, wanted) and (row.file is not None or not released)
    ]


def list_architectures() -> list[str]:
    """Names that `build` takes.

    >>> list_architectures()[:2]
    ['c3d', 'ip-csn']
    """
    return list(ALL_NAMES)


def build(model_name: str, model_depth: int = 18, *, is_test: bool = True, **arguments: Any) -> Model:
    """A network as NetDefs, without weights. arguments: of ModelConfig, such as num_labels or clip_length.

    Raises UsageError for a network that there is not.

    >>> len(build("r3d", 18, num_labels=400).net.op)
    72
    """
    return registry.build(ModelConfig(model_name=model_name, model_depth=model_depth, **arguments), is_test=is_test)


def labels(name: str) -> list[str]:
    """The class names of a data set, in the order of the labels. Raises UsageError where they are not known.

    >>> labels("kinetics-400")[399]
    'zumba'
    """
    return list(label_set(name).names)


@dataclass(frozen=True)
class Weights:
    """What is known of a published model: `weights("ir_csn_152_ft_kinetics_from_ig65m")`."""

    row: zoo.ZooRow

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def sources(self) -> list[str]:
        """The addresses that are asked for the file, in order. UsageError for a model that was never released."""
        return zoo.sources(self.row)

    @property
    def settings(self) -> ModelSettings:
        """Network and clips as published. Raises UsageError where something that matters was not published."""
        return ModelSettings.resolved(zoo=self.row.name)

    @property
    def config(self) -> ModelConfig:
        return model_config(self.settings)

    @property
    def labels(self) -> Optional[LabelSet]:
        """The class names with their source; None where they were not published."""
        return labels_of(self.row)

    @property
    def meta(self) -> Mapping[str, Any]:
        """Figures as published, data, frame rate, protocol, class names, licence, paper, remarks; None: not known."""
        row, names, facts = self.row, self.labels, zoo.facts(self.row)
        return {
            "categories": None if names is None else list(names.names),
            "categories_source": None if names is None else names.source,
            "train_data": row.train_data,
            "pretrain_data": row.pretrain_data,
            "input_fps": row.input_fps,
            "published": vars(row.published),
            "protocol": row.protocol,
            "flags": dict(zoo.protocol_flags(row, zoo.PUBLISHED)),
            "licence": facts.get("licence"),
            "paper": facts.get("paper"),
            "sha256": row.sha256,
            "bytes": row.bytes,
            "source": row.source,
            "remarks": list(row.remarks),
        }

    def transforms(self) -> Transform:
        """From frames to a clip, as the model was tested."""
        return Transform(self.settings)

    def path(self, download: bool = True) -> Path:
        """The file in the cache; fetched where it is not there, or UsageError with download=False."""
        if not download and zoo.cached(self.row) is None:
            raise UsageError(f"{self.row.name} is not in the cache, {zoo.folder()}; download=True fetches it")
        return zoo.fetch(self.row)

    @property
    def card(self) -> str:
        """What is known of it, for people, as Markdown."""
        return Card.of_row(self.row).markdown()


def weights(name: str) -> Weights:
    """A published model by its name or that of its file. Raises UsageError, naming the closest ones."""
    return Weights(zoo.find(name))
