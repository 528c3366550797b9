"""The paper's numbers agree with one another, as far as they do in the paper."""

import pytest

from fergit.paper import published

TABLES = [published.TABLE_2, published.TABLE_3, published.TABLE_4]


@pytest.mark.parametrize("table", TABLES)
def test_supports_sum_to_the_size_of_the_test_part(table):
    assert sum(table["support"]) == table["n_test"]
    assert all(len(table[name]) == len(table["classes"]) == 7 for name in ("precision", "recall", "f1", "support"))


@pytest.mark.parametrize(
    ("table", "accuracy", "macro_f1"),
    [(published.TABLE_2, 0.742, 0.676), (published.TABLE_3, 0.747, 0.674)],
)
def test_recalls_and_supports_give_the_printed_accuracy(table, accuracy, macro_f1):
    assert published.recomputed_accuracy(table) == pytest.approx(accuracy, abs=5e-4)
    assert published.recomputed_mean(table, "f1") == pytest.approx(macro_f1, abs=5e-4)
    assert published.recomputed_accuracy(table) == pytest.approx(table["accuracy"], abs=5e-3)


@pytest.mark.parametrize("table", TABLES)
def test_f1_follows_from_precision_and_recall(table):
    for p, r, f1 in zip(table["precision"], table["recall"], table["f1"], strict=True):
        assert 2 * p * r / (p + r) == pytest.approx(f1, abs=0.0101)  # from rounded numbers


def test_ckplus_has_96_of_99_right():
    table = published.TABLE_4
    hits = [round(recall * support) for recall, support in zip(table["recall"], table["support"], strict=True)]
    assert sum(hits) == 96
    assert round(96 / 99, 2) == table["accuracy"]


def test_fergit_parts_sum_to_its_images():
    assert sum(published.FERGIT_SPLIT.values()) == published.FERGIT_IMAGES


def test_claims_have_names_of_their_own_and_what_their_metric_needs():
    assert len({claim.id for claim in published.CLAIMS}) == len(published.CLAIMS)
    for claim in published.CLAIMS:
        assert claim.sentence.endswith(".") and claim.page[:2].isdigit()
        if claim.metric not in ("parameters", "minutes"):
            assert claim.n
        if claim.metric == "recall":
            assert claim.expression in published.table(claim.dataset, claim.model)["classes"]


def test_the_papers_own_gain_is_no_evidence():
    """By the paper's own numbers, the residual network's gain is within chance of two samples."""
    from fergit.analysis.metrics import consistency

    basic, residual = (published.recomputed_accuracy(table) for table in TABLES[:2])
    assert consistency(basic, 2465, residual, 2465, half_unit=0)["consistent"]
