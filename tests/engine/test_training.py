import json
import os
import pickle
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
from bars import barred

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_json
from fergit.engine import augmentation, backend, training
from fergit.engine.backend import keras
from fergit.engine.network import build_network
from fergit.runner.schema import load_params


@pytest.fixture(scope="module")
def params():
    sections = {name: load_params()[name] for name in ("augmentation", "network", "train")}
    sections["train"] |= {"epochs": 2, "batch_size": 32}
    sections["network"] |= {"batch_norm_momentum": 0.9}
    return sections


@pytest.fixture(scope="module")
def faces():
    return barred()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    for name in ("WORK", "RESULTS", "MODELS", "RUNS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    return tmp_path


def run(faces, params, seed=0):
    backend.configure(seed, "cpu")
    network = build_network("basic", 4, seed=seed, **params["network"])
    return network, training.train(network, faces, params, "test", seed)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_interrupted_training_ends_with_the_same_bytes(faces, params, elsewhere, monkeypatch, capsys):
    """The rate falls while it runs: what the callbacks have counted must survive too."""
    reduce_at_once = {"patience": 1, "factor": 0.5, "min_lr": 1e-7}
    params = params | {"train": params["train"] | {"epochs": 4, "reduce_lr": reduce_at_once}}
    whole, history = run(faces, params)
    for file in (elsewhere / "work").rglob("*.npz"):
        file.unlink()

    save = training.Resumable._save

    def save_and_stop(self):
        save(self)
        if len(self.training.history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training.Resumable, "_save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run(faces, params)
    monkeypatch.setattr(training.Resumable, "_save", save)
    resumed, again = run(faces, params)

    assert "resumed after epoch 2" in capsys.readouterr().out
    assert same(whole, resumed) and history.table().equals(again.table())
    assert history.table()["learning_rate"].nunique() > 1


def test_bfloat16_computes_so_and_keeps_float32_weights(faces, params, elsewhere):
    short = params | {"train": params["train"] | {"epochs": 1}}
    exact, _ = run(faces, short)
    backend.configure(0, "cpu", "mixed_bfloat16")
    try:
        assert backend.describe_machine()["precision"] == "mixed_bfloat16"
        network = build_network("basic", 4, seed=0, **short["network"])
        result = training.train(network, faces, short, "test", 0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.get_layer("block1_conv1").compute_dtype == "bfloat16"
    assert {str(weight.dtype) for weight in network.trainable_weights} == {"float32"}
    assert not same(exact, network) and 0 < result.history[0]["loss"] < 10


def test_precision_auto_follows_the_hardware(monkeypatch):
    for flags, precision in (("avx2 avx512_bf16", "mixed_bfloat16"), ("avx2 avx512f", "float32")):
        monkeypatch.setattr(backend, "_cpuinfo", lambda flags=flags: f"model name : x\nflags : {flags}\n")
        backend.configure(0, "cpu", "auto")
        found = backend.describe_machine()["precision"]
        keras.config.set_dtype_policy("float32")
        assert found == precision


def test_a_changed_parameter_starts_afresh(faces, params, elsewhere):
    network = build_network("basic", 4)
    file = training.checkpoint_file("test", network, faces, params, 0)
    other = params | {"train": params["train"] | {"learning_rate": 0.002}}
    assert file == training.checkpoint_file("test", network, faces, params, 0)
    assert file != training.checkpoint_file("test", network, faces, other, 0)
    assert file != training.checkpoint_file("test", network, faces.take(np.arange(79)), params, 0)


def test_seeds_differ_and_results_are_saved_and_predict_again(faces, params, elsewhere):
    short = params | {"train": params["train"] | {"epochs": 1}}
    network, result = run(faces, short, seed=1)
    training.save_training(result, network, faces, short, "test", 1)
    summary = json.loads((paths.results("test", "basic", 1) / "training.json").read_text())
    assert summary["epochs_run"] == 1 and summary["train"]["epochs"] == 1 and not summary["trained"]
    probabilities = training.predict("test", "basic", 1, faces.images)
    assert probabilities.shape == (80, 4) and np.allclose(probabilities.sum(1), 1, atol=1e-5)
    images = augmentation.to_input(faces.images)
    assert np.array_equal(probabilities, network.predict(images, batch_size=256, verbose=0))
    assert not same(network, run(faces, short, seed=2)[0])

    weights = elsewhere / "models/test/basic/seed-1.weights.h5"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FergitError, match="not weights of this basic network"):
        training.predict("test", "basic", 1, faces.images)
    weights.unlink()
    with pytest.raises(FergitError, match="no such file; `dvc repro train@test-basic-1` trains it"):
        training.predict("test", "basic", 1, faces.images)


@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras' word for a layer that the file lacks
def test_weights_of_something_else_are_refused(params, elsewhere):
    summary = dict.fromkeys(training.SUMMARY, 0)
    summary |= {"train": params["train"], "network": params["network"], "classes": list("abcd")}
    write_json(paths.results("test", "basic", 0) / "training.json", summary)
    file = paths.weights("test", "basic", 0)
    file.parent.mkdir(parents=True)

    def saved(model, classes):
        build_network(model, classes, **params["network"]).save_weights(file)
        return file.read_bytes()

    with h5py.File(elsewhere / "other.h5", "w") as other:
        other["x"] = [1, 2]
    something = (elsewhere / "other.h5").read_bytes()
    for data in (saved("residual", 4), saved("basic", 7), something, b"", b"text", pickle.dumps([1])):
        file.write_bytes(data)
        with pytest.raises(FergitError, match=r"seed-0\.weights\.h5: not weights of this basic network: ") as refused:
            training.predict("test", "basic", 0, np.zeros((1, 48, 48), np.uint8))
        assert "\n" not in str(refused.value)


def test_batches_show_each_image_as_often_as_asked(faces, params):
    settings = params["train"] | {"copies_per_epoch": 3, "batch_size": 50}
    still = {"horizontal_flip": False, "rotation": 0, "shift": 0, "zoom": 0}
    inside = faces.split == "train"
    weights = np.array([1, 2, 3, 4], np.float32)
    batches = training.AugmentedBatches(faces.images[inside], faces.labels[inside], weights, 0, 1, settings, still)
    assert len(batches) == 4
    images, labels, weighed = (np.concatenate(part) for part in zip(*[batches[i] for i in range(4)], strict=True))
    assert len(images) == 3 * 64
    shown = np.unique(images.reshape(len(images), -1), axis=0, return_counts=True)[1]
    assert (shown == 3).all() and np.array_equal(weighed, weights[labels])
    first = batches[0][0]
    batches.on_epoch_end()
    assert batches.epoch == 2 and not np.array_equal(first, batches[0][0])


def test_class_weights_are_those_of_fergit():
    """FERGIT's class sizes in the formula n / (7 n_c), worked out by hand."""
    sizes = [5205, 755, 5142, 14685, 6077, 4370, 13066]
    weights = training.class_weights(np.repeat(np.arange(7), sizes), 7, "balanced")
    assert np.allclose(weights, [1.35, 9.32, 1.37, 0.48, 1.16, 1.61, 0.54], atol=0.01)
    assert training.class_weights(np.zeros(3, int), 2, "none").tolist() == [1, 1]


def test_the_class_prior_is_not_a_result():
    labels = np.repeat([0, 1], [60, 40])
    assert not training.left_prior(training.Training(best_val_accuracy=0.62), labels)
    assert training.left_prior(training.Training(best_val_accuracy=0.75), labels)


def test_a_diverged_training_says_what_to_change(faces, params, elsewhere, monkeypatch):
    monkeypatch.setattr(training, "class_weights", lambda labels, n, kind: np.full(n, np.nan, np.float32))
    with pytest.raises(FergitError, match="the loss is nan in epoch 1; lower train.learning_rate"):
        run(faces, params)


def test_test_images_are_refused(faces, params, elsewhere):
    with pytest.raises(FergitError, match="has the parts test, train, validation; it takes"):
        run(faces.with_split(np.where(np.arange(80) < 70, faces.split, "test")), params)


def test_nothing_is_better_than_every_validation_image(params, elsewhere):
    faces = barred()
    one = faces.labels == 0  # a network that names all of them 0 is right
    settings = params | {"train": params["train"] | {"epochs": 30, "class_weights": "none"}}
    _, result = run(faces.take(np.flatnonzero(one)), settings)
    assert result.best_val_accuracy == 1
    assert result.best_epoch == len(result.history) < 30
    assert run(faces.take(np.flatnonzero(one)), settings)[1].table().equals(result.table())  # nor when it is resumed


def test_no_gpu_is_said():
    code = """
        from fergit.engine import backend
        backend.configure(0, "gpu")
    """
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=paths.ROOT / "src",
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert "train.device is 'gpu' but no GPU is visible" in child.stderr
