import re
from urllib.parse import urlsplit

import pytest

from tasks.datasets import supply
from tasks.datasets.sources import DATASETS, Dataset, File

ALL = [(name, file) for name, dataset in DATASETS.items() for file in dataset.files]


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_a_licence_a_home_and_one_kind_of_source(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.licence
    assert dataset.home.startswith("http")
    assert bool(dataset.files) != bool(dataset.packaged)
    names = [file.name for file in (*dataset.files, *dataset.packaged)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "file"), ALL, ids=[f"{name}/{file.name}" for name, file in ALL])
def test_a_hash_says_where_it_was_published(name: str, file: File) -> None:
    assert bool(file.sha256) == bool(file.published) == bool(file.size)
    if file.sha256:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    for url in file.urls:
        assert urlsplit(url).scheme in ("http", "https")
        assert urlsplit(url).netloc
    # Without a URL a user is told what to do; without a hash only what can be checked by parsing or decoding comes from a URL.
    assert file.urls or DATASETS[name].by_hand
    assert file.sha256 or not file.urls or supply.check_of(file)


def test_two_files_do_not_share_a_hash_unless_they_are_members_of_one_archive() -> None:
    # A data set that is made of others lists their very files.
    files = {(file.sha256, file.name, file.size, file.urls, file.member) for _, file in ALL if file.sha256}
    hashes = [sha256 for sha256, *_, member in files if not member]
    members = [(sha256, member) for sha256, *_, member in files if member]
    archives = {(file.sha256, file.size, file.urls) for _, file in ALL if file.member}
    hashes += [sha256 for sha256, _, _ in archives]
    assert len(set(hashes)) == len(hashes)
    assert len(set(members)) == len(members)


def test_what_a_mirror_may_have_in_place_of_the_files_is_told_from_them_by_its_names() -> None:
    for dataset in DATASETS.values():
        files, repacked = ({file.name for file in listed} for listed in (dataset.files, dataset.repacked))
        assert not repacked or (files - repacked and repacked - files)
        # Sets that are made of others may share those of them that are as published.
        assert dataset.within or not files & repacked
        assert all(name in DATASETS for name in dataset.within)


def test_images_are_listed_by_files_of_their_data_set() -> None:
    with_images: list[Dataset] = [dataset for dataset in DATASETS.values() if dataset.images]
    assert with_images
    for dataset in with_images:
        for images in dataset.images:
            assert images.annotations in {file.name for file in dataset.files}
            assert all(url.endswith(f"/{images.folder}/") for url in images.urls)
