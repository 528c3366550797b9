"""What a study found, as numbers: each variant with its spread, and how much the value that is varied matters."""

import numpy as np
import pandas as pd
from scipy import stats

from fergit.analysis import claims, metrics
from fergit.analysis.intervals import bootstrap, correct_by_holm, over_seeds, rounded
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_table
from fergit.paper import published

TABLES = {  # what the study leaves, and what is read of it
    "predictions": ("variant", "network", "seed", "split", "sample_id", "group", "label"),
    "trainings": ("variant", "network", "seed", "trained", "train_accuracy", "accuracy", "n_test"),
}


def read(folder):
    """The tables of a study's folder: predictions of validation and test set, trainings; or FergitError."""
    path = folder / "predictions.csv"
    remedy = f"`dvc repro studies/dvc.yaml:train@{folder.name}` writes it"
    texts = dict.fromkeys(("variant", "group", "sample_id", "label"), str)  # a class may be called 1, a variant 0.5
    options = {"dtype": texts, "keep_default_na": False}
    tables = [read_table(folder / f"{name}.csv", columns, remedy, **options) for name, columns in TABLES.items()]
    for (variant, network, part), rows in tables[0].groupby(["variant", "network", "split"]):
        images = [one[["sample_id", "label"]].to_numpy() for _, one in rows.groupby("seed")]
        if not all(np.array_equal(images[0], others) for others in images):
            where = f"the {part} images of {network} with {variant}"
            raise FergitError(f"{paths.relative(path)}: {where} are not the same for all seeds; {remedy}")
    return tuple(tables)


def _failed(trainings):
    """The networks of which a training never left the class prior."""
    return set(trainings.loc[~trainings["trained"], "network"])


def summary(name, study, predictions, trainings, evaluate, protocol=None):
    """All of a study's metrics.json, which is all that tables and pages read.

    `study` is its entry in studies/params.yaml, the tables are those of `read`, `evaluate` is that section of
    params.yaml, `protocol` says how params.yaml splits CK+, where the study does not.
    """
    validated, tested = (
        predictions[predictions["split"] == part].drop(columns="split") for part in ("validation", "test")
    )
    # The values are equals, so that their mean says something.
    draws = isinstance(study["values"], list) and study["vary"].endswith((".seed", ".fold"))
    protocol = study["set"].get(f"{study['dataset']}.split.protocol", protocol)
    paper = {network: _paper(study["dataset"], network, protocol) for network in study["models"]}
    return rounded(
        {
            "study": name,
            **{key: study[key] for key in ("question", "dataset", "set", "vary")},
            "confidence_level": evaluate["confidence_level"],
            "paper": paper,
            "variants": by_variant(validated, tested, trainings, evaluate["confidence_level"]),
            "draws": over_draws(tested, trainings, evaluate, paper) if draws else {},
            "networks": networks_over_draws(tested, trainings, evaluate) if draws else None,
            "against_first": [] if draws else against_first(tested, trainings, evaluate),
            "claims": claims.records(claims.check(study["dataset"], {}, evaluate, "frames", tested, _failed(trainings)))
            if draws and protocol == "frames"
            else [],
        }
    )


def _paper(dataset, network, protocol):
    """What the paper's table has for a network: ``accuracy`` and, by class, ``named``; None where there is no table."""
    table = claims.paper_table(dataset, network, protocol)
    return table and {"accuracy": table["accuracy"], "named": published.named_per_image(table)}


def by_variant(validated, tested, trainings, level):
    """The scores of each variant and network over its trainings: list of dict.

    ``variant``, ``network``, ``trainings``, ``failed`` (how many never left the class prior); ``mean``, ``sd``, ``low``
    and ``high`` (Student's t) of the test accuracy; means of ``macro_f1`` on the test set and of ``validation`` and
    ``training`` accuracy; ``named``: by class, how many validation images get its label for each validation image of
    it. NaN and None where there is too little.
    """
    rows = []
    for (variant, network), group in trainings.groupby(["variant", "network"], sort=False):
        test, held = (_of(part, variant, network) for part in (tested, validated))
        ends = over_seeds(group["accuracy"], level) or (None, None)
        rows.append(
            {
                "variant": variant,
                "network": network,
                "trainings": len(group),
                "failed": int((~group["trained"]).sum()),
                "mean": group["accuracy"].mean(),
                "sd": group["accuracy"].std(),
                **dict(zip(("low", "high"), ends, strict=True)),
                "macro_f1": metrics.macro_f1(metrics.confusions(test)).mean(),
                "validation": metrics.correct(held).mean(),
                "training": group["train_accuracy"].mean(),
                "named": metrics.named_per_image(held),
            }
        )
    return rows


def _of(predictions, variant, network):
    """The predictions of one variant and network, as in predictions.csv of a network."""
    inside = (predictions["variant"] == variant) & (predictions["network"] == network)
    return predictions[inside].drop(columns=["variant", "network", "group"])


def against_first(predictions, trainings, evaluate):
    """Each variant less the first one, by network, on the same test images and with the same seeds.

    A list of dict, without variants of which a training failed: ``network``, ``variant``, ``seeds`` (how many),
    ``difference`` of mean accuracies, ``low`` and ``high`` (over images, paired bootstrap), ``over_seeds`` (Student's t
    interval, None below three seeds), ``test`` and its ``p``, and ``p_holm``, corrected for all rows.
    """
    rows = []
    for network, group in trainings.groupby("network", sort=False):
        sound = group.groupby("variant")["trained"].all()
        first, *others = group["variant"].unique()
        for variant in others:
            if not (sound[first] and sound[variant]):
                continue
            found = metrics.compare(*(_of(predictions, one, network) for one in (first, variant)), evaluate)
            several = len(found["per_seed"]) > 1
            rows.append(
                {
                    "network": network,
                    "variant": variant,
                    "seeds": len(found["per_seed"]),
                    **{key: found[key] for key in ("difference", "low", "high", "over_seeds")},
                    "test": "paired t test over seeds" if several else "McNemar's test",
                    "p": paired_t(found["per_seed"]) if several else found["mcnemar"][0]["p"],
                }
            )
    correct_by_holm(rows)
    return rows


def paired_t(differences):
    """p of the hypothesis that the mean of paired differences is 0; 1 or 0 where all differences are the same."""
    if np.ptp(differences) < 1e-12:
        return float(abs(differences[0]) < 1e-12)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def over_draws(predictions, trainings, evaluate, paper):
    """The accuracy over draws such as splits, by network.

    ``draws``, ``trainings``, ``failed``; of the draws' accuracies ``mean``, ``sd``, ``lowest``, ``highest``; how many
    are ``below``, ``equal`` to and ``above`` the paper's, rounded like it (None where there is no such table). Over all
    tests: ``accuracy``, ``low`` and ``high`` (bootstrap over persons, or images where persons are unknown), ``tests``,
    ``images`` (different ones), ``people`` and ``by_person`` (correct and all tests; 0 and empty where unknown),
    ``recalls`` (by class ``tests`` and the share that is ``right``).
    """
    found = {}
    for network, group in trainings.groupby("network", sort=False):
        table = predictions[predictions["network"] == network]
        right = metrics.right(table)
        drawn = _by_person(right, table)
        accuracies = group.groupby("variant", sort=False)["accuracy"].mean()
        signs = np.sign(accuracies.round(2) - paper[network]["accuracy"]) if paper[network] else None
        recalls = right.groupby(table["label"], sort=False).agg(["size", "mean"])
        low, high = _interval(drawn, evaluate)
        found[network] = {
            "draws": len(accuracies),
            "trainings": len(group),
            "failed": int((~group["trained"]).sum()),
            "mean": accuracies.mean(),
            "sd": accuracies.std() if len(accuracies) > 1 else None,
            "lowest": accuracies.min(),
            "highest": accuracies.max(),
            **{
                key: None if signs is None else int((signs == sign).sum())
                for key, sign in (("below", -1), ("equal", 0), ("above", 1))
            },
            "accuracy": drawn["sum"].sum() / drawn["size"].sum(),
            "low": low,
            "high": high,
            "tests": len(table),
            "images": table["sample_id"].nunique(),
            "people": len(drawn) if _people_are_known(table) else 0,
            "by_person": drawn.T.to_dict("list") if _people_are_known(table) else {},
            "recalls": {key: {"tests": int(row["size"]), "right": row["mean"]} for key, row in recalls.iterrows()},
        }
    return found


def networks_over_draws(predictions, trainings, evaluate):
    """The second network of a study of draws less its first, on the same tests; None unless there are two, all trained.

    A dict: ``first``, ``second``; ``difference`` of the accuracies over all tests, ``low`` and ``high`` (as in
    `over_draws`); ``per_seed``, the difference with each seed; in how many draws the second's mean accuracy is
    ``higher``, ``equal`` and ``lower``.
    """
    networks = list(trainings["network"].unique())
    if len(networks) != 2 or not trainings["trained"].all():
        return None
    test = ["variant", "seed", "sample_id", "group", "label"]
    first, second = (predictions[predictions["network"] == network] for network in networks)
    pairs = first[test].assign(first=metrics.right(first))
    pairs = pairs.merge(second[test].assign(second=metrics.right(second)), on=test)
    if not len(pairs) == len(first) == len(second):
        raise FergitError(f"predictions.csv: the {networks[0]} and the {networks[1]} network have not the same tests")
    gains = pairs["second"].astype(int) - pairs["first"]
    drawn = _by_person(gains, pairs)
    low, high = _interval(drawn, evaluate)
    means = trainings.pivot_table(index="variant", columns="network", values="accuracy")
    signs = np.sign((means[networks[1]] - means[networks[0]]).round(9))
    return {
        "first": networks[0],
        "second": networks[1],
        "difference": drawn["sum"].sum() / drawn["size"].sum(),
        "low": low,
        "high": high,
        "per_seed": gains.groupby(pairs["seed"]).mean().tolist(),
        **{key: int((signs == sign).sum()) for key, sign in (("higher", 1), ("equal", 0), ("lower", -1))},
    }


def between(first, second, evaluate):
    """The accuracy of a second study less that of a first one of the same persons, from their `over_draws`: float.

    And the ends of its interval: bootstrap over persons, each with all tests in both studies.
    """
    both = (pd.DataFrame.from_dict(draws["by_person"], orient="index") for draws in (first, second))
    drawn = pd.concat(both, axis=1).fillna(0).to_numpy().T

    def difference(values):
        right, tests, others_right, others_tests = values.sum(axis=-1)
        return others_right / others_tests - right / tests

    samples, level = evaluate["bootstrap_samples"], evaluate["confidence_level"]
    return float(difference(drawn)), *bootstrap(drawn, difference, samples, level)


def _people_are_known(table):
    return (table["group"] != "").all()


def _by_person(values, table):
    """The sum and number of values, one for each row of a table, by person, or by image where persons are unknown."""
    return values.groupby(table["group" if _people_are_known(table) else "sample_id"]).agg(["sum", "size"])


def _interval(drawn, evaluate):
    """The interval of the mean of `_by_person`'s values: bootstrap over its rows."""
    if len(drawn) < 2:
        raise FergitError("a study of splits: all tests are of one person, so there is no interval; give it more folds")
    samples, level = evaluate["bootstrap_samples"], evaluate["confidence_level"]
    return bootstrap(drawn.to_numpy().T, lambda v: v[0].sum(axis=-1) / v[1].sum(axis=-1), samples, level)
