"""The loop of docs/guide/python.md, as it stands there: twelve lines at most, and it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import vmz
from tests.docs.blocks import ROOT, blocks_of
from tests.docs.prepared import DEMO_WEIGHTS, PROTOCOL
from tests.support.motion import CLASSES, make_videos
from vmz.checkpoints.loading import save
from vmz.checkpoints.pickles import load_pickle

MOTIONS = ("in", "up")  # which mirrored clips still show


@pytest.mark.long
def test_twelve_lines_fine_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [one for one in blocks_of(ROOT / "docs" / "guide" / "python.md") if "optimizer.step()" in one.text]
    lines = [line for line in block.text.splitlines() if line.strip()]
    assert len(lines) <= 12 and not any(";" in line for line in lines)
    monkeypatch.chdir(tmp_path)
    for label, motion in enumerate(MOTIONS):
        (tmp_path / "my_videos" / motion).mkdir(parents=True)
        for number in range(3):
            content = make_videos.make_video(motion, (2, number, label))
            (tmp_path / "my_videos" / motion / f"{number}.mp4").write_bytes(content)
    (tmp_path / "runs").mkdir()
    about = {"labels": CLASSES, "protocol": PROTOCOL}
    save(tmp_path / "runs" / "r2plus1d_best.pkl", load_pickle(DEMO_WEIGHTS), about=about)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(compile(block.text, block.name, "exec"), names)
    model = names["model"]
    before: Any = vmz.load_model("runs/r2plus1d_best.pkl", num_classes=2, device="cpu")
    before.train()
    assert loss_of(model) < 0.8 * loss_of(before)
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before.get_parameter(name))]
    assert len(moved) == len(list(model.parameters()))
    (first,) = model.eval().predict(f"my_videos/{MOTIONS[0]}/0.mp4", top_k=1).top
    assert first.label == 0


def loss_of(model: Any) -> float:
    """Of the middle clips, normalised by the batch, as in training."""
    data = vmz.datasets.VideoDataset("my_videos", model.transform)
    clips, labels = zip(*(data[number] for number in range(len(data))))
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(model(torch.stack(clips)), torch.tensor(labels)))
