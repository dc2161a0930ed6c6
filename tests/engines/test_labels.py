"""Labels that are no class: one sentence from the host, whatever the engine, before a device sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.engines.small_training import LABELS, small_batch, small_build, small_training
from vmz.engines.labels import label_classes
from vmz.engines.registry import open_engine, open_trainer
from vmz.engines.torch_engine import engine as torch_engine
from vmz.errors import LabelError
from vmz.netdef.builder import device_option

ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_caffe2)]
SENTENCE = f"label {LABELS} is not one of the {LABELS} classes, 0 to {LABELS - 1}"


def network(**kind: Any) -> Any:
    return small_build(**kind)("", device_option(), 1.0)


def test_only_labels_that_are_class_numbers_are_found() -> None:
    model = network()
    assert label_classes(model.net, dict(model.params)) == {"label": LABELS}
    several = network(multi_label=True)
    assert label_classes(several.net, dict(several.params)) == {}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("wrong", [LABELS, -1])
def test_a_trainer_refuses_them(engine: str, wrong: int) -> None:
    with open_trainer(engine) as trainer:
        training = small_training(deterministic=engine == "pytorch")
        trainer.load(small_build(), training, seed=1)
        batch = small_batch(1)
        trainer.feed("data", batch["data"])
        labels = batch["label"].copy()
        labels[2] = wrong
        with pytest.raises(LabelError, match=f"label {wrong} is not one of the {LABELS} classes"):
            trainer.feed("label", labels)
        trainer.feed("label", batch["label"])
        assert trainer.step().iteration == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_refuses_them_only_where_the_loss_is_wanted(engine: str) -> None:
    model, batch = network(), small_batch(1)
    labels = np.full_like(batch["label"], LABELS)
    for keep, refuses in (("final_avg", False), ("loss", True)):
        with open_engine(engine) as opened:
            opened.load(model.param_init_net, model.net, keep=[keep])
            opened.feed("data", batch["data"])
            opened.feed("label", labels)
            if not refuses and engine == "caffe2":
                continue  # a net with is_test=0 computes all its blobs there
            if refuses:
                with pytest.raises(LabelError, match=SENTENCE):
                    opened.run()


def test_the_device_never_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU would be given: nothing is computed after the check failed."""
    model, batch = network(), small_batch(1)
    computed: list[object] = []

    def computing_in(precision: object) -> None:
        computed.append(precision)
        pytest.fail("computed")

    monkeypatch.setattr(torch_engine, "computing_in", computing_in)
    with open_engine("pytorch") as opened:
        opened.load(model.param_init_net, model.net, keep=["loss"])
        opened.feed("data", batch["data"])
        opened.feed("label", np.full_like(batch["label"], LABELS))
        with pytest.raises(LabelError, match=SENTENCE):
            opened.run()
    assert not computed
