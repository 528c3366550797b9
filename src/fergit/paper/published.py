"""The paper's own numbers: Bah & Xue (2022), Intelligence & Robotics 2(1):72-88, DOI 10.20517/ir.2021.16.

Everything here is typed once, from the paper, with its page, or (`ON_FER2013`) from others, with their sources; nothing
here was measured by this project. Classes carry the names that this project gives them, in the paper's order, which is
the order of the labels.
"""

from dataclasses import dataclass

FERGIT_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CKPLUS_CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")

# Table 2, p. 82: the basic network on FERGIT's test set.
TABLE_2 = {
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
DATASETS = ("fergit", "ckplus")

RECIPE = {  # by their names in params.yaml
    "network.poolings": 6,  # p. 75: after each pair
    "network.dropout": 0.3,  # p. 78
    "network.dropout_last": 0.4,  # p. 78
    "train.epochs": 100,  # p. 81, as all that follow
    "train.batch_size": 64,
    "train.learning_rate": 0.001,
    "train.beta_1": 0.9,
    "train.beta_2": 0.999,
    "train.class_weights": "large for small classes",  # the formula is unread
    "train.schedule": "plateau",
    "train.reduce_lr.patience": 15,
    "train.reduce_lr.min_lr": 1e-7,
    "train.early_stopping_patience": 30,
}

PAGES = {
    ("fergit", "basic"): "82, Table 2",
    ("fergit", "residual"): "82, Table 3",
    ("ckplus", "residual"): "85, Table 4",
}
HALF_UNIT = 0.005  # the tables print two decimals

RESIDUAL_PARAMETERS = 9_766_391  # p. 84
RESIDUAL_TRAIN_ACCURACY = 0.86  # p. 82, on FERGIT's training set
F1_IN_THE_TEXT = 0.65  # p. 85, of both networks on FERGIT; which mean it is, is not said

FERGIT_IMAGES = 49_300  # p. 79
FERGIT_SPLIT = {"train": 44_370, "validation": 2_465, "test": 2_465}  # p. 79: 90, 5 and 5 %
CKPLUS_TEST = 99  # p. 85


ON_FER2013 = (  # what others report: who, accuracy, tested on, epoch chosen by, where it stands
    ("people", "65 ± 5 %", "not known here", "–", "Goodfellow et al. 2013, arXiv:1307.0414"),
    (
        "the challenge's winner",
        "71.2 %",
        "PrivateTest",
        "not PrivateTest, whose labels were kept back",
        "the same paper",
    ),
    (
        "VGGNet",
        "73.28 %",
        "PublicTest",
        "PrivateTest",
        "Khaireddin & Chen 2021, arXiv:2105.03588; of their code, usef-kh/fer, train.py and notebooks/Evaluation.ipynb",
    ),
    (
        "ResNet18",
        "73.70 %",
        "PrivateTest",
        "PrivateTest",
        "README, train.py and dataset.py of LetheSec/Fer2013-Facial-Emotion-Recognition-Pytorch",
    ),
)


def table(dataset, model):
    """The paper's table of one network on one data set, or None where the paper has none."""
    return TABLES.get((dataset, model))


def test_supports(dataset):
    """The size of each class in the paper's test set, in label order; None where the paper has no table."""
    tables = [table for (name, _), table in TABLES.items() if name == dataset]
    return tables[0]["support"] if tables else None


def recomputed_accuracy(table):
    """A table's accuracy with more digits than it prints: the mean of its recalls, weighted by support."""
    hits = sum(recall * support for recall, support in zip(table["recall"], table["support"], strict=True))
    return hits / sum(table["support"])


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
    quantity: str  # a key of `claims.MARGINS`, "parameters", "minutes" or "F1 in the text"
    page: str
    value: float
    n: int | None = None  # images that the paper measured it on
    expression: str | None = None  # of a precision or recall


def _claims_of_table(dataset, model):
    """Accuracy, macro F1, precision and recall of each class, and the run time, from one table."""
    table, page = TABLES[dataset, model], PAGES[dataset, model]
    name, of = f"{dataset}-{model}", (dataset, model)
    yield Claim(f"{name}-accuracy", *of, "accuracy", page, table["accuracy"], table["n_test"])
    yield Claim(f"{name}-macro-f1", *of, "macro F1", page, recomputed_mean(table, "f1"), table["n_test"])
    scores = zip(*(table[key] for key in ("classes", "precision", "recall", "support")), strict=True)
    for expression, precision, recall, support in scores:
        predicted = round(recall * support / precision)  # images that got the name: from rounded numbers
        key = f"{name}-precision-{expression}", *of, "precision", page, precision, predicted, expression
        yield Claim(*key)
        yield Claim(f"{name}-recall-{expression}", *of, "recall", page, recall, support, expression)
    yield Claim(f"{name}-minutes", *of, "minutes", page, table["minutes"])


_RESIDUAL = ("fergit", "residual")
CLAIMS = (
    *(claim for dataset, model in TABLES for claim in _claims_of_table(dataset, model)),
    Claim(
        "fergit-residual-gain",
        *_RESIDUAL,
        "gain",
        "82, Tables 2 and 3",
        round(TABLE_3["accuracy"] - TABLE_2["accuracy"], 2),
        TABLE_3["n_test"],
    ),
    Claim(
        "fergit-residual-training-accuracy",
        *_RESIDUAL,
        "training accuracy",
        "82",
        RESIDUAL_TRAIN_ACCURACY,
        FERGIT_SPLIT["train"],
    ),
    *(
        Claim(f"fergit-{model}-f1-text", "fergit", model, "F1 in the text", "85", F1_IN_THE_TEXT)
        for model in ("basic", "residual")
    ),
    Claim("fergit-residual-parameters", *_RESIDUAL, "parameters", "84", RESIDUAL_PARAMETERS),
)


@dataclass(frozen=True)
class Contradiction:
    """Two things that the paper says, or says and prints, and that cannot both hold."""

    statement: str  # in our words
    page: str
    finding: str
    claims: tuple = ()  # ids of the claims, or the name of the study, in which we measured it


CONTRADICTIONS = (
    Contradiction(
        "Happy reaches 93 % in both cases.",
        "82",
        f"Table 3 has {TABLE_3['recall'][3]:.2f} for the residual network.",
        ("fergit-basic-recall-happy", "fergit-residual-recall-happy"),
    ),
    Contradiction(
        "The residual network recognizes barely 50 % of the fear faces.",
        "82",
        f"Tables 2 and 3 both have {TABLE_2['recall'][2]:.2f}.",
        ("fergit-basic-recall-fear", "fergit-residual-recall-fear"),
    ),
    Contradiction(
        "The residual network balances the classes against neutral.",
        "82",
        f"Its recall of neutral is higher: {TABLE_3['recall'][6]:.2f} against {TABLE_2['recall'][6]:.2f}.",
        ("fergit-basic-recall-neutral", "fergit-residual-recall-neutral"),
    ),
    Contradiction(
        "F1 is 65 % for both networks.",
        "85",
        f"The F1 values of Tables 2 and 3 have the means {recomputed_mean(TABLE_2, 'f1'):.3f} and "
        f"{recomputed_mean(TABLE_3, 'f1'):.3f}. Their mean recalls, {recomputed_mean(TABLE_2, 'recall'):.3f} and "
        f"{recomputed_mean(TABLE_3, 'recall'):.3f}, are nearer to 65 %.",
        ("fergit-basic-macro-f1", "fergit-residual-macro-f1"),
    ),
    Contradiction("Reference [44] reaches 94.4 % on CK+.", "84", "Table 5 (p. 85) has 96 %."),
    Contradiction("Figure 8 shows the basic network on CK+.", "caption", "Table 4 (p. 85) is of the residual network."),
    Contradiction(
        "Neutral or contempt is among the classes that are recognized well.",
        "82",
        f"FERGIT has no contempt, and on CK+ contempt has the lowest recall, {TABLE_4['recall'][1]:.2f}.",
        ("ckplus-residual-recall-contempt",),
    ),
    Contradiction(
        "5x5 kernels in the first layer reduce the number of parameters.",
        "77",
        "Compared with 3x3 kernels they add some; notebook 00 counts them.",
    ),
    Contradiction(
        "The deeper the layer, the bigger its convolution kernels.",
        "77",
        "The only size given is 5x5, for the first layer, and the parameter count leaves no room for more than 3x3 "
        "after the first pair. The sentence holds if it means the number of kernels.",
    ),
    Contradiction(
        "All three trainings together take 119 minutes.",
        "81",
        f"The run times of Tables 2 to 4 add up to {sum(table['minutes'] for table in TABLES.values())}.",
    ),
)
