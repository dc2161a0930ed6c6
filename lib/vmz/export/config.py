"""What an export is: the model, its clips and the files in one checked object."""

from __future__ import annotations

from dataclasses import dataclass

from vmz.settings.kinds import switch
from vmz.settings.model import ModelSettings
from vmz.settings.setting import setting


@dataclass(frozen=True)
class ExportConfig(ModelSettings):
    """The settings of `vmz export`, by the names of its flags."""

    output: tuple[str, ...] = setting(
        None,
        "what to write; the extension says the form. .onnx: ONNX; .pt2: torch.export; .pb or .pbtxt: Caffe2's predict "
        "net, and its init net beside it; .mdl: Caffe2's predictor export; .safetensors, .pkl or a folder (name/): a "
        "model for --load_model_path of VMZ's tools",
        metavar="FILE",
        several=True,
    )
    verify: int = setting(1, "0: do not read the file back and compare its scores with the model's", switch)
    random_weights: int = setting(0, "1: an untrained network, without a file of weights", switch)
