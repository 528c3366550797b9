import json
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from clone import Clone

from fergit.analysis import gradcam
from fergit.analysis.regions import ALL, REGIONS, regions, shares
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.core.files import write_json
from fergit.data.synthetic import CLASSES, draw_faces
from fergit.engine import trained
from fergit.engine.augmentation import to_input
from fergit.engine.backend import keras
from fergit.engine.network import Convolution, build_network
from fergit.pages import plots_gradcam, tables_results
from fergit.runner.schema import load_params

COMMITTED = sorted(paths.RESULTS.glob("gradcam/*/metrics.json"))
EVALUATE = {"confidence_level": 0.95, "bootstrap_samples": 200}


def tiny(filters=2, classes=3):
    """A convolution, its average and a dense layer, of random weights: Grad-CAM is a formula in them."""
    image = keras.Input((48, 48, 1))
    maps = Convolution(filters, 3, padding="same", activation="relu", name="conv")(image)
    average = keras.layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(image, keras.layers.Dense(classes, activation="softmax", name="head")(average), name="tiny")
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(size=weight.shape) for weight in network.get_weights()])
    return network


@pytest.fixture(scope="module")
def network():
    return build_network("basic", seed=1)


@pytest.fixture(scope="module")
def images():
    return draw_faces(8, 0)[0]


def test_the_map_is_that_of_the_formula(images):
    network = tiny()
    maps, probabilities = gradcam.explain(network, images)
    features = keras.Model(network.input, network.get_layer("conv").output).predict(to_input(images), verbose=0)
    named = network.predict(to_input(images), verbose=0).argmax(axis=1)
    kernel = network.get_layer("head").get_weights()[0]
    expected = np.einsum("nyxk,kn->nyx", features, kernel[:, named]) / 48**2
    assert np.allclose(maps, np.maximum(expected, 0), atol=1e-7) and maps.dtype == np.float32
    assert np.array_equal(probabilities.argmax(axis=1), named)
    assert np.allclose(probabilities, network.predict(to_input(images), verbose=0), atol=1e-6)


def test_the_map_is_that_of_finite_differences(network, images):
    """Through poolings, normalizations and the last pair: what a little more of one feature map does to the logit."""
    label, step = 2, 0.005
    maps, _ = gradcam.explain(network, images[:1], [label])
    layer = network.get_layer("block5_conv2").output
    features = keras.Model(network.input, layer).predict(to_input(images[:1]), verbose=0)
    kernel, bias = network.layers[-1].get_weights()
    above = keras.Model(layer, network.layers[-1].input)
    single = step * np.eye(features.shape[3], dtype=np.float32)[:, None, None]

    def logits(features):
        return (above.predict(features, verbose=0) @ kernel + bias)[:, label]

    weights = (logits(features + single) - logits(features - single)) / (2 * step) / 9  # 3x3 positions
    expected = np.maximum((features[0] * weights).sum(axis=2), 0)
    assert maps.shape == (1, 3, 3) and expected.max() > 0
    assert np.abs(maps[0] - expected).max() < 0.02 * expected.max()


def test_where_nothing_speaks_for_the_label_the_map_is_zero(images):
    network = tiny()
    kernel, bias, head, head_bias = network.get_weights()
    head[:, 1] = 0  # class 1 depends on no feature map
    network.set_weights([kernel, 0 * bias, np.abs(head) * (head != 0), head_bias])
    half = images.copy()
    half[:, :, :24] = 0  # without biases the left half makes no features
    maps, _ = gradcam.explain(network, half, np.full(8, 0))
    assert not maps[:, :, :23].any() and maps[:, :, 24:].any(axis=(1, 2)).all()
    maps, _ = gradcam.explain(network, half, np.full(8, 1))
    assert not maps.any() and shares(maps, REGIONS).isna().all(axis=None)


def test_batches_change_nothing(network, images, monkeypatch):
    whole, probabilities = gradcam.explain(network, images)
    monkeypatch.setattr(gradcam, "BATCH", 3)
    parts, same = gradcam.explain(network, images)
    assert np.allclose(whole, parts, rtol=1e-4, atol=1e-7) and np.allclose(probabilities, same, atol=1e-6)
    one, _ = gradcam.explain(network, images[5:6], probabilities.argmax(axis=1)[5:6])
    assert np.allclose(one[0], whole[5], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("poolings", "expected"),
    [
        (0, {48: "residual3_relu2"}),
        (1, {24: "residual3_relu2"}),
        (2, {12: "residual3_relu2"}),
        (3, {6: "residual3_relu2", 12: "block3_conv2"}),
        (4, {3: "residual3_relu2", 6: "residual2_relu2", 12: "block3_conv2"}),
        (5, {3: "block5_conv2", 6: "residual2_relu2", 12: "block3_conv2"}),
        (6, {3: "block5_conv2", 6: "residual2_relu2", 12: "block3_conv2"}),
    ],
)
def test_the_layer_is_the_last_of_each_size(poolings, expected):
    assert gradcam.layers(build_network("residual", poolings=poolings)) == expected


def test_layers_of_the_basic_network_and_with_other_normalizations(network):
    assert gradcam.layers(network) == {3: "block5_conv2", 6: "block4_conv2", 12: "block3_conv2"}
    assert gradcam.layers(build_network("residual", batch_normalization="literal"))[3] == "block5_conv2"


def test_the_mean_map_weighs_each_map_the_same_and_leaves_zeros_out():
    maps = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 200]], [[0, 0], [0, 0]]], np.float32)
    assert gradcam.mean_map(maps).tolist() == [[2, 0], [0, 2]]
    assert np.isnan(gradcam.mean_map(maps[2:])).all()


@pytest.mark.parametrize("side", [3, 6, 12])
def test_the_centre_map_is_spread_as_widely_as_the_map(side):
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    distances = rows**2 + columns**2
    rng = np.random.default_rng(side)
    map_ = (1 + rng.random((side, side))) * np.exp(-2 * distances / side)
    centre = gradcam.centre_map(map_)
    assert np.average(distances, weights=centre) == pytest.approx(np.average(distances, weights=map_), rel=1e-3)
    assert centre.mean() == pytest.approx(1) and np.allclose(centre, centre[::-1]) and np.allclose(centre, centre.T)
    even = gradcam.centre_map(np.ones((side, side)))
    assert np.allclose(even, 1, atol=0.02)


def test_without_a_training_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", paths.ROOT / "nowhere")
    with pytest.raises(FergitError, match=r"nowhere/fergit/residual/02-train/seed-0/training.json: no such file; `dvc"):
        trained.load_trained("fergit", "residual", 0)


# The study


def drawn(count, people, split="test"):
    images, labels, _ = draw_faces(count, 0)
    ids = [f"synthetic/{number:05d}" for number in range(count)]
    group = [f"P{number % people:04d}" for number in range(count)] if people else None
    return make_faces(images, labels, CLASSES, "synthetic", ids, group, [split] * count)


@pytest.fixture(scope="module")
def study():
    """An untrained network, as if it had been trained, on 60 drawn faces."""
    faces, boxes = drawn(60, 0), regions("synthetic")
    network = build_network("basic", seed=5)
    shared, means = gradcam.measure(network, faces, boxes)
    named = shared["named"][:60].to_numpy()
    others = gradcam.measure_untrained(lambda seed: build_network("basic", seed=seed), faces, named, boxes, 2)
    training = {"dataset": "synthetic", "model": "basic", "seed": 0}
    found = gradcam.summary(training, network, shared, means, others, boxes, EVALUATE)
    return network, faces, shared, means, others, found


def test_metrics_follow_from_the_tables(study):
    _, _, shared, _, others, found = study
    assert [one["positions"] for one in found["sizes"]] == [3, 6, 12] and found["n_test"] == 60
    assert [one["layer"] for one in found["sizes"]] == ["block5_conv2", "block4_conv2", "block3_conv2"]
    for one in found["sizes"]:
        own, fresh = (table[table["positions"] == one["positions"]] for table in (shared, others))
        assert one["share"]["all"] == pytest.approx(own["all"].mean(), abs=1e-6)
        assert one["low"] < one["share"]["all"] < one["high"]
        assert one["share"]["all"] == pytest.approx(sum(one["share"][name] for name in REGIONS), abs=1e-5)
        assert one["untrained"]["networks"] == 2
        assert 0.3 < one["centre"]["all"] < 0.6  # a narrower one has more of the nose, a wider one the area
        assert one["untrained"]["as_much"] == (fresh["all"] >= own["all"].mean()).sum()
        assert sum(entry["images"] for entry in one["classes"].values()) == 60
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.parent.name)
def test_committed_metrics_follow_from_the_committed_tables(file):
    found = json.loads(file.read_text(encoding="utf-8"))
    trainings = paths.results(found["dataset"], found["model"], found["seed"])
    training = json.loads((trainings / "training.json").read_text(encoding="utf-8"))
    network = build_network(found["model"], len(training["classes"]), **training["network"])
    tables = [pd.read_csv(file.parent / "08-gradcam" / f"{name}.csv") for name in ("shares", "mean-maps", "untrained")]
    assert gradcam.summary(training, network, *tables, regions(found["dataset"]), load_params()["evaluate"]) == found


def test_mean_maps_are_means_of_what_the_labels_say(study):
    network, faces, shared, means, _, _ = study
    named = shared["named"][:60].to_numpy()
    name = named[0]
    maps, _ = gradcam.explain(network, faces.images[named == name])
    part = means[(means["positions"] == 3) & (means["named"] == name)]
    assert part["maps"].iloc[0] == maps.any(axis=(1, 2)).sum()
    assert np.allclose(part["value"].to_numpy().reshape(3, 3), gradcam.mean_map(maps), rtol=1e-3)


def test_maps_of_zeros_only_do_not_stop_it(study):
    network, _, shared, means, others, _ = study
    empty, none = shared.copy(), means.copy()
    empty.loc[empty["positions"] == 3, [*REGIONS, ALL]] = np.nan
    none.loc[none["positions"] == 3, "value"] = np.nan
    training = {"dataset": "synthetic", "model": "basic", "seed": 0}
    found = gradcam.summary(training, network, empty, none, others, regions("synthetic"), EVALUATE)
    assert found["sizes"][0]["empty"] == 60 and found["sizes"][0]["share"][ALL] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(tables_results.labels_table(found)["3x3"]) == {"–"}
    assert set(tables_results.regions_table(found).loc["3x3"]) == {"–"}
    assert "nan" not in tables_results.maps_table(found).to_string()
    plt.close(plots_gradcam.shares(found))


def test_the_notebook_runs_and_shows_means_only(tmp_path):
    clone = Clone(tmp_path / "clone")
    faces = drawn(80, 0)
    faces.save(clone.root / "data/processed/synthetic.npz")
    network = build_network("basic", len(CLASSES), seed=3)
    folder = clone.root / "models/synthetic/basic"
    folder.mkdir(parents=True)
    network.save_weights(folder / "seed-0.weights.h5")
    training = {"dataset": "synthetic", "model": "basic", "seed": 0, "trained": False, "network": {}}
    training |= {"train": {"device": "cpu"}}
    file = clone.root / "results/synthetic/basic/02-train/seed-0/training.json"
    write_json(file, training | {"classes": list(CLASSES), "best_epoch": 1, "best_val_accuracy": 0.5})
    code = (
        "from fergit.core import params, paths; from fergit.runner.execute import execute_notebook; "
        "tracked = params.tracked_params('studies/dvc.yaml:gradcam', dataset='synthetic'); "
        "execute_notebook('08-gradcam', paths.gradcam('synthetic') / '08-gradcam.ipynb', "
        "{'model': 'basic', 'untrained': 2, 'params': tracked})"
    )
    done = clone.run(sys.executable, "-c", code, env={"PYTHONPATH": str(clone.root / "src")})
    assert done.returncode == 0, done.stdout + done.stderr
    results = clone.root / "results/gradcam/synthetic"
    cells = nbformat.read(results / "08-gradcam.ipynb", 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "stream"]
    assert sum("image/png" in output.data for output in outputs) == 3
    assert "A failure, not a result" in str(outputs)  # an untrained network is not passed off as one
    assert str(clone.root) not in (results / "08-gradcam.ipynb").read_text()
    found = json.loads((results / "metrics.json").read_text())
    assert found["n_test"] == 80 and found["sizes"][0]["untrained"]["networks"] == 2
    tables = [pd.read_csv(results / "08-gradcam" / f"{name}.csv") for name in ("shares", "mean-maps", "untrained")]
    evaluate = {"confidence_level": 0.95, "bootstrap_samples": 2000}
    again = gradcam.summary(training, network, *tables, regions("synthetic"), evaluate)
    assert json.loads(json.dumps(again)) == found


@pytest.mark.corners  # half a minute to load it
def test_jax_computes_the_same(tmp_path, images):
    pytest.importorskip("jax")
    network = build_network("basic", seed=1)
    np.save(tmp_path / "images.npy", images)
    network.save_weights(tmp_path / "start.weights.h5")
    code = (
        "import numpy as np; from fergit.analysis import gradcam; from fergit.engine.network import build_network; "
        "network = build_network('basic'); network.load_weights('start.weights.h5'); "
        "np.save('maps.npy', gradcam.explain(network, np.load('images.npy'))[0])"
    )
    env = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(paths.ROOT / "src")}
    child = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    ours = gradcam.explain(network, images)[0]
    assert np.allclose(np.load(tmp_path / "maps.npy"), ours, rtol=1e-2, atol=1e-3 * ours.max())
