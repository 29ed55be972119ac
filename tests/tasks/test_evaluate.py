import json
import os
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from scipy.special import softmax
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

import models
from tasks import kinds
from tasks.common.cli import run
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.datasets import data
from tasks.evaluate import evaluate, main, summary
from tasks.kinds.classify.data import labels
from tasks.kinds.classify.measure import first_layer
from tasks.learning import weights
from tasks.learning.building import describe

KEYS = {
    "experiment", "system", "task", "dataset", "n_train", "n_val", "n_test", "data_origin", "metrics", "val_metrics", "published",
    "parameters", "epochs", "train_seconds", "peak_memory_mb", "device", "precision", "threads", "seeds", "git_commit", "versions",
}  # fmt: skip


def trained(profile, name, seeds=(0,), runs=None):
    """What `tasks.train` leaves, with networks that are not trained."""
    folder = profile.results(name)
    info = data.info(profile.processed(profile.experiment(name).data))
    for seed in seeds:
        torch.manual_seed(seed)
        configuration = describe(profile, name, info, seed)
        weights.save(folder / "weights" / f"seed-{seed}.safetensors", configuration.build(), configuration)
    main = kinds.main_metric(info.task)
    rows = [
        {"seed": seed, "epoch": e, "train_loss": 1 / e, "val_loss": 1.1 / e, f"val_{main}": 0.2 * e}
        for seed in seeds
        for e in (1, 2)
    ]
    pd.DataFrame(rows).to_csv(folder / "history.csv", index=False)
    write_json(
        folder / "training.json",
        {
            "experiment": name, "epochs": 2, "parameters": 10, "train_seconds": 1.5, "peak_memory_mb": 100.0,
            "device": "cpu", "precision": "fp32", "threads": 2, "seeds": list(seeds), "git_commit": "abc", "versions": {"torch": "2"},
            "data_hash": info.hash,
            "val_metrics": {"loss": 0.5, main: 0.4}, "mlflow_runs": runs or {},
        },
    )  # fmt: skip
    return folder


def directly(network, images):
    """The network's outputs in one go, in fp32."""
    with torch.inference_mode():
        return network(torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255).numpy()


def test_classes(make_profile):
    profile = make_profile()
    folder = trained(profile, "classes")
    result = evaluate(profile, "classes")
    assert set(result) == KEYS
    assert json.loads((folder / "metrics.json").read_text()) == result
    assert (result["dataset"], result["data_origin"], result["task"]) == ("patches", "package", "classify")
    assert (result["n_train"], result["n_val"], result["n_test"]) == (48, 24, 24)
    assert result["val_metrics"] == {"loss": 0.5, "accuracy": 0.4}

    test = data.Data(profile.processed("tiny-classes"), "test")
    network, _ = weights.load(folder / "weights" / "seed-0.safetensors")
    logits, actual = directly(network, test.images), labels(test)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    calibration = multiclass_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(actual), 3, n_bins=15)
    assert result["metrics"] == pytest.approx(
        {
            "accuracy": accuracy_score(actual, logits.argmax(1)),
            "macro_f1": f1_score(actual, logits.argmax(1), average="macro"),
            "log_loss": log_loss(actual, probabilities),
            "ece": float(calibration),
        },
        abs=1e-5,
    )
    table = pd.read_parquet(profile.evaluated("classes") / "predictions.parquet")
    assert list(table.columns) == ["label", "predicted", "p_0", "p_1", "p_2"]
    assert (table["label"] == actual).all()
    assert (table["predicted"] == logits.argmax(1)).all()
    np.testing.assert_allclose(table.filter(like="p_").sum(axis=1), 1, rtol=1e-5)
    confusion = pd.read_csv(folder / "tables" / "confusion.csv")
    assert confusion["count"].sum() == 24
    assert confusion.loc[confusion["actual"] == confusion["predicted"], "count"].sum() == round(
        24 * result["metrics"]["accuracy"]
    )
    assert list(pd.read_csv(folder / "tables" / "per_class.csv")["class"]) == ["red", "green", "blue"]
    assert {p.name for p in (folder / "plots").glob("*.png")} == {
        "curves.png",
        "first_layer.png",
        "confusion.png",
        "confused.png",
    }
    assert (profile.evaluated("classes") / "metrics.json").read_bytes() == (folder / "metrics.json").read_bytes()


@pytest.mark.parametrize(("name", "drawn"), [("cnn", True), ("mlp", True), ("resnet", True), ("compact", False), ("knn", False)])
def test_a_first_layer_is_drawn_where_it_sees_the_image(make_profile, name, drawn):
    info = data.info(make_profile().processed("tiny-classes")).model_copy(update={"size": 32})
    seen = first_layer(models.build(name, models.Shape(3, 3, 32), {}), info)
    assert (seen is not None) == drawn
    assert seen is None or (seen.ndim, seen.shape[-1]) == (4, 3)


def test_pictures(make_profile):
    profile = make_profile()
    folder = trained(profile, "pairs")
    result = evaluate(profile, "pairs")
    assert set(result["metrics"]) == {"psnr", "ssim", "l1"}
    outputs = np.load(profile.evaluated("pairs") / "outputs.npy")
    test = data.Data(profile.processed("tiny-pairs"), "test")
    network, _ = weights.load(folder / "weights" / "seed-0.safetensors")
    expected = directly(network, test.images).transpose(0, 2, 3, 1).clip(0, 1)
    assert np.abs(outputs - 255 * expected).max() <= 0.51
    targets = test.array("targets")
    values = [peak_signal_noise_ratio(target, output, data_range=255) for target, output in zip(targets, outputs)]
    assert result["metrics"]["psnr"] == pytest.approx(np.mean(values))
    similar = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255, "channel_axis": 2}
    values = [structural_similarity(target, output, **similar) for target, output in zip(targets, outputs)]
    assert result["metrics"]["ssim"] == pytest.approx(np.mean(values))
    assert result["metrics"]["l1"] == pytest.approx(np.abs(outputs / 255 - targets / 255).mean())
    table = pd.read_csv(folder / "tables" / "per_image.csv")
    assert table["psnr"].mean() == pytest.approx(result["metrics"]["psnr"], abs=1e-3)
    assert {p.name for p in (folder / "plots").glob("*.png")} == {"curves.png", "strip.png"}


def test_only_the_test_split_is_opened(make_profile):
    profile = make_profile()
    trained(profile, "classes")
    for split in ("train", "val"):
        for file in (profile.processed("tiny-classes") / split).iterdir():
            file.unlink()
    assert evaluate(profile, "classes")["n_test"] == 24


def test_several_seeds_give_mean_spread_and_each(make_profile):
    profile = make_profile()
    trained(profile, "classes", seeds=(3, 5))
    result = evaluate(profile, "classes")
    assert set(result) == KEYS | {"metrics_std", "metrics_by_seed"}
    by_seed = [result["metrics_by_seed"][seed]["log_loss"] for seed in ("3", "5")]
    assert by_seed[0] != by_seed[1]
    assert result["metrics"]["log_loss"] == pytest.approx(np.mean(by_seed))
    assert result["metrics_std"]["log_loss"] == pytest.approx(np.std(by_seed, ddof=1))
    table = pd.read_parquet(profile.evaluated("classes") / "predictions.parquet")
    assert (table["label"] == table["predicted"]).mean() == pytest.approx(result["metrics_by_seed"]["3"]["accuracy"])


def test_summary_of_one_seed_has_no_spread():
    assert summary({0: {"psnr": 20.0}}) == {"metrics": {"psnr": 20.0}}


def test_flip_is_averaged_where_the_recipe_flips(make_profile):
    profile = make_profile(augment={"flip": True})
    folder = trained(profile, "classes")
    result = evaluate(profile, "classes")
    test = data.Data(profile.processed("tiny-classes"), "test")
    network, _ = weights.load(folder / "weights" / "seed-0.safetensors")
    both = [directly(network, images) for images in (test.images, test.images[:, :, ::-1])]
    assert result["metrics"]["accuracy_flip"] == np.mean(sum(both).argmax(1) == labels(test))


def test_elsewhere_leaves_the_stage_alone(make_profile, tmp_path):
    profile = make_profile()
    folder = trained(profile, "pairs")
    before = sorted(folder.rglob("*"))
    evaluate(profile, "pairs", out=tmp_path / "run")
    assert sorted(folder.rglob("*")) == before
    assert not profile.evaluated("pairs").exists()
    assert (tmp_path / "run" / "metrics.json").exists()
    assert (tmp_path / "run" / "evaluated" / "outputs.npy").exists()


def test_the_run_of_the_training_gets_the_numbers_of_test(make_profile):
    profile = make_profile()
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    tracked = client.create_run(client.create_experiment("evaluated")).info.run_id
    trained(profile, "classes", runs={"0": tracked})
    result = evaluate(profile, "classes")
    logged = client.get_run(tracked).data.metrics
    assert {name.removeprefix("test_"): value for name, value in logged.items()} == pytest.approx(result["metrics"])
    assert "plots/confusion.png" in {artifact.path for artifact in client.list_artifacts(tracked, "plots")}


def test_nothing_trained(make_profile):
    with pytest.raises(Error, match=r"training\.json.*train the experiment first"):
        evaluate(make_profile(), "classes")


def test_an_unknown_experiment(make_profile):
    with pytest.raises(Error, match="did you mean classes"):
        evaluate(make_profile(), "clases")


def test_weights_of_other_data(make_profile):
    profile = make_profile()
    trained(profile, "classes")
    path = profile.processed("tiny-classes") / "dataset.json"
    path.write_text(path.read_text().replace(data.info(path.parent).hash, "f" * 64))
    with pytest.raises(Error, match="another version of tiny-classes"):
        evaluate(profile, "classes")


@pytest.mark.parametrize("name", ["classes", "pairs"])
def test_a_diverged_training_writes_nothing(make_profile, name):
    profile = make_profile()
    folder = trained(profile, name)
    network, configuration = weights.load(folder / "weights" / "seed-0.safetensors")
    with torch.no_grad():
        next(p for p in reversed(list(network.parameters()))).fill_(float("nan"))
    weights.save(folder / "weights" / "seed-0.safetensors", network, configuration)
    with pytest.raises(Error, match="diverged"):
        evaluate(profile, name)
    assert not (folder / "metrics.json").exists()
    assert not (folder / "plots").exists()


def test_command_line(make_profile, monkeypatch, capsys):
    profile = make_profile()
    trained(profile, "classes")
    monkeypatch.chdir(profile.folder)
    monkeypatch.setattr(sys, "argv", ["evaluate", "classes"])
    with pytest.raises(SystemExit) as done:
        run(main)
    assert not done.value.code
    assert "24 test images: accuracy" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["evaluate", "pairs"])
    with pytest.raises(SystemExit) as failed:
        run(main)
    assert str(failed.value.code).startswith("error: ")
