"""The paper's own numbers: Bah & Xue (2022), Intelligence & Robotics 2(1):72-88, DOI 10.20517/ir.2021.16.

Everything here is typed once, from the paper, with its page, or (`ON_FER2013`) from others, with their sources; nothing
here was measured by this project. Classes carry the names that this project gives them, in the paper's order, which is
the order of the labels.
"""

from dataclasses import dataclass

FERGIT_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CKPLUS_CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")

# Table 2, p. 82: the basic network on FERGIT's test part.
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

# Table 3, p. 82: the residual network on FERGIT's test part.
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
    "network.dropout": 0.3,  # p. 78
    "network.dropout_last": 0.4,  # p. 78
    "train.epochs": 100,  # p. 81, as all that follow
    "train.batch_size": 64,
    "train.learning_rate": 0.001,
    "train.beta_1": 0.9,
    "train.beta_2": 0.999,
    "train.class_weights": "large for small classes",  # the formula is unread
    "train.reduce_lr.patience": 15,
    "train.reduce_lr.min_lr": 1e-7,
    "train.early_stopping_patience": 30,
}

RESIDUAL_PARAMETERS = 9_766_391  # p. 84
RESIDUAL_TRAIN_ACCURACY = 0.86  # p. 82, on FERGIT's training part

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
    """The size of each class in the paper's test part, in label order; None where the paper has no table."""
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
    """Something that the paper says about a network, and that can be measured again."""

    id: str
    sentence: str  # in our words
    page: str
    dataset: str
    model: str
    metric: str  # accuracy, accuracy_gain (over basic), macro_f1, recall, training_accuracy, parameters, minutes
    value: float
    expression: str | None = None  # of a recall
    n: int | None = None  # the images that the paper measured it on


def _claim_of_recall(dataset, model, expression, page, remark=""):
    table = TABLES[dataset, model]
    index = table["classes"].index(expression)
    value, n = table["recall"][index], table["support"][index]
    sentence = f"The {model} network finds {100 * value:.0f} % of the {expression} faces{remark}."
    return Claim(f"{dataset}-{model}-{expression}", sentence, page, dataset, model, "recall", value, expression, n)


def _claim_of_minutes(dataset, model, page):
    minutes = TABLES[dataset, model]["minutes"]
    sentence = f"Training the {model} network takes {minutes} minutes (on a K80)."
    return Claim(f"{dataset}-{model}-minutes", sentence, page, dataset, model, "minutes", minutes)


CLAIMS = (
    Claim(
        "fergit-residual-accuracy",
        "The residual network names 75 % of FERGIT's test faces rightly.",
        "82, Table 3",
        "fergit",
        "residual",
        "accuracy",
        0.75,
        n=2465,
    ),
    Claim(
        "fergit-basic-accuracy",
        "The basic network names 74 % of FERGIT's test faces rightly.",
        "82, Table 2",
        "fergit",
        "basic",
        "accuracy",
        0.74,
        n=2465,
    ),
    Claim(
        "fergit-residual-gain",
        "The residual blocks make the network more accurate, by one point.",
        "82, Tables 2 and 3",
        "fergit",
        "residual",
        "accuracy_gain",
        0.01,
        n=2465,
    ),
    _claim_of_recall("fergit", "basic", "happy", "82, Table 2"),
    _claim_of_recall("fergit", "residual", "happy", "82, Table 3", " (its text says 93 % for both networks)"),
    _claim_of_recall("fergit", "basic", "fear", "82, Table 2"),
    _claim_of_recall("fergit", "residual", "fear", "82, Table 3", " (its text says barely 50 %)"),
    _claim_of_recall("fergit", "basic", "disgust", "82, Table 2"),
    _claim_of_recall("fergit", "residual", "disgust", "82, Table 3"),
    *(
        Claim(
            f"fergit-{model}-macro-f1",
            f"The {model} network's F1 is 65 % (its table's mean is {100 * recomputed_mean(table, 'f1'):.1f} %).",
            "85",
            "fergit",
            model,
            "macro_f1",
            0.65,
            n=2465,
        )
        for model, table in (("basic", TABLE_2), ("residual", TABLE_3))
    ),
    Claim(
        "fergit-residual-training-accuracy",
        "The residual network names 86 % of the training faces rightly.",
        "82",
        "fergit",
        "residual",
        "training_accuracy",
        RESIDUAL_TRAIN_ACCURACY,
        n=FERGIT_SPLIT["train"],
    ),
    Claim(
        "fergit-residual-parameters",
        "The residual network has 9,766,391 parameters.",
        "84",
        "fergit",
        "residual",
        "parameters",
        RESIDUAL_PARAMETERS,
    ),
    _claim_of_minutes("fergit", "basic", "82, Table 2"),
    _claim_of_minutes("fergit", "residual", "82, Table 3"),
    Claim(
        "ckplus-residual-accuracy",
        "The residual network names 97 % of CK+'s test faces rightly.",
        "85, Table 4",
        "ckplus",
        "residual",
        "accuracy",
        0.97,
        n=CKPLUS_TEST,
    ),
    _claim_of_recall("ckplus", "residual", "contempt", "85, Table 4"),
    _claim_of_recall("ckplus", "residual", "disgust", "85, Table 4"),
    _claim_of_minutes("ckplus", "residual", "85, Table 4"),
)


@dataclass(frozen=True)
class Contradiction:
    """Two things that the paper says, or says and prints, and that cannot both hold."""

    statement: str  # in our words
    page: str
    finding: str
    claims: tuple = ()  # what we measured on it: ids of claims, of studies, or "idle-weights"


CONTRADICTIONS = (
    Contradiction(
        "Happy is found in 93 % in both cases.",
        "82",
        f"Table 3 has {TABLE_3['recall'][3]:.2f} for the residual network.",
        ("fergit-basic-happy", "fergit-residual-happy"),
    ),
    Contradiction(
        "The residual network finds barely 50 % of the fear faces.",
        "82",
        f"Tables 2 and 3 have {TABLE_2['recall'][2]:.2f} and {TABLE_3['recall'][2]:.2f}.",
        ("fergit-basic-fear", "fergit-residual-fear"),
    ),
    Contradiction(
        "The residual network balances the classes against neutral.",
        "82",
        f"Its recall of neutral is the higher one: {TABLE_3['recall'][6]:.2f} against {TABLE_2['recall'][6]:.2f}.",
    ),
    Contradiction(
        "F1 is 65 % for both networks.",
        "85",
        f"The tables' macro F1 is {recomputed_mean(TABLE_2, 'f1'):.3f} and {recomputed_mean(TABLE_3, 'f1'):.3f}; "
        f"their macro recall, {recomputed_mean(TABLE_2, 'recall'):.3f} and {recomputed_mean(TABLE_3, 'recall'):.3f}, "
        "is nearer.",
        ("fergit-basic-macro-f1", "fergit-residual-macro-f1"),
    ),
    Contradiction("Its reference [44] reaches 94.4 % on CK+.", "84", "Table 5 (p. 85) has 96 %."),
    Contradiction("Figure 8 shows the basic network on CK+.", "caption", "Table 4 (p. 85) is of the residual network."),
    Contradiction(
        "Neutral or contempt is among the classes that are recognised well.",
        "82",
        f"FERGIT has no contempt, and on CK+ contempt is the worst class, with a recall of {TABLE_4['recall'][1]:.2f}.",
        ("ckplus-residual-contempt", "ckplus-frames"),
    ),
    Contradiction(
        "Each of the six pairs of convolutions is followed by 2x2 pooling.",
        "75, 78",
        "48 pixels can be halved five times, and five leave maps of one pixel, on which kernels meet padding.",
        ("idle-weights",),
    ),
    Contradiction(
        "5x5 kernels in the first layer reduce the number of parameters.",
        "77",
        "They add some; the reconstruction notebook counts them.",
    ),
    Contradiction(
        "The deeper, the bigger the convolution kernels get.",
        "77",
        "The only size it gives is the first layer's 5x5, and the count leaves no room for more than 3x3 after the "
        "first pair. If the number of kernels is meant, it holds.",
    ),
    Contradiction(
        "All three trainings together take 119 minutes.",
        "81",
        f"Tables 2 to 4 add up to {sum(table['minutes'] for table in (TABLE_2, TABLE_3, TABLE_4))}.",
    ),
    Contradiction(
        "Small classes get large weights in the loss.",
        "81",
        f"By recall over precision, Table 2 names disgust, the smallest, {named_per_image(TABLE_2)['disgust']:.2f} "
        f"times for each that is, and Table 3 {named_per_image(TABLE_3)['disgust']:.2f} times: not too often. "
        "Ours with weights of n / (classes n_class) names it too often, but after ten epochs: with more of them, or "
        "with milder weights, it may not. The formula is unread.",
        ("class-weights",),
    ),
)
