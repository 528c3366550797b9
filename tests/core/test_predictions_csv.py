import numpy as np
import pytest

from fergit.core import predictions
from fergit.core.errors import FergitError

CLASSES = ("angry", "happy", "sad")


@pytest.fixture
def file(tmp_path):
    """Twenty images by two seeds, the last twelve of them in the test part."""
    values = np.random.default_rng(0).dirichlet(np.ones(3), (2, 20))
    splits = np.array(["validation"] * 8 + ["test"] * 12)
    ids = [f"made-up/{i:05d}" for i in range(20)]
    table = predictions.predictions_table(CLASSES, ids, np.arange(20) % 3, {0: values[0], 3: values[1]}, splits)
    predictions.write_predictions(tmp_path / "predictions.csv", table)
    return tmp_path / "predictions.csv"


@pytest.mark.parametrize(("split", "images"), [("validation", 8), ("test", 12)])
def test_each_part_is_read_as_written(file, split, images):
    table = predictions.read_predictions(file, split)
    assert set(table["split"]) == {split} and predictions.read_predictions(file)["split"].eq("test").all()
    assert predictions.classes_of(table) == CLASSES and predictions.seeds_of(table) == [0, 3]
    labels, values = predictions.unpack(table)
    assert values.shape == (2, images, 3)
    assert table["label"].tolist()[:images] == [CLASSES[label] for label in labels]
    assert np.allclose(values.sum(axis=2), 1, atol=1e-5)


def test_what_is_read_and_written_again_is_the_same_bytes(file):
    first = file.read_bytes()
    predictions.write_predictions(file, predictions.read_table(file, (), ""))
    assert file.read_bytes() == first and b"\r" not in first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("split,seed", "part,seed", "no column 'split'"),
        (",sample_id,label", ",label,sample_id", "columns are split,seed,label,sample_id"),
        ("\nvalidation,0", "\ntrain,0", "line 2: split is none of validation, test"),
        ("made-up/00003,", "made-up/00002,", "line 5: the same seed and sample_id"),
        ("made-up/00003,", "made-up/99999,", "do not have the same images"),
        (",p_sad", ",p_fear", "class is none of angry, happy, fear"),
        ("\ntest,3", "\ntest,x", "a seed that is not a whole number"),
    ],
)
def test_damage_is_refused_in_one_line(file, old, new, message):
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(FergitError, match=message) as error:
        predictions.read_predictions(file)
    assert "predictions.csv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cells", "message"), [("0.9,0.9,0.9", "add up"), ("0.5,x,0.5", "0 to 1"), ("2,-1,0", "0 to 1")]
)
def test_impossible_probabilities_are_refused_with_their_line(file, cells, message):
    lines = file.read_text().splitlines()
    lines[4] = ",".join(lines[4].split(",")[:4]) + "," + cells
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(FergitError, match=f"line 5: .*{message}"):
        predictions.read_predictions(file)


def test_missing_and_empty_files_and_parts_are_refused(file):
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("test")) + "\n")
    with pytest.raises(FergitError, match="no rows of the test part; `dvc repro`"):
        predictions.read_predictions(file)
    file.write_text(lines[0] + "\n")
    with pytest.raises(FergitError, match="no rows"):
        predictions.read_predictions(file)
    file.write_text("")
    with pytest.raises(FergitError, match="not the CSV"):
        predictions.read_predictions(file)
    file.unlink()
    with pytest.raises(FergitError, match="no such file"):
        predictions.read_predictions(file)
