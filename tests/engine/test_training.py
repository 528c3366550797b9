import json
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from bars import barred

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_json
from fergit.engine import augmentation, backend, checkpoint, trained, training
from fergit.engine.backend import keras
from fergit.engine.network import build_network
from fergit.runner.schema import load_params

pytestmark = [
    pytest.mark.usefixtures("quick"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`"),
]


@pytest.fixture(scope="module")
def params():
    sections = {name: load_params()[name] for name in ("augmentation", "network", "train")}
    sections["train"] |= {"epochs": 2, "batch_size": 32}
    sections["augmentation"] |= {"rotation": 5, "shift": 0.05, "zoom": 0.05}
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


@pytest.fixture(scope="module")
def short(params):
    return params | {"train": params["train"] | {"epochs": 1}, "predict": {"mirror": False}}


@pytest.fixture(scope="module")
def once(faces, short, tmp_path_factory):
    """A training of one epoch: its network, what came of it, and the checkpoint that it left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "WORK", tmp_path_factory.mktemp("once"))
        network, result = run(faces, short)
        [file] = paths.WORK.rglob("*.npz")
        yield network, result, file


@pytest.fixture
def left(once, elsewhere):
    """That checkpoint, where the next training finds it."""
    file = once[2]
    target = paths.checkpoints("test", "basic", 0) / file.name
    target.parent.mkdir(parents=True)
    return Path(shutil.copy(file, target))


def of_another_machine(file):
    return file.with_name(f"{file.stem.split('-')[0]}-00000000.npz")


def test_a_damaged_checkpoint_is_set_aside(faces, short, once, left, capsys):
    left.write_bytes(left.read_bytes()[:1000])
    again, _ = run(faces, short)
    assert same(once[0], again)
    assert "damaged" in capsys.readouterr().out and left.with_suffix(".damaged").exists() and left.exists()


def test_a_finished_training_goes_before_an_unfinished_one_of_this_machine(faces, short, once, left):
    with np.load(left) as arrays:
        arrays = dict(arrays)
    left.rename(of_another_machine(left))
    state = json.loads(str(arrays["state"]))
    state["training"]["stopped"] = False
    np.savez(left, **arrays | {"state": json.dumps(state)})
    file, found = checkpoint.find_checkpoint(left.parent, left.stem.split("-")[0])
    assert file == of_another_machine(left) and found["state"]["training"]["stopped"]


def test_what_another_machine_has_finished_is_taken_up(faces, short, once, left, capsys):
    network, result, _ = once
    left.rename(of_another_machine(left))
    again, taken = run(faces, short)
    assert same(network, again) and taken.table().equals(result.table()) and taken.machine == result.machine
    assert "trained on" in capsys.readouterr().out


def test_weights_that_are_kept_have_statistics_of_clean_images(faces, params, elsewhere):
    """With batches in which all images are, moving statistics estimated on all are the batch's own."""
    inside = faces.split == "train"
    settings = params | {"train": params["train"] | {"epochs": 1, "clean_statistics": int(inside.sum())}}
    network, _ = run(faces, settings)
    first = network.get_layer("block1_bn1")
    seen = keras.Model(network.input, first.input)(augmentation.to_input(faces.images[inside])).numpy()
    assert np.allclose(first.moving_mean, seen.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    assert np.allclose(first.moving_variance, seen.var((0, 1, 2)), rtol=0.005, atol=1e-6)


def test_the_recipe_reaches_keras(faces, params, elsewhere, monkeypatch):
    """What plateau and stop watch, and the optimizer's numbers (p. 81)."""
    made = {}
    for name in ("ReduceLROnPlateau", "EarlyStopping"):
        whole = getattr(keras.callbacks, name)
        monkeypatch.setattr(
            keras.callbacks, name, lambda *a, whole=whole, **k: made.setdefault(whole.__name__, whole(*a, **k))
        )
    settings = load_params()["train"] | {"epochs": 1, "batch_size": 32}
    run(faces, params | {"train": settings})
    plateau, stop = made["ReduceLROnPlateau"], made["EarlyStopping"]
    assert (plateau.monitor, plateau.mode, plateau.patience) == ("val_accuracy", "max", 15)
    assert (plateau.factor, plateau.min_lr) == (0.5, 1e-7)
    assert (stop.monitor, stop.mode, stop.patience) == ("val_accuracy", "max", 30)
    backend.configure(0, "cpu")
    compiled = training.compile_trimmed(build_network("basic", 4, **params["network"]), settings, 10)
    optimizer = compiled.optimizer
    assert isinstance(optimizer, keras.optimizers.Nadam)
    assert float(optimizer.learning_rate) == pytest.approx(0.001)
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.999)
    assert (optimizer.weight_decay, optimizer.use_ema) == (None, False)
    settings |= {"schedule": "cosine", "warmup_epochs": 1, "weight_decay": 0.01, "ema": 0.9, "epochs": 3}
    better = training.compile_trimmed(build_network("basic", 4, **params["network"]), settings, 10).optimizer
    assert (better.weight_decay, better.use_ema, better.ema_momentum) == (0.01, True, 0.9)


def test_the_cosine_rises_and_falls():
    rate = training.learning_rate({"schedule": "cosine", "learning_rate": 0.01, "warmup_epochs": 2, "epochs": 10}, 5)
    rates = [float(rate(step)) for step in (0, 5, 10, 30, 50)]
    assert rates == pytest.approx([0.0001, 0.00505, 0.01, 0.005, 0], abs=1e-6)


def test_bfloat16_computes_so_and_keeps_float32_weights(faces, short, once, elsewhere):
    short = short | {"train": short["train"] | {"precision": "mixed_bfloat16"}}
    backend.configure(0, "cpu", "mixed_bfloat16")
    try:
        assert backend.describe_machine()["precision"] == "mixed_bfloat16"
        network = build_network("basic", 4, seed=0, **short["network"])
        result = training.train(network, faces, short, "test", 0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.get_layer("block1_conv1").compute_dtype == "bfloat16"
    assert {str(weight.dtype) for weight in network.trainable_weights} == {"float32"}
    assert not same(once[0], network) and 0 < result.history[0]["loss"] < 10


def test_precision_auto_follows_the_hardware(monkeypatch):
    for flags, precision in (("avx2 avx512_bf16", "mixed_bfloat16"), ("avx2 avx512f", "float32")):
        monkeypatch.setattr(backend, "_cpuinfo", lambda flags=flags: f"model name : x\nflags : {flags}\n")
        backend.configure(0, "cpu", "auto")
        found = backend.describe_machine()["precision"]
        keras.config.set_dtype_policy("float32")
        assert found == precision


def test_a_changed_parameter_starts_afresh(faces, params):
    key = checkpoint.training_key("test", "basic", faces, params, 0)
    assert key != checkpoint.training_key("test", "basic", faces, params, 1)
    assert key != checkpoint.training_key("test", "residual", faces, params, 0)
    other = params | {"train": params["train"] | {"learning_rate": 0.002}}
    assert key == checkpoint.training_key("test", "basic", faces, params, 0)
    assert key != checkpoint.training_key("test", "basic", faces, other, 0)
    assert key != checkpoint.training_key("test", "basic", faces.take(np.arange(79)), params, 0)


def test_results_are_saved_and_predict_again(faces, short, once, elsewhere):
    network, result, _ = once
    trained.save_training(result, network, faces, short, "test", 1)
    summary = json.loads((paths.results("test", "basic", 1) / "training.json").read_text())
    assert summary["epochs_run"] == 1 and summary["train"]["epochs"] == 1 and not summary["trained"]
    inside = faces.split == "train"
    loaded, about = trained.load_trained("test", "basic", 1)
    probabilities = trained.predict(loaded, faces.images)
    assert about == summary
    assert probabilities.shape == (80, 4) and np.allclose(probabilities.sum(1), 1, atol=1e-5)
    expected = network.predict(augmentation.to_input(faces.images), batch_size=80, verbose=0)
    assert np.allclose(probabilities, expected, atol=1e-6)  # padded to a full batch
    right = probabilities.argmax(1) == faces.labels
    assert (summary["train_accuracy"], summary["validation_accuracy"]) == (right[inside].mean(), right[~inside].mean())
    mirrored = trained.predict(loaded, faces.images[:, :, ::-1])
    assert np.allclose(trained.predict(loaded, faces.images, mirror=True), (probabilities + mirrored) / 2)

    weights = elsewhere / "models/test/basic/seed-1.weights.h5"
    assert [file.name for file in weights.parent.iterdir()] == [weights.name]  # and no partial one
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FergitError, match="not weights of this basic network"):
        trained.load_trained("test", "basic", 1)
    weights.unlink()
    with pytest.raises(FergitError, match="no such file; `dvc repro train@test-basic-1` trains it"):
        trained.load_trained("test", "basic", 1)


def test_outcomes_are_kept_and_read_again(faces, short, elsewhere):
    whole = faces.with_split(np.where(np.arange(80) % 10 == 9, "test", faces.split))
    outcome = trained.train_and_test("basic", whole, short, "test", 0)
    for file in (elsewhere / "work" / "checkpoints").rglob("*.npz"):
        file.unlink()
    again = trained.train_and_test("basic", whole, short, "test", 0)
    assert again.summary == outcome.summary and again.training == outcome.training
    assert {part: len(rows) for part, rows in again.probabilities.items()} == {
        part: (whole.split == part).sum() for part in ("validation", "test")
    }
    assert all(np.array_equal(again.probabilities[part], rows) for part, rows in outcome.probabilities.items())
    mirrored = trained.train_and_test("basic", whole, short | {"predict": {"mirror": True}}, "test", 0)
    assert not np.array_equal(mirrored.probabilities["test"], again.probabilities["test"])


@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras' word for a layer that the file lacks
def test_weights_of_something_else_are_refused(params, elsewhere):
    summary = dict.fromkeys(trained.SUMMARY, 0)
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
            trained.load_trained("test", "basic", 0)
        assert "\n" not in str(refused.value)


def test_batches_show_each_image_as_often_as_asked(faces, params):
    """And the last batch is filled up with the epoch's first images."""
    settings = params["train"] | {"copies_per_epoch": 3, "batch_size": 50}
    still = params["augmentation"] | dict.fromkeys(("rotation", "shear", "shift", "zoom"), 0)
    still |= {"horizontal_flip": False}
    inside = faces.split == "train"
    weights = np.array([1, 2, 3, 4], np.float32)
    batches = training.AugmentedBatches(faces.images[inside], faces.labels[inside], weights, 0, 1, settings, still)
    assert len(batches) == 4
    images, labels, weighed = (np.concatenate(part) for part in zip(*[batches[i] for i in range(4)], strict=True))
    assert len(images) == 4 * 50 and np.array_equal(images[3 * 64 :], images[:8])
    shown = np.unique(images[: 3 * 64].reshape(3 * 64, -1), axis=0, return_counts=True)[1]
    assert (shown == 3).all() and np.array_equal(weighed, labels @ weights)
    first = batches[0][0]
    batches.on_epoch_end()
    assert batches.epoch == 2 and not np.array_equal(first, batches[0][0])


def test_class_weights_are_those_of_fergit():
    """FERGIT's class sizes in the formula n / (7 n_c), worked out by hand."""
    sizes = [5205, 755, 5142, 14685, 6077, 4370, 13066]
    weights = training.class_weights(np.repeat(np.arange(7), sizes), 7, "balanced")
    assert np.allclose(weights, [1.35, 9.32, 1.37, 0.48, 1.16, 1.61, 0.54], atol=0.01)
    weights = training.class_weights(np.repeat(np.arange(7), sizes), 7, "log")
    assert np.allclose(weights, [1, 2.28, 1, 1, 1, 1, 1], atol=0.01)
    assert training.class_weights(np.zeros(3, int), 2, "none").tolist() == [1, 1]


def test_the_class_prior_is_not_a_result():
    labels = np.repeat([0, 1], [60, 40])
    assert not training.beats_prior(checkpoint.Training(best_val_accuracy=0.62), labels)
    assert training.beats_prior(checkpoint.Training(best_val_accuracy=0.75), labels)


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
    learns = {"epochs": 30, "class_weights": "none", "learning_rate": 0.01}
    still = {"dropout": 0, "dropout_last": 0, "batch_norm_momentum": 0.5}
    settings = params | {"train": params["train"] | learns, "network": params["network"] | still}
    _, result = run(faces.take(np.flatnonzero(one)), settings)
    assert result.best_val_accuracy == 1
    assert result.best_epoch == len(result.history) < 30
    assert run(faces.take(np.flatnonzero(one)), settings)[1].table().equals(result.table())  # nor when it is resumed


def test_no_gpu_is_said():
    with pytest.raises(FergitError, match="train.device is 'gpu' but no GPU is visible"):
        backend.configure(0, "gpu")
