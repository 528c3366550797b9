"""The paper's own numbers: Bah & Xue (2022), Intelligence & Robotics 2(1):72-88, DOI 10.20517/ir.2021.16.

Everything here is typed once, with its page. Classes carry the names that this project gives them, in the paper's
order, which is the order of the labels.
"""

from dataclasses import dataclass

FERGIT_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CKPLUS_CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")

# Table 2, p. 82: the basic network on FERGIT's test set.
TABLE_2 = {
    "page": "82, Table 2",
    "classes": FERGIT_CLASSES,
    "precision": (0.64, 0.75, 0.60, 0.89, 0.54, 0.76, 0.75),
    "recall": (0.49, 0.57, 0.44, 0.93, 0.62, 0.73, 0.82),
    "f1": (0.56, 0.65, 0.51, 0.91, 0.57, 0.75, 0.78),
    "support": (260, 37, 257, 735, 304, 218, 654),
    "accuracy": 0.74,
    "n_test": 2465,
    "minutes": 44,
}

# Table 3, p. 82: the residual network on FERGIT's test set.
TABLE_3 = {
    "page": "82, Table 3",
    "classes": FERGIT_CLASSES,
    "precision": (0.62, 0.71, 0.62, 0.89, 0.55, 0.76, 0.75),
    "recall": (0.54, 0.54, 0.44, 0.92, 0.56, 0.79, 0.84),
    "f1": (0.58, 0.62, 0.51, 0.90, 0.55, 0.77, 0.79),
    "support": (260, 37, 257, 735, 304, 218, 654),
    "accuracy": 0.75,
    "n_test": 2465,
    "minutes": 48,
}

# Table 4, p. 85: the residual network on CK+ (the caption of Figure 8 says the basic one).
TABLE_4 = {
    "page": "85, Table 4",
    "classes": CKPLUS_CLASSES,
    "precision": (1.00, 1.00, 1.00, 0.88, 0.91, 1.00, 1.00),
    "recall": (1.00, 0.60, 0.94, 1.00, 1.00, 1.00, 1.00),
    "f1": (1.00, 0.75, 0.97, 0.93, 0.95, 1.00, 1.00),
    "support": (14, 5, 18, 7, 21, 9, 25),
    "accuracy": 0.97,
    "n_test": 99,
    "minutes": 29,
}

TABLES = {("fergit", "basic"): TABLE_2, ("fergit", "residual"): TABLE_3, ("ckplus", "residual"): TABLE_4}

EPOCHS = 100  # p. 81

HALF_UNIT = 0.005  # the tables print two decimals

RESIDUAL_PARAMETERS = 9_766_391  # p. 84
RESIDUAL_TRAIN_ACCURACY = 0.86  # p. 82, on FERGIT's training set
F1_IN_THE_TEXT = 0.65  # p. 85, of both networks on FERGIT; which mean it is, is not said

FERGIT_IMAGES = 49_300  # p. 79
FERGIT_SPLIT = {"train": 44_370, "validation": 2_465, "test": 2_465}  # p. 79: 90, 5 and 5 %
CKPLUS_TEST = 99  # p. 85


def test_supports(dataset):
    """The size of each class in the paper's test set, in label order; None where the paper has no table."""
    return next((table["support"] for (name, _), table in TABLES.items() if name == dataset), None)


def recomputed_mean(table, score):
    """The mean over a table's classes of ``precision``, ``recall`` or ``f1``, which the paper does not print."""
    return sum(table[score]) / len(table[score])


def named_per_image(table):
    """How many images get a class's name for each image of it, which is recall over precision: dict of str to float."""
    scores = zip(table["classes"], table["recall"], table["precision"], strict=True)
    return {expression: recall / precision for expression, recall, precision in scores}


@dataclass(frozen=True)
class Claim:
    """A number that the paper gives for a network, and that can be measured again."""

    id: str
    dataset: str
    model: str
    quantity: str  # a key of `claims.MARGINS`, "gain", "parameters", "minutes" or "F1 in the text"
    page: str
    value: float
    n: int | None = None  # images that the paper measured it on
    expression: str | None = None  # of a precision or recall


def _claims_of_table(dataset, model):
    """Accuracy, macro F1, precision and recall of each class, and the run time, from one table."""
    table = TABLES[dataset, model]

    def claim(quantity, value, n=None, expression=None):
        name = "-".join(filter(None, (dataset, model, quantity.replace(" ", "-").lower(), expression)))
        return Claim(name, dataset, model, quantity, table["page"], value, n, expression)

    yield claim("accuracy", table["accuracy"], table["n_test"])
    yield claim("macro F1", recomputed_mean(table, "f1"), table["n_test"])
    scores = zip(*(table[key] for key in ("classes", "precision", "recall", "support")), strict=True)
    for expression, precision, recall, support in scores:
        predicted = round(recall * support / precision)  # images that got the label: from rounded numbers
        yield claim("precision", precision, predicted, expression)
        yield claim("recall", recall, support, expression)
    yield claim("minutes", table["minutes"])


_BASIC, _RESIDUAL = ("fergit", "basic"), ("fergit", "residual")
_GAIN = round(TABLE_3["accuracy"] - TABLE_2["accuracy"], 2)
_TRAINED = RESIDUAL_TRAIN_ACCURACY, FERGIT_SPLIT["train"]
CLAIMS = (
    *(claim for dataset, model in TABLES for claim in _claims_of_table(dataset, model)),
    Claim("fergit-residual-gain", *_RESIDUAL, "gain", "82, Tables 2 and 3", _GAIN, TABLE_3["n_test"]),
    Claim("fergit-residual-training-accuracy", *_RESIDUAL, "training accuracy", "82", *_TRAINED),
    Claim("fergit-basic-f1-text", *_BASIC, "F1 in the text", "85", F1_IN_THE_TEXT),
    Claim("fergit-residual-f1-text", *_RESIDUAL, "F1 in the text", "85", F1_IN_THE_TEXT),
    Claim("fergit-residual-parameters", *_RESIDUAL, "parameters", "84", RESIDUAL_PARAMETERS),
)
