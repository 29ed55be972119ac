"""Captions from preparation to their tables, on made pictures with exact sentences: a network learns to say what is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tasks import config
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.datasets.records import Item, Raw
from tasks.evaluate import evaluate
from tasks.kinds.caption import measure
from tasks.preprocess import prepare
from tasks.profile import Profile
from tasks.train import train
from tests import backbone

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


def experiment(pretrained: dict[str, str], network: str = "caption", **architecture: Any) -> dict[str, Any]:
    """A block that trains in a second."""
    own = {"network": network, "architecture": architecture, "after": "none", "judge": "none", "sweep": "none", "published": []}
    recipe = {
        "epochs": 30, "batch_size": 8, "loss": "cross-entropy", "optimizer": {"name": "adamw", "lr": 0.005}, "precision": "fp32",
        "pretrained": pretrained, "schedule": {"name": "constant"}, "measure_every": 30,
    }  # fmt: skip
    if network == "caption_neighbours":
        recipe |= {"epochs": 1, "batch_size": 999, "measure_every": 1}
    return {"system": "caption", "data": "made", "seeds": [0], **own, "train": recipe}


def made(name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """A picture of one colour, and two sentences that say so."""
    colour = name.split("-")[0]
    return np.full((64, 64, 3), COLOURS[colour], np.uint8), (f"A {colour} square.", f"This picture is all {colour}")


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    from tasks.datasets import readers

    splits: Any = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    items = {f"{colour}-{n}": Item(split, sentences=made(colour)[1]) for colour in COLOURS for n, split in enumerate(splits)}
    raw = Raw(items, lambda: ((name, made(name)[0]) for name in items))
    monkeypatch.setattr(readers, "read", lambda folder, block: raw)
    folder = tmp_path / "data" / "raw" / "flickr8k"
    folder.mkdir(parents=True)
    write_json(folder / "origin.json", {"origin": "made", "licence": "none"})
    pretrained = backbone.publish(tmp_path, monkeypatch)
    params = {
        "root": ".", "device": "cpu", "download": {"flickr8k": {}},
        "preprocess": {"made": {"dataset": "flickr8k", "task": "caption", "size": 64, "length": 8, "sentences": 3, "least": 1}},
        "experiments": {"attention": experiment(pretrained, width=32, dropout=0.0), "neighbours": experiment(pretrained, "caption_neighbours")},
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    found = config.load(tmp_path)
    prepare(found, "made")
    return found


def test_a_network_learns_to_say_what_is_there(profile: Profile) -> None:
    train(profile, "attention")
    result = evaluate(profile, "attention")
    assert result["task"] == "caption"
    expected = {"cider", "bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "distinct", "copied", "words", "exact"}
    assert result["metrics"].keys() == expected
    assert result["val_metrics"].keys() == {"loss", "cider", "bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "words"}
    assert result["metrics"]["exact"] == 1
    folder = profile.results("attention")
    rows = pd.read_csv(folder / "tables" / "per_image.csv")
    assert [*rows.columns] == ["file", "sentence", "cider", "rouge_l"]
    for file, sentence in zip(rows["file"], rows["sentence"]):
        assert file.split("-")[0] in sentence.split()
    intervals = pd.read_csv(folder / "tables" / "intervals.csv")
    assert [*intervals["metric"]] == ["bleu4", "cider", "rouge_l"]
    assert (intervals["low"] <= intervals["value"]).all()
    assert (intervals["value"] <= intervals["high"]).all()
    for name in ("captions.png", "attention.png", "words.png", "curves.png"):
        assert (folder / "plots" / name).stat().st_size > 1000


def test_a_network_learns_from_what_its_own_sentences_score(profile: Profile) -> None:
    """After epochs that learn words; the rewards of both of them are those of CIDEr-D, and rise or stay at the best."""
    block = yaml.safe_load((profile.folder / "params.yaml").read_text())
    block["experiments"]["attention"]["train"] |= {
        "epochs": 12,
        "self_critical": {"epochs": 4, "samples": 3},
        "measure_every": 12,
    }
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(block))
    train(config.load(profile.folder), "attention")
    history = pd.read_csv(profile.results("attention") / "history.csv")
    rewards = history["train_reward"]
    assert rewards.notna().tolist() == [False] * 8 + [True] * 4
    assert (history["train_loss"].iloc[8:] == -rewards.iloc[8:]).all()
    assert 0 < rewards.iloc[8] <= rewards.iloc[11]
    assert history["val_cider"].iloc[11] > 0
    block["experiments"]["attention"]["train"]["self_critical"]["epochs"] = 12
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(block))
    with pytest.raises(Error, match=r"self_critical\.epochs: 12 of 12 epochs; some have to learn sentences first"):
        config.load(profile.folder)


def test_neighbours_say_what_people_said(profile: Profile) -> None:
    train(profile, "neighbours")
    result = evaluate(profile, "neighbours")
    assert result["metrics"]["copied"] == 1
    assert result["metrics"]["exact"] > 0.3
    assert not (profile.results("neighbours") / "plots" / "attention.png").exists()


def test_a_network_that_asks_people_s_sentences_is_trained_and_says_what_is_there(profile: Profile) -> None:
    block = yaml.safe_load((profile.folder / "params.yaml").read_text())
    pretrained = block["experiments"]["attention"]["train"]["pretrained"]
    block["experiments"]["consensus"] = experiment(
        pretrained, "caption_consensus", width=32, dropout=0.0, neighbours=4, common=4, beam=5
    )
    (profile.folder / "params.yaml").write_text(yaml.safe_dump(block))
    found = config.load(profile.folder)
    train(found, "consensus")
    assert evaluate(found, "consensus")["metrics"]["exact"] == 1
    assert (profile.results("consensus") / "plots" / "attention.png").exists()


def test_names_that_are_right_are_counted_in_their_order() -> None:
    people = [[["a", "seven", "above", "a", "three"]], [["a", "one"]]]
    names = {"seven", "three", "one", "above", "left"}
    assert measure.named([["seven", "above", "three"], ["two"]], people, names) == 0.75
    assert measure.named([["three", "above", "seven"], ["one"]], people, names) == 0.5


def test_a_sweep_may_go_by_cider_and_mirror_images_are_refused_where_left_is_said(profile: Profile) -> None:
    block = experiment({"source": "package"}, width=16)
    recipe = {**block["train"], "measure_every": 1}
    sweep = {
        "system": "caption", "data": "made", "network": "caption", "architecture": {"width": 16}, "train": recipe,
        "space": {"architecture.dropout": {"float": [0.1, 0.5]}}, "objective": {"name": "cider"}, "trials": 2,
        "scheduler": {"grace": 1}, "time_budget": 60, "seed": 0,
    }  # fmt: skip
    found = config.load(profile.folder, {"sweeps": {"search": sweep}})
    assert found.params.sweeps["search"].objective.metric == "cider"
    flipped = {**block, "train": {**block["train"], "augment": {"flip": True}}}
    config.load(profile.folder, {"experiments": {"flipped": flipped}})
    scenes = {"preprocess": {"made": {"dataset": "scenes-words"}}, "download": {"scenes-words": {}}}
    with pytest.raises(
        Error, match=r"experiments\.flipped\.train\.augment\.flip: the sentences of scenes-words say what is left"
    ):
        config.load(profile.folder, {**scenes, "experiments": {"flipped": flipped}})
