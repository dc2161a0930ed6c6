"""What a server is: the model and its views, where it listens, and what it takes from whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from vmz.prediction.config import ScoringConfig
from vmz.settings.kinds import Integer, positive, switch
from vmz.settings.setting import changed, setting


@dataclass(frozen=True)
class ServeConfig(ScoringConfig):
    """The settings of `vmz serve`, by the names of its flags. attention: None is 1 where it can be shown."""

    top_k: int = changed(ScoringConfig, "top_k", 5, "number of classes to show for each video")
    attention: Optional[int] = setting(
        None,
        "1: show where the network looked (Grad-CAM), for which a second copy of the network is in memory; by default "
        "1 with --engine=pytorch, and 0 with caffe2, which cannot, and for networks that take no RGB",
        switch,
    )
    host: str = setting(
        "127.0.0.1",
        "address or name to listen at. 127.0.0.1: this machine alone; 0.0.0.0: all networks of this machine. There is "
        "no password: whoever reaches the address can use it",
        metavar="ADDRESS",
    )
    port: int = setting(8000, "port to listen at; 0: a free one", Integer(0, 65535))
    allow_host: tuple[str, ...] = setting(
        None,
        "names, besides localhost, addresses and the name of this machine, under which browsers may ask for the page: "
        "of a proxy in front of it, say",
        metavar="NAME",
        several=True,
    )
    max_upload_mb: int = setting(200, "size of the largest video that is taken, in MB", Integer(1, 1 << 20))
    queue: int = setting(8, "videos that may wait while another one is predicted; more are refused", Integer(0, 10_000))
    request_timeout: int = setting(
        600, "seconds after which a prediction is given up; as many are allowed for the upload of a video", positive
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attention is None:
            object.__setattr__(self, "attention", int(self.engine == "pytorch" and self.shows_pictures))
        self.check_attention()

    @property
    def most_bytes(self) -> int:
        return self.max_upload_mb * 1_000_000

    def shown(self) -> dict[str, Any]:
        """{flag: value} for those who use the server: of files the names, not where on this machine they lie."""
        flags = self.flags()
        for name in ("load_model_path", "label_names"):
            if flags.get(name):
                flags[name] = str(flags[name]).rpartition("/")[2]
        return {name: value for name, value in flags.items() if name not in NOT_HERE}


# Settings of a database, of which there is none here, of batches, and of what becomes of a bad video: it is answered.
NOT_HERE = frozenset({"test_data", "use_local_file", "image_as_input", "batch_size", "on_bad_video"})
