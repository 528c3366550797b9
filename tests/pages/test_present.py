"""Sentences that a degenerate result must not make silly."""

import pandas as pd

from fergit.pages import present


def test_sentences_where_all_classes_are_alike():
    alike = pd.Series({"happy": 1.0, "sad": 1.0})
    assert present.classes_sentence(pd.DataFrame({"f1": alike})) == "All classes have the same F1 (1.00)."
    assert present.roc_sentence(alike).startswith("The area under the curve is 1.000 for every class.")


def test_sentences_where_they_differ():
    differ = pd.Series({"happy": 0.9, "sad": 0.5})
    said = present.classes_sentence(pd.DataFrame({"f1": differ}))
    assert said == "By F1 the easiest class is happy (0.90), the hardest sad (0.50)."
    assert "largest for happy (0.900) and smallest for sad (0.500)" in present.roc_sentence(differ)
