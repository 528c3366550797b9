"""What a study found: its numbers, from made-up trainings, and its tables."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fergit.analysis import studies
from fergit.core.errors import FergitError
from fergit.core.files import write_table
from fergit.pages import tables_studies
from fergit.paper import published

EVALUATE = {"confidence_level": 0.95, "bootstrap_samples": 2000, "calibration_bins": 10}
STUDY = {
    "question": "Does it matter?",
    "dataset": "synthetic",
    "models": ["basic"],
    "set": {"train.epochs": 1},
    "vary": "train.precision",
    "values": ["a", "b"],
}
SPLITS = {"vary": "synthetic.split.seed"}


def made_up(groups):
    """Two variants of three trainings, the second better by a tenth."""
    rows, images = [], []
    for variant, hits in (("a", (5, 6, 7)), ("b", (6, 7, 9))):  # on validation two images fewer are right
        for seed, right in enumerate(hits):
            rows.append((variant, "basic", seed, 0.5, 0.6, True, right / 10, 10))
            for part, count in (("validation", right - 2), ("test", right)):
                for i in range(10):
                    guess = (0.9, 0.1) if i < count else (0, 1)
                    images.append((variant, "basic", seed, part, f"i{i}", groups[i], "x", *guess))
    keys = ["variant", "network", "seed"]
    columns = ["validation_accuracy", "train_accuracy", "trained", "accuracy", "n_test"]
    predictions = pd.DataFrame(images, columns=[*keys, "split", "sample_id", "group", "label", "p_x", "p_y"])
    return predictions, pd.DataFrame(rows, columns=[*keys, *columns])


def summed_up(predictions, trainings, **changes):
    found = studies.summary("mine", STUDY | changes, predictions, trainings, EVALUATE)
    json.dumps(found, allow_nan=False)
    return found


def test_variants_are_compared_with_the_first():
    predictions, trainings = made_up([""] * 10)
    found = summed_up(predictions, trainings)
    assert [row["mean"] for row in found["variants"]] == [0.6, 0.733333] and found["draws"] == {}
    [row] = found["against_first"]
    assert row["difference"] == 0.133333 and row["low"] <= 0.133333 <= row["high"]
    assert row["p"] == pytest.approx(stats.ttest_rel([6, 7, 9], [5, 6, 7]).pvalue, abs=1e-6)
    assert found["variants"][0]["named"] == {"x": 0.4, "y": None}  # 12 of 30 images; none is of y
    assert [row["validation"] for row in found["variants"]] == [0.4, 0.533333]  # as predicted, mirrored or not
    macro_f1 = np.mean([2 * n / (10 + n) / 2 for n in (5, 6, 7)])
    assert found["variants"][0]["macro_f1"] == pytest.approx(macro_f1, abs=1e-6)
    assert tables_studies.variants(found).loc["b", "test accuracy"].startswith("73.3 % (")
    assert tables_studies.comparisons(found).loc["b minus a", "points"] == "+13.3"
    assert tables_studies.splits(found) is None and tables_studies.named(found).loc[("basic", "b"), "x"] == "0.53"


def test_classes_and_variants_may_be_numbers(tmp_path):
    """As RAF-DB's folders are: 1 and 2 for x and y, and pictures without a suffix."""
    predictions, trainings = made_up([""] * 10)
    expected = summed_up(predictions, trainings)
    names = {
        "variant": {"a": "0.10", "b": "0.2"},
        "label": {"x": "1"},
        "sample_id": {f"i{i}": f"0{i}" for i in range(10)},
    }
    tables = predictions.replace(names), trainings.replace({"variant": names["variant"]})
    for name, table in zip(studies.TABLES, tables, strict=True):
        write_table(tmp_path / f"{name}.csv", table.rename(columns={"p_x": "p_1", "p_y": "p_2"}))
    found = summed_up(*studies.read(tmp_path))
    assert [row["variant"] for row in found["variants"]] == ["0.10", "0.2"]
    assert found["variants"][0]["named"] == {"1": 0.4, "2": None}
    assert [row["macro_f1"] for row in found["variants"]] == [row["macro_f1"] for row in expected["variants"]]


@pytest.mark.parametrize("rows", [slice(None, -1), [1, 0, *range(2, 120)]])
def test_seeds_with_other_images_are_refused(tmp_path, rows):
    predictions, trainings = made_up([""] * 10)
    for name, table in zip(studies.TABLES, (predictions.iloc[rows], trainings), strict=True):
        write_table(tmp_path / f"{name}.csv", table)
    with pytest.raises(FergitError, match="predictions.csv: the (test|validation) images of basic with [ab] are"):
        studies.read(tmp_path)


def test_a_study_of_splits_with_a_single_person_is_refused():
    predictions, trainings = made_up(["p1"] * 10)
    with pytest.raises(FergitError, match="all tests are of one person"):
        summed_up(predictions, trainings, vary="ckplus.split.fold")


def test_one_seed_is_compared_by_mcnemars_test():
    """Two images that only the second names rightly."""
    predictions, trainings = made_up([""] * 10)
    found = summed_up(predictions[predictions["seed"] == 2], trainings[trainings["seed"] == 2])
    [row] = found["against_first"]
    assert (row["p"], row["over_seeds"], row["test"]) == (0.5, None, "McNemar's test")
    assert "sd over runs" not in tables_studies.variants(found)


def test_a_failed_training_is_compared_with_nothing():
    predictions, trainings = made_up([""] * 10)
    trainings.loc[4, "trained"] = False
    found = summed_up(predictions, trainings)
    assert found["against_first"] == [] and tables_studies.comparisons(found) is None
    assert tables_studies.variants(found).loc["b", "test accuracy"] == "training failed"
    assert tables_studies.overview({"mine": found}).loc[0, "test accuracy"] == "a: 60.0 %; b: training failed"


def test_what_varies_may_be_any_text():
    """Of variants with names: also that of a column, or one that ends like a key whose values are splits."""
    tables = made_up([""] * 10)
    found = summed_up(*tables, vary="network", values={"a": {}, "b": {"train.epochs": 2}})
    assert tables_studies.variants(found).index.tolist() == ["a", "b"]
    assert summed_up(*tables, vary="my.seed", values={"a": {}, "b": {}})["draws"] == {}


def test_all_studies_name_their_networks_where_there_are_several():
    tables = made_up([""] * 10)
    both = [pd.concat([table, table.assign(network="residual")], ignore_index=True) for table in tables]
    row = tables_studies.overview({"mine": summed_up(*both, models=["basic", "residual"])}).loc[0]
    assert "a, basic: 60.0 %; b, basic: 73.3 %; a, residual: 60.0 %" in row["test accuracy"]
    assert row["difference in points"].startswith("*b* instead of *a*, basic: +13.3 (")
    many = [table.assign(variant=table["variant"] + table["seed"].astype(str), seed=0) for table in both]
    row = tables_studies.overview({"mine": summed_up(*many, models=["basic", "residual"])}).loc[0]
    ends = "50.0 % to 90.0 %, {}; best on validation: b2 (test 90.0 %)"
    assert row["test accuracy"] == "; ".join(map(ends.format, ("basic", "residual")))


def test_the_papers_table_stands_beside_a_study_of_its_data():
    """The paper finds 0.54 of disgust at a precision of 0.71: it names 0.76 for each that there is."""
    predictions, trainings = (table.assign(network="residual") for table in made_up([""] * 10))
    found = summed_up(predictions, trainings, dataset="fergit", models=["residual"])
    assert found["paper"]["residual"]["accuracy"] == 0.75
    assert tables_studies.named(found).loc[("residual", "paper"), "disgust"] == "0.76"


def test_equal_differences():
    assert studies.paired_t([0.0, 0.0]) == 1
    assert studies.paired_t([0.1, 0.1]) == 0


def test_splits_are_summed_up_and_not_compared():
    """Five images each of two persons, one known and one not: the interval is no narrower than that."""
    found = summed_up(*made_up(["known"] * 5 + ["new"] * 5), **SPLITS)
    draws = found["draws"]["basic"]
    assert found["against_first"] == [] and (draws["people"], draws["images"]) == (2, 10)
    assert draws["mean"] == draws["accuracy"] == 0.666667 and (draws["low"], draws["high"]) == (0.333333, 1)
    assert (draws["draws"], draws["trainings"], draws["tests"], draws["below"]) == (2, 6, 60, None)
    assert draws["recalls"] == {"x": {"tests": 60, "right": 0.666667}}
    assert found["networks"] is None  # there is one
    shown = tables_studies.splits(found)["basic"]
    assert (shown["accuracy over all tests"], shown["interval over"]) == ("66.7 % (33.3–100.0)", "2 persons")
    for row, named in zip(found["variants"], (0.5, 1.25), strict=True):
        row["named"]["x"] = named
    assert tables_studies.named(found)["x"].to_dict() == {("basic", "mean of 2 splits"): "0.88"}


def test_two_networks_are_compared_over_the_splits():
    """The second is right wherever the first is, and everywhere in the second split; its rows lie in another order."""
    predictions, trainings = made_up(["known"] * 5 + ["new"] * 5)
    second, accuracies = (table.assign(network="residual") for table in (predictions, trainings))
    second.loc[second["variant"] == "b", ["p_x", "p_y"]] = 1, 0
    accuracies.loc[accuracies["variant"] == "b", "accuracy"] = 1.0
    tables = (second.sample(frac=1, random_state=0), predictions), (trainings, accuracies)
    both = [pd.concat(pair, ignore_index=True) for pair in tables]
    changes = SPLITS | {"models": ["basic", "residual"]}
    found = summed_up(*both, **changes)
    first, other = (found["draws"][name]["accuracy"] for name in ("basic", "residual"))
    two = found["networks"]
    assert (two["first"], two["second"]) == ("basic", "residual")
    assert two["difference"] == pytest.approx(other - first, abs=1e-6) == pytest.approx(8 / 60, abs=1e-6)
    assert (two["low"], two["high"]) == (0, 0.266667)  # no narrower than the two persons
    wrong = (
        predictions.query("split == 'test' and variant == 'b' and p_x < p_y").groupby("seed").size()
    )  # of the first network
    assert two["per_seed"] == pytest.approx((wrong / 20).tolist(), abs=1e-6)
    assert tables_studies.comparisons(found).loc["residual minus basic", "by seed"] == "+20.0, +15.0, +5.0"
    assert (two["higher"], two["equal"], two["lower"]) == (1, 1, 0)
    assert tables_studies.comparisons(found).loc["residual minus basic", "interval"] == "0.0 to +26.7"
    assert tables_studies.overview({"mine": found}).loc[0, "difference in points"] == (
        "residual minus basic +13.3 (0.0 to +26.7)"
    )
    assert found["draws"]["basic"]["by_person"] == {"known": [30, 30], "new": [10, 30]}
    assert studies.between(*found["draws"].values(), EVALUATE) == pytest.approx((8 / 60, 0, 16 / 60))

    other = [both[0].replace({"sample_id": {"i1": "i11"}}).iloc[:120], predictions]
    with pytest.raises(FergitError, match="the basic and the residual network have not the same tests"):
        summed_up(pd.concat(other), both[1], **changes)

    both[1].loc[0, "trained"] = False  # which compares nothing
    assert summed_up(*both, **changes)["networks"] is None


def test_splits_stand_beside_the_papers_number():
    """The paper has 0.97 on CK+."""
    predictions, trainings = (table.assign(network="residual") for table in made_up([""] * 10))
    predictions["label"] = "contempt"
    predictions = predictions.rename(columns={"p_x": "p_contempt", "p_y": "p_happy"})
    trainings["accuracy"] = [0.9649, 0.9651, 0.9749, 0.9751, 0.99, 1]
    for table in (predictions, trainings):  # a training for each variant
        table["variant"], table["seed"] = table["variant"] + table["seed"].astype(str), 0
    found = summed_up(predictions, trainings, dataset="ckplus", models=["residual"], vary="ckplus.split.seed")
    draws = found["draws"]["residual"]
    assert (draws["below"], draws["equal"], draws["above"]) == (1, 2, 3)
    by_persons = summed_up(
        predictions,
        trainings,
        dataset="ckplus",
        models=["residual"],
        vary="ckplus.split.fold",
        set={"ckplus.split.protocol": "subjects"},
    )
    assert by_persons["paper"] == {"residual": None} and by_persons["draws"]["residual"]["below"] is None


def test_random_splits_judge_the_papers_claims_on_ckplus():
    """Every image is named correctly, the paper finds 96 of 99."""
    classes = published.CKPLUS_CLASSES
    tests = [(f"{split}", "residual", 0, f"i{i}", "", name) for split in range(3) for i, name in enumerate(classes)]
    predictions = pd.DataFrame(tests, columns=["variant", "network", "seed", "sample_id", "group", "label"])
    predictions[[f"p_{name}" for name in classes]] = np.tile(np.eye(len(classes)), (3, 1))
    predictions = pd.concat([predictions.assign(split=part) for part in ("validation", "test")], ignore_index=True)
    trainings = predictions.drop_duplicates("variant")[["variant", "network", "seed"]]
    trainings = trainings.assign(validation_accuracy=1.0, train_accuracy=1.0, trained=True, accuracy=1.0, n_test=7)
    changes = {"dataset": "ckplus", "models": ["residual"], "vary": "ckplus.split.seed"}
    found = summed_up(predictions, trainings, set={"ckplus.split.protocol": "frames"}, **changes)
    by_id = {claim["id"]: claim for claim in found["claims"]}
    accuracy = by_id["ckplus-residual-accuracy"]
    assert (accuracy["ours"], accuracy["seeds"], accuracy["verdict"]) == (1, 3, "inconclusive")
    assert by_id["ckplus-residual-minutes"]["verdict"] == "not comparable"
    failed = trainings.assign(trained=[True, False, True])
    found = summed_up(predictions, failed, set={"ckplus.split.protocol": "frames"}, **changes)
    by_id = {claim["id"]: claim for claim in found["claims"]}
    assert by_id["ckplus-residual-accuracy"]["note"] == "a training of the residual network failed"
    assert tables_studies.splits(found).loc["accuracy over all tests", "residual"] == "training failed"
    assert tables_studies.overview({"mine": found}).loc[0, "test accuracy"] == "residual training failed"
    assert summed_up(predictions, trainings, set={"ckplus.split.protocol": "subjects"}, **changes)["claims"] == []
