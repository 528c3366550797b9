"""The rule that judges the paper's numbers, on cases computed by hand, by simulation, and on made-up results."""

import re

import made_up
import numpy as np
import pandas as pd
import pytest
from made_up import EVALUATE
from scipy import stats

from fergit.analysis import claims, metrics
from fergit.analysis.claims import Measured
from fergit.analysis.report import NetworkResults
from fergit.core import paths
from fergit.core.predictions import predictions_table
from fergit.paper import published


def predictions(table, recalls, seeds=(0,), seed_shift=0):
    """Predictions with these recalls: the first images of each class are right, the others get the next class."""
    both = {seed: made_up.recalled(table, recalls, step * seed_shift) for step, seed in enumerate(seeds)}
    labels, probabilities = both[seeds[0]][0], {seed: values for seed, (_, values) in both.items()}
    return predictions_table(table["classes"], [str(i) for i in range(labels.size)], labels, probabilities)


def outcome(table, recalls=None, seeds=(0,), seed_shift=0, **changes):
    table_of = predictions(table, table["recall"] if recalls is None else recalls, seeds, seed_shift)
    return NetworkResults(table_of, {}, dict.fromkeys(seeds, made_up.training(**changes)), pd.DataFrame())


def checked(basic=None, residual=None, **options):
    outcomes = {name: one for name, one in (("basic", basic), ("residual", residual)) if one}
    return claims.check("fergit", outcomes, EVALUATE, **options).set_index("id")


def test_a_binomial_variance_has_one_success_and_one_failure_more():
    assert claims.binomial_variance(0.5, 98) == pytest.approx(0.25 / 100)
    assert claims.binomial_variance(1.0, 14) == pytest.approx(15 / 16 * 1 / 16 / 16)


def test_the_interval_of_one_run_is_that_of_two_samples():
    """0.0025 twice and 0.005 squared over 3 are 0.0050083; 1.959964 times its root is 0.13871."""
    difference, low, high = claims.interval(0.5, 98, Measured((0.5,), 98, 1.0))
    assert (difference, low, high) == pytest.approx((0, -0.13871, 0.13871), abs=1e-5)


def test_runs_add_their_spread_once_for_the_paper_and_once_for_our_mean():
    """Images 0.5 x 0.005, runs 0.0004 x 4/3, rounding 0.0000083: 0.0030417; Student's with 65.05 degrees: 1.99711."""
    difference, low, high = claims.interval(0.5, 98, Measured((0.48, 0.5, 0.52), 98, 0.5))
    assert (difference, low, high) == pytest.approx((0, -0.110143, 0.110143), abs=2e-5)


def test_over_splits_the_spread_stands_for_images_and_runs():
    """0.0004 x 4/3 and the rounding are 0.00054167; Student's with 2.063 degrees: 4.1792."""
    difference, low, high = claims.interval(0.97, 99, Measured((0.96, 0.98, 1.0), 99, 1.0, splits=True))
    assert (difference, (high - low) / 2) == pytest.approx((0.01, 0.09726), abs=5e-5)


def test_splits_that_agree_by_luck_leave_the_binomial_variance():
    """Five of five in each split, 0.6 of five in the paper: 4/7 x 3/7 / 7 x 1.1 is 0.03848, its root 0.19617."""
    _, low, high = claims.interval(0.6, 5, Measured((1.0,) * 10, 5, 1.0, splits=True))
    assert (high - low) / 2 == pytest.approx(0.19617 * 2.262, abs=1e-3)


def test_the_rule_is_symmetric():
    there = claims.interval(0.70, 300, Measured((0.76,), 500, 1.0))
    back = claims.interval(0.76, 500, Measured((0.70,), 300, 1.0))
    assert there == pytest.approx((-back[0], -back[2], -back[1]))


@pytest.mark.parametrize(
    ("difference", "low", "high", "margin", "n", "expected"),
    [
        (0.01, -0.009, 0.029, 0.03, 2465, "reproduced"),
        (0.01, 0.002, 0.018, 0.03, 2465, "reproduced"),  # a real difference, too small to matter
        (0.02, -0.01, 0.05, 0.03, 2465, "inconclusive"),  # holds 0 and more than the margin
        (-0.05, -0.07, -0.03, 0.03, 2465, "not reproduced"),
        (0.05, 0.03, 0.07, 0.03, 2465, "not reproduced"),
        (0.004, 0.001, 0.007, 0.005, 2465, "inconclusive"),  # the paper's rounding may be all of it
        (-0.4, -0.6, -0.2, 0.06, 16, "inconclusive"),  # one image in 16 is 6.25 points
        (-0.4, -0.6, -0.2, 0.06, 17, "not reproduced"),
    ],
)
def test_verdicts(difference, low, high, margin, n, expected):
    assert claims.verdict(difference, low, high, margin, n) == expected


def test_two_runs_that_err_alike_share_everything_and_independent_ones_nothing():
    rng = np.random.default_rng(0)
    one = rng.random(4000) < 0.7
    assert claims.correlation_of_runs([one, one]) == 1
    assert claims.correlation_of_runs([one]) == 1
    assert claims.correlation_of_runs(rng.random((2, 4000)) < 0.7) == pytest.approx(0, abs=0.05)
    mixed = np.stack([np.where(rng.random(4000) < 0.5, one, rng.random(4000) < 0.7) for _ in range(2)])
    assert claims.correlation_of_runs(mixed) == pytest.approx(0.25, abs=0.05)  # both take it from `one`: 1/2 x 1/2


@pytest.mark.parametrize("seed_sd", [0, 0.02])
def test_equal_networks_are_told_apart_once_in_twenty(seed_sd):
    """Two laboratories with the same network, images and seeds at random: 95 % of the intervals hold 0."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(1500):
        runs = []
        for count in (1, 4):  # the paper's one run, our four
            easy = rng.beta(1.5, 0.5, 400)  # of each test image: how often it is classified correctly
            shift = rng.normal(0, seed_sd, (count, 1))
            runs.append(rng.random((count, 400)) < easy + shift)
        paper, ours = round(runs[0].mean(), 2), runs[1]
        measured = Measured(tuple(ours.mean(axis=1)), 400, claims.correlation_of_runs(ours))
        _, low, high = claims.interval(paper, 400, measured)
        held += low <= 0 <= high
    assert 0.93 <= held / 1500 <= 0.98


def test_margins_have_the_reasons_that_are_given():
    pairs = [(published.TABLE_2[score], published.TABLE_3[score]) for score in ("precision", "recall")]
    changes = [abs(one - two) for first, second in pairs for one, two in zip(first, second, strict=True)]
    assert max(changes) == pytest.approx(claims.MARGINS["recall"]) == claims.MARGINS["precision"]
    table = (paths.ROOT / "docs" / "fer2013.md").read_text(encoding="utf-8")
    others = re.findall(r"^\| [^|]+ \| ([\d.]+) % \|", table, re.M)  # the winner, VGGNet and ResNet18
    shares = [float(share) for share in others]
    assert len(shares) == 3 and 100 * claims.MARGINS["accuracy"] == np.ceil(max(shares) - min(shares))


def test_the_papers_own_table_is_reproduced_where_its_images_suffice():
    table = checked(outcome(published.TABLE_2), outcome(published.TABLE_3))
    assert set(table.index) == {claim.id for claim in published.CLAIMS if claim.dataset == "fergit"}
    verdicts = table["verdict"]
    for name in ("basic-accuracy", "residual-accuracy", "residual-recall-happy", "residual-training-accuracy"):
        assert verdicts[f"fergit-{name}"] == "reproduced", name
    assert verdicts["fergit-residual-recall-fear"] == "inconclusive"  # 257 images: ± 8.6 points
    assert "not reproduced" not in set(verdicts[table["quantity"] == "recall"])
    row = table.loc["fergit-residual-accuracy"]
    assert row["ours"] == pytest.approx(0.747, abs=1e-3) and row["n"] == row["paper_n"] == 2465
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * np.sqrt(2 * 0.189 / 2465 + 0.005**2 / 3), rel=0.01)
    assert "one run" in row["note"] and row["seeds"] == 1


def test_a_worse_network_reproduces_nothing():
    table = checked(residual=outcome(published.TABLE_3, [0.3] * 7, train_accuracy=0.4))
    assert table.loc["fergit-residual-accuracy", "verdict"] == "not reproduced"
    assert table.loc["fergit-residual-recall-happy", "verdict"] == "not reproduced"
    assert table.loc["fergit-residual-training-accuracy", "verdict"] == "not reproduced"
    assert table.loc["fergit-residual-macro-f1", "verdict"] == "not reproduced"
    assert table.loc["fergit-residual-gain", "note"] == "no basic network was trained"
    assert set(table.loc[table["model"] == "basic", "verdict"]) == {"not comparable"}


def test_a_gain_of_one_point_cannot_be_told_from_none():
    """28 images more of 2,465, no image lost: 1.1 points, and an interval that excludes 0 gain only for ours."""
    better = [
        *published.TABLE_2["recall"][:3],
        published.TABLE_2["recall"][3] + 28 / 735,
        *published.TABLE_2["recall"][4:],
    ]
    row = checked(outcome(published.TABLE_2), outcome(published.TABLE_3, better)).loc["fergit-residual-gain"]
    assert row["paper"] == row["margin"] == 0.01
    assert row["ours"] == pytest.approx(28 / 2465, abs=5e-4)
    share = 28 / 2465
    half = 1.96 * np.sqrt(2 * share * (1 - share) / 2465 + 0.01**2 / 3)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.01) and row["verdict"] == "inconclusive"


def test_runs_that_agree_are_not_taken_for_certain():
    """Three networks that name all 25 images correctly: s² is the binomial variance that r leaves to the runs."""
    variance = 26 / 27 * (1 / 27) / 27
    by_run = (1 - 0.4) * variance * 4 / 3
    total = 0.4 * 2 * variance + by_run + 0.005**2 / 3
    half = stats.t.ppf(0.975, 2 * (total / by_run) ** 2) * total**0.5
    found = claims.interval(1.0, 25, Measured((1.0,) * 3, 25, 0.4))
    assert found == pytest.approx((0, -half, half))


def test_several_seeds_enter_the_interval():
    one, three = (
        checked(residual=outcome(published.TABLE_3, seeds=seeds, seed_shift=8)).loc["fergit-residual-accuracy"]
        for seeds in ((0,), (0, 1, 2))
    )
    assert three["seeds"] == 3 and "one run" not in three["note"]
    assert three["high"] - three["low"] > 2 * (one["high"] - one["low"])  # 56 images from seed to seed: 2.3 points


def test_precisions_are_of_the_images_given_the_name():
    row = checked(residual=outcome(published.TABLE_3)).loc["fergit-residual-precision-happy"]
    assert row["paper_n"] == round(0.92 * 735 / 0.89) == 760
    happy = round(0.92 * 735)
    fear = 257 - round(0.44 * 257)  # the images of fear that are missed get the next class, happy
    assert row["ours"] == pytest.approx(happy / (happy + fear)) and row["n"] == happy + fear


def test_the_parameter_count_is_by_construction():
    row = checked(residual=outcome(published.TABLE_3)).loc["fergit-residual-parameters"]
    assert row["verdict"] == "by construction" and row["note"] == "9,773,111 in all, 9,766,391 trainable"
    literal = {"first_kernels": [5, 3], "batch_normalization": "literal"}
    row = checked(residual=outcome(published.TABLE_3, network=literal)).loc["fergit-residual-parameters"]
    assert row["verdict"] == "not reproduced" and row["difference"] == -1408


def test_the_table_as_csv_has_the_parameters_in_full():
    text = claims.as_csv(checked(residual=outcome(published.TABLE_3)).reset_index())
    row = next(row for row in text.splitlines() if "parameters" in row)
    assert row.split(",")[6:9] == ["9766391", "", "9766391"] and "e+" not in text and text.count("\n") == 40
    assert next(row for row in text.splitlines() if "macro-f1" in row).split(",")[7] == "0.675714"


def test_what_cannot_be_compared_says_why():
    table = checked(residual=outcome(published.TABLE_3, trained=False))
    assert table.loc["fergit-residual-accuracy", "note"] == "a training of the residual network failed"
    assert table.loc["fergit-residual-minutes", "note"] == "other hardware"
    short = checked(residual=outcome(published.TABLE_3, [0.3] * 7, epochs_run=50, train={"epochs": 50}))
    row = short.loc["fergit-residual-accuracy"]
    assert row["verdict"] == "not comparable" and row["note"].startswith("50 of the paper's 100 epochs; ")
    assert short.loc["fergit-residual-f1-text", "verdict"] == "not comparable"
    assert short.loc["fergit-residual-f1-text", "ours"] < 0.4
    by_person = claims.check("ckplus", {}, EVALUATE, protocol="subjects")
    assert set(by_person["verdict"]) == {"not comparable"}
    assert list(claims.check("synthetic", {}, EVALUATE).columns) == list(claims.COLUMNS)


def test_a_study_of_splits_judges_ckplus():
    tables = []
    for split, wrong in enumerate((1, 2, 3, 4, 5)):  # images of the largest class, of 99
        table = predictions(published.TABLE_4, [1, 1, 1, 1, 1, 1, 1 - wrong / 25])
        tables.append(table.assign(variant=str(split), network="residual", group=""))
    found = claims.check("ckplus", {}, EVALUATE, "frames", splits=pd.concat(tables)).set_index("id")
    row = found.loc["ckplus-residual-accuracy"]
    assert row["seeds"] == 5 and row["n"] == 99 and row["note"] == "over 5 random splits"
    assert row["difference"] == pytest.approx(96 / 99 - 0.97)
    # The binomial variance of the paper's 97 % is larger than that of these five: 0.000374 x 6/5.
    assert row["high"] - row["low"] == pytest.approx(2 * np.sqrt(0.000374 * 1.2 + 0.005**2 / 3) * 2.73, rel=0.02)
    contempt = found.loc["ckplus-residual-recall-contempt"]
    assert contempt["verdict"] == "inconclusive" and "one image moves it" in contempt["note"]


@pytest.mark.parametrize("table", published.TABLES.values())
def test_the_papers_confusion_matrix_has_its_supports_recalls_and_precisions(table):
    confusion = claims.implied_confusion(table)
    assert confusion.sum(axis=1) == pytest.approx(table["support"]) and (confusion >= 0).all()
    precision, recall, _ = metrics.scores(confusion)
    assert recall == pytest.approx(table["recall"], abs=0.5 / min(table["support"]))
    assert precision == pytest.approx(table["precision"], abs=0.0101)
    assert metrics.macro_f1(confusion) == pytest.approx(published.recomputed_mean(table, "f1"), abs=0.005)


def test_table_4_has_three_errors_in_two_rows_and_two_columns():
    """Contempt 2 and disgust 1; named fear 1 and happy 2. By the margins, contempt's 2 are 2/3 fear and 4/3 happy."""
    errors = claims.implied_confusion(published.TABLE_4)
    np.fill_diagonal(errors, 0)
    assert errors[1, [3, 4]] == pytest.approx([2 / 3, 4 / 3], abs=0.05)
    assert errors[2, [3, 4]] == pytest.approx([1 / 3, 2 / 3], abs=0.05)
    assert errors.sum() == pytest.approx(3) and np.count_nonzero(errors > 1e-6) == 4


def test_the_papers_macro_f1_has_the_variance_of_the_papers_matrix():
    """Without a mistake of ours: 5.7 points more, but Table 4 alone has a standard deviation of about four points."""
    perfect = {"residual": outcome(published.TABLE_4, [1] * 7, dataset="ckplus")}
    row = claims.check("ckplus", perfect, EVALUATE, "frames").set_index("id").loc["ckplus-residual-macro-f1"]
    assert row["difference"] == pytest.approx(1 - 0.9429, abs=1e-3)
    assert 0.03 < (row["high"] - row["low"]) / 2 / 1.96 < 0.05
    assert row["verdict"] == "inconclusive"


def test_what_could_be_reproduced_with_one_run_is_what_docs_verdicts_says():
    """Our value is the paper's. Its macro F1 has the variance of its own matrix on both sides."""
    possible = set()
    for claim in published.CLAIMS:
        if claim.quantity in claims.MARGINS:
            variance = None
            if claim.quantity == "macro F1":
                table = published.TABLES[claim.dataset, claim.model]
                variance = claims._variance_of_macro_f1(claims.implied_confusion(table), 500)
            measured, margin = Measured((claim.value,), claim.n, 1.0, variance), claims.MARGINS[claim.quantity]
            if claims.verdict(*claims.interval(claim.value, claim.n, measured), margin, claim.n) == "reproduced":
                possible.add((claim.dataset, claim.quantity, claim.expression))
    classes = {("fergit", score, name) for score in ("precision", "recall") for name in ("happy", "neutral")}
    assert possible == classes | {("fergit", "accuracy", None), ("fergit", "training accuracy", None)}
