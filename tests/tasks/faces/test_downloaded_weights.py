from pathlib import Path

import pytest

from tasks import config
from tasks.common.errors import Error
from tasks.faces.face_weights import place
from tasks.params.face_settings import Weights
from tasks.profile import Profile
from tests.tasks.server import Page, Server, sha256


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    (tmp_path / "params.yaml").write_text("{root: ., device: cpu, download: {}, preprocess: {}, experiments: {}}")
    return config.load(tmp_path)


def test_files_of_one_name_from_two_urls_are_two_files(server: Server, profile: Profile) -> None:
    server.pages = {"/a/best.pt": Page(b"the one"), "/b/best.pt": Page(b"the other")}
    urls = [server.url + path for path in ("/a/best.pt", "/b/best.pt", "/a/best.pt?edition=2")]
    paths = [place(profile, "faces", Weights(source="url", url=url)) for url in urls]
    assert [path.read_bytes() for path in paths[:2]] == [b"the one", b"the other"]
    assert len(set(paths)) == 3
    assert all(path.name.endswith("-best.pt") for path in paths)
    server.seen.clear()
    again = place(profile, "faces", Weights(source="url", url=f"{server.url}/b/best.pt"))
    assert (again, server.seen) == (paths[1], [])


def test_a_file_with_a_hash_is_kept_by_it(server: Server, profile: Profile) -> None:
    server.pages = {"/a/best.pt": Page(b"the one"), "/b/best.pt": Page(b"the other")}
    weights = Weights(source="url", url=f"{server.url}/a/best.pt", sha256=sha256(b"the one"))
    assert place(profile, "faces", weights).name == f"{sha256(b'the one')[:12]}-best.pt"
    with pytest.raises(Error, match=r"best.pt could not be had(?s:.)*wrong SHA-256"):
        place(profile, "faces", Weights(source="url", url=f"{server.url}/b/best.pt", sha256=sha256(b"a third")))
