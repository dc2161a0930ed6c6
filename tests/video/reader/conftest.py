import pytest

from tests.video.reader.small_databases import encode


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Eight small videos of 20 frames each, all different."""
    folder = tmp_path_factory.mktemp("videos")
    return [encode(folder / f"{number}.mp4", 20, 25 * number) for number in range(8)]
