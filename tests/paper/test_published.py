"""The paper's numbers agree with one another, as far as they do in the paper."""

import numpy as np
import pytest
from scipy import stats

from fergit.paper import published

TABLES = [published.TABLE_2, published.TABLE_3, published.TABLE_4]


def recomputed(table):
    """A table's accuracy with more digits than it prints: the mean of its recalls, weighted by support."""
    return np.average(table["recall"], weights=table["support"])


@pytest.mark.parametrize("table", TABLES)
def test_supports_sum_to_the_size_of_the_test_part(table):
    assert sum(table["support"]) == table["n_test"]
    assert all(len(table[name]) == len(table["classes"]) == 7 for name in ("precision", "recall", "f1", "support"))


@pytest.mark.parametrize(
    ("table", "accuracy", "macro_f1"),
    [(published.TABLE_2, 0.742, 0.676), (published.TABLE_3, 0.747, 0.674)],
)
def test_recalls_and_supports_give_the_printed_accuracy(table, accuracy, macro_f1):
    assert recomputed(table) == pytest.approx(accuracy, abs=5e-4)
    assert published.recomputed_mean(table, "f1") == pytest.approx(macro_f1, abs=5e-4)
    assert recomputed(table) == pytest.approx(table["accuracy"], abs=5e-3)


@pytest.mark.parametrize("table", TABLES)
def test_f1_follows_from_precision_and_recall(table):
    for p, r, f1 in zip(table["precision"], table["recall"], table["f1"], strict=True):
        assert 2 * p * r / (p + r) == pytest.approx(f1, abs=0.0101)  # from rounded numbers


def test_ckplus_has_96_of_99_right():
    table = published.TABLE_4
    hits = [round(recall * support) for recall, support in zip(table["recall"], table["support"], strict=True)]
    assert sum(hits) == 96
    assert round(96 / 99, 2) == table["accuracy"]


def test_every_number_of_the_tables_is_a_claim_once():
    claims = {claim.id: claim for claim in published.CLAIMS}
    assert len(claims) == len(published.CLAIMS)
    for (dataset, model), table in published.TABLES.items():
        for score in ("precision", "recall"):
            ids = [f"{dataset}-{model}-{score}-{expression}" for expression in table["classes"]]
            assert tuple(claims[name].value for name in ids) == table[score]
        assert claims[f"{dataset}-{model}-accuracy"].value == table["accuracy"]
        assert claims[f"{dataset}-{model}-minutes"].value == table["minutes"]
    assert sum(c.dataset == "fergit" and c.quantity in ("precision", "recall") for c in claims.values()) == 28
    for claim in claims.values():
        assert claim.page[:2] in ("82", "84", "85")
        assert claim.n or claim.quantity in ("parameters", "minutes", "F1 in the text")


def test_images_given_a_name_sum_to_the_test_set_within_rounding():
    """Recall x support / precision: of Table 3, 226 + 28 + 182 + 760 + 310 + 227 + 732."""
    claims = [c for c in published.CLAIMS if c.model == "residual" and c.quantity == "precision"]
    assert [c.n for c in claims if c.dataset == "fergit"] == [226, 28, 182, 760, 310, 227, 732]
    assert abs(sum(c.n for c in claims if c.dataset == "fergit") - 2465) < 0.01 * 2465
    assert abs(sum(c.n for c in claims if c.dataset == "ckplus") - 99) <= 1


def test_the_papers_own_gain_is_no_evidence():
    """By the paper's own numbers, the residual network's gain is within chance of two samples."""
    basic, residual = map(recomputed, TABLES[:2])
    hits = [round(accuracy * 2465) for accuracy in (basic, residual)]
    assert stats.fisher_exact([[n, 2465 - n] for n in hits]).pvalue > 0.05
