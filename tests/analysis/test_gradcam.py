import json
import os
import subprocess
import sys

import cv2
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from clone import Clone
from portraits import portrait

from fergit.analysis import gradcam
from fergit.analysis.regions import REGIONS, regions
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.core.files import write_json
from fergit.data.synthetic import CLASSES, draw_faces
from fergit.engine import training
from fergit.engine.augmentation import to_input
from fergit.engine.backend import keras
from fergit.engine.network import Convolution, build_network
from fergit.pages import plots_gradcam
from fergit.runner.schema import load_params
from fergit.use import shipped

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
    label, step = 2, 0.05
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
    assert not maps.any() and gradcam.shares(maps, REGIONS).isna().all(axis=None)


def test_batches_change_nothing(network, images):
    whole, probabilities = gradcam.explain(network, images)
    parts, same = gradcam.explain(network, images, batch=3)
    assert np.allclose(whole, parts, rtol=1e-4, atol=1e-7) and np.allclose(probabilities, same, atol=1e-6)
    one, _ = gradcam.explain(network, images[5:6], probabilities.argmax(axis=1)[5:6])
    assert np.allclose(one[0], whole[5], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("poolings", "expected"),
    [
        (0, {48: "residual3_relu2"}),
        (1, {24: "residual3_relu2", 48: "block1_conv2"}),
        (2, {12: "residual3_relu2", 24: "residual1_relu2", 48: "block1_conv2"}),
        (3, {6: "residual3_relu2", 12: "block3_conv2", 24: "residual1_relu2", 48: "block1_conv2"}),
        (4, {3: "residual3_relu2", 6: "residual2_relu2", 12: "block3_conv2", 24: "residual1_relu2"}),
        (5, {3: "block5_conv2", 6: "residual2_relu2", 12: "block3_conv2", 24: "residual1_relu2"}),
    ],
)
def test_the_layer_is_the_last_with_more_than_one_position(poolings, expected):
    network = build_network("residual", poolings=poolings)
    found = gradcam.layers(network)
    assert list(found.items())[: len(expected)] == list(expected.items())
    assert list(gradcam.shown(network)) == ([side for side in found if side <= 12] or list(found)[:1])


def test_layers_of_the_basic_network_and_with_other_normalizations(network):
    assert list(gradcam.layers(network).items())[:2] == [(3, "block5_conv2"), (6, "block4_conv2")]
    every = build_network("residual", batch_normalization="per_conv")
    assert gradcam.layers(every)[3] == "block5_conv2"


def test_what_a_position_depends_on_is_what_changes_it(network):
    """A row of pixels changes a position in the middle if it is among those that are counted, and only then."""
    side = gradcam.sight(network, "block3_conv1")
    seen = keras.Model(network.input, network.get_layer("block3_conv1").output)
    rng = np.random.default_rng(0)
    changed = np.zeros((48, 48), bool)
    base = rng.random((1, 48, 48, 1)).astype(np.float32)
    before = np.asarray(seen(base))[0, 6, 6]
    for row in range(48):
        other = base.copy()
        other[0, row] += 1
        changed[row] = np.abs(np.asarray(seen(other))[0, 6, 6] - before).max() > 0
    assert changed.any(axis=1).sum() == side == 28


def test_an_even_map_has_the_area_as_its_share():
    for side in (3, 6, 12):
        found = gradcam.shares(np.ones((1, side, side), np.float32), REGIONS)
        assert found["all"][0] == pytest.approx(sum((b - t) * (r - lt) for t, b, lt, r in REGIONS.values()) / 2304)
        low, high = gradcam.reach(side, REGIONS)
        assert 0 <= low < found["all"][0] < high <= 1
    one = np.zeros((1, 12, 12), np.float32)
    one[0, 9, 6] = 1  # its 4x4 pixels begin at row 36, column 24
    assert gradcam.shares(one, REGIONS).round(2).iloc[0].to_dict() == pytest.approx(
        {"mouth": 0.98, "nose": 0.02, "eyes": 0, "brows": 0, "all": 1}, abs=0.03
    )


@pytest.mark.parametrize("dataset", ["fergit", "synthetic"])
def test_regions_are_in_the_image_and_apart(dataset):
    times = np.zeros((48, 48), int)
    for top, bottom, left, right in regions(dataset).values():
        assert 0 <= top < bottom <= 48 and 0 <= left < right <= 48
        times[top:bottom, left:right] += 1
    assert times.max() == 1


def test_the_mean_map_weighs_each_map_the_same_and_leaves_zeros_out():
    maps = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 200]], [[0, 0], [0, 0]]], np.float32)
    assert gradcam.mean_map(maps).tolist() == [[2, 0], [0, 2]]
    assert np.isnan(gradcam.mean_map(maps[2:])).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": np.zeros((2, 48, 48), np.float32)},
            r"images are float32 \(2, 48, 48\); allowed: uint8 \(n, 48, 48\)",
        ),
        ({"images": np.zeros((0, 48, 48), np.uint8)}, "at least one"),
        ({"images": np.zeros((48, 48), np.uint8)}, r"images are uint8 \(48, 48\)"),
        ({"labels": [0, 7]}, "label 7; allowed: 0 to 6"),
        ({"labels": [0]}, r"labels are int64 \(1,\); allowed: whole numbers \(2,\)"),
        (
            {"layer": "block6_conv2"},
            "layer is 'block6_conv2'; allowed for this basic network: block5_conv2, block4_conv2",
        ),
    ],
)
def test_refusals_are_one_line(network, changes, message):
    with pytest.raises(FergitError, match=message) as caught:
        gradcam.explain(network, **{"images": np.zeros((2, 48, 48), np.uint8)} | changes)
    assert "\n" not in str(caught.value)


def test_without_a_training_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", paths.ROOT / "nowhere")
    with pytest.raises(FergitError, match=r"nowhere/fergit/residual/02-train/seed-0/training.json: no such file; `dvc"):
        training.load_trained("fergit", "residual", 0)


# The study


def drawn(count, people, split="test"):
    images, labels, _ = draw_faces(count, 0)
    ids = [f"synthetic/{number:05d}" for number in range(count)]
    group = [f"P{number % people:04d}" for number in range(count)] if people else None
    return make_faces(images, labels, CLASSES, "synthetic", ids, group, [split] * count)


@pytest.mark.parametrize(("count", "people"), [(49, 0), (120, 49)])
def test_the_mean_face_of_few_people_is_refused(count, people):
    faces = drawn(count, people)
    assert not gradcam.has_mean_face(faces)
    with pytest.raises(FergitError, match="a mean face of 49 people; allowed: 50 or more"):
        gradcam.mean_face(faces)


def test_no_figure_shows_a_single_face():
    """Not of a label that one image was given, nor of the whole test part where that is small."""
    faces = drawn(120, 0)
    named = np.array(["happy"] * 119 + ["disgust"])
    even = [
        pd.DataFrame({"positions": 3, "named": name, "maps": maps, "row": row, "column": column, "value": 1.0})
        for name, maps in (("happy", 119), ("disgust", 1))
        for row, column in [np.indices((3, 3)).reshape(2, -1)]
    ]
    everyone = faces.images.mean(axis=0)
    for some, at_most in ((faces, 3), (faces.take(np.arange(71, 120)), 0)):
        figure = plots_gradcam.maps(pd.concat(even), some, named[-len(some) :], REGIONS)
        shown = [image.get_array() for axes in figure.axes for image in axes.get_images()]
        grays = [np.asarray(array) for array in shown if np.ptp(array) > 0]  # the maps are even
        assert len(grays) <= at_most and (len(grays) > 0) == (at_most > 0)
        for gray in grays:
            assert np.abs(gray - everyone).max() < 3  # the mean of 120 or of 119
        assert "1 map" in [text.get_text() for axes in figure.axes for text in axes.texts]
        plt.close(figure)


@pytest.fixture(scope="module")
def study():
    """An untrained network, as if it had been trained, on 60 drawn faces."""
    faces, boxes = drawn(60, 0), regions("synthetic")
    network = build_network("basic", poolings=4, seed=5)
    shared, means = gradcam.measure(network, faces, boxes)
    named = shared["named"][:60].to_numpy()
    others = gradcam.measure_untrained(lambda seed: build_network("basic", seed=seed), faces, named, boxes, 2)
    training = {"dataset": "synthetic", "model": "basic", "seed": 0, "classes": list(CLASSES)}
    return network, faces, shared, means, others, gradcam.summary(training, network, shared, others, boxes, EVALUATE)


def test_metrics_follow_from_the_tables(study):
    _, _, shared, _, others, found = study
    assert [one["positions"] for one in found["sizes"]] == [3, 6, 12] and found["n_test"] == 60
    assert [one["layer"] for one in found["sizes"]] == ["block6_conv2", "block4_conv2", "block3_conv2"]
    for one in found["sizes"]:
        own, fresh = (table[table["positions"] == one["positions"]] for table in (shared, others))
        assert one["share"]["all"] == pytest.approx(own["all"].mean(), abs=1e-6)
        assert one["low"] < one["share"]["all"] < one["high"]
        assert one["share"]["all"] == pytest.approx(sum(one["share"][name] for name in REGIONS), abs=1e-5)
        assert one["untrained"]["networks"] == 2
        assert one["untrained"]["as_much"] == (fresh["all"] >= own["all"].mean()).sum()
        assert sum(entry["images"] for entry in one["classes"].values()) == 60
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.parent.name)
def test_committed_metrics_follow_from_the_committed_tables(file):
    found = json.loads(file.read_text(encoding="utf-8"))
    trainings = paths.results(found["dataset"], found["model"], found["seed"])
    training = json.loads((trainings / "training.json").read_text(encoding="utf-8"))
    network = build_network(found["model"], len(training["classes"]), **training["network"])
    shared, others = (pd.read_csv(file.parent / "08-gradcam" / f"{name}.csv") for name in ("shares", "untrained"))
    boxes = regions(found["dataset"])
    assert gradcam.summary(training, network, shared, others, boxes, load_params()["evaluate"]) == found


def test_mean_maps_are_means_of_what_the_labels_say(study):
    network, faces, shared, means, _, _ = study
    named = shared["named"][:60].to_numpy()
    name = named[0]
    maps, _ = gradcam.explain(network, faces.images[named == name])
    part = means[(means["positions"] == 3) & (means["named"] == name)]
    assert part["maps"].iloc[0] == maps.any(axis=(1, 2)).sum()
    assert np.allclose(part["value"].to_numpy().reshape(3, 3), gradcam.mean_map(maps), rtol=1e-3)


def test_findings_say_what_the_share_is_worth(study):
    *_, found = study
    found = json.loads(json.dumps(found))
    first = found["sizes"][0]
    first |= {"share": {"mouth": 0.2, "nose": 0.1, "eyes": 0.1, "brows": 0.05, "all": 0.45}, "low": 0.4, "high": 0.5}
    first["untrained"] |= {"networks": 20, "as_much": 0, "least": 0.2, "most": 0.38}
    said = gradcam.findings(found)
    assert "they hold **45.0 % (40.0–50.0)**. That is more than their area. Of 20 networks with random weights" in said
    assert "(20.0–38.0 %), none have as much: the network has learnt to prefer" in said and "1 in 21" in said
    assert "at 3x3: the mouth 2.3, the nose 1.5, the eyes 1.2 and the brows 0.7. Below 1, so less than " in said
    first["untrained"]["as_much"] = 1
    assert "1 has as much: the preference need not come from what the network has learnt" in gradcam.findings(found)
    first |= {"low": 0.25, "high": 0.5}
    assert "not to be told from their area" in gradcam.findings(found)
    first |= {"low": 0.1, "high": 0.2}
    assert "less than their area" in gradcam.findings(found) and "does not prefer" in gradcam.findings(found)


def test_maps_of_zeros_only_are_said_and_do_not_stop_it(study):
    network, _, shared, _, others, _ = study
    empty = shared.copy()
    empty.loc[empty["positions"] == 3, [*REGIONS, "all"]] = np.nan
    training = {"dataset": "synthetic", "model": "basic", "seed": 0, "classes": list(CLASSES)}
    found = gradcam.summary(training, network, empty, others, regions("synthetic"), EVALUATE)
    assert found["sizes"][0]["empty"] == 60 and found["sizes"][0]["share"]["all"] is None
    said = gradcam.findings(found)
    assert "they hold **–**. These are too few maps" in said and "100.0 % at 3x3" in said
    assert set(gradcam.class_table(found)["3x3"]) == {"–"} and set(gradcam.region_table(found).loc["3x3"]) == {"–"}
    plt.close(plots_gradcam.shares(found))
    assert "None" not in gradcam.table(found).to_string()


def test_ones_own_faces(network, images):
    figure = plots_gradcam.over_faces(network, images[:2], CLASSES)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    _, probabilities = gradcam.explain(network, images[:2])
    best = [f"{CLASSES[row.argmax()]} {row.max():.0%}" for row in probabilities]
    assert labels[:2] == best
    plt.close(figure)


def test_each_face_of_a_photograph_is_explained(network, tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "two.png"), portrait(people=2)[0])
    monkeypatch.setattr(shipped, "load_network", lambda weights: network)
    figure = plots_gradcam.explain(tmp_path / "two.png")
    rows = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel().endswith("%")]
    assert len(rows) == 2 and {row.split()[0] for row in rows} <= set(CLASSES)
    plt.close(figure)


def test_a_photograph_without_a_face_is_one_line(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200), 90, np.uint8))
    with pytest.raises(FergitError, match="wall.png: no face is found in it"):
        plots_gradcam.explain(tmp_path / "wall.png")


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
        "from fergit.runner.execute import execute_notebook; from fergit import paths; execute_notebook('08-gradcam', "
        "paths.gradcam('synthetic') / '08-gradcam.ipynb', {'model': 'basic', 'untrained': 2})"
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
    shared, others = (pd.read_csv(results / "08-gradcam" / f"{name}.csv") for name in ("shares", "untrained"))
    boxes = regions("synthetic")
    evaluate = {"confidence_level": 0.95, "bootstrap_samples": 2000}
    again = gradcam.summary(training | {"classes": CLASSES}, network, shared, others, boxes, evaluate)
    assert json.loads(json.dumps(again)) == found


def test_jax_computes_the_same(tmp_path, images):
    pytest.importorskip("jax")
    network = build_network("basic", seed=1)
    np.save(tmp_path / "images.npy", images)
    network.save_weights(tmp_path / "start.weights.h5")
    code = (
        "import numpy as np; from fergit import gradcam; from fergit.engine.network import build_network; "
        "network = build_network('basic'); network.load_weights('start.weights.h5'); "
        "np.save('maps.npy', gradcam.explain(network, np.load('images.npy'))[0])"
    )
    env = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(paths.ROOT / "src")}
    child = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    ours = gradcam.explain(network, images)[0]
    assert np.allclose(np.load(tmp_path / "maps.npy"), ours, rtol=1e-2, atol=1e-3 * ours.max())
