"""Results in words and tables for readers: every number in a sentence comes from a file, none is typed."""

import pandas as pd

from fergit.analysis import claims, metrics
from fergit.paper import published

TITLES = {
    "fergit": "FERGIT",
    "fergit_best": "FERGIT, better recipe",
    "ckplus": "CK+",
    "fer2013": "FER2013",
    "fer2013_best": "FER2013, better recipe",
    "synthetic": "Synthetic faces",
}
HEADINGS = TITLES | {"card": "The shipped network", "gradcam": "Grad-CAM", "leaks": "Leaks and labels"}  # of results/*


def heading(folder):
    """The heading above the notebooks of a folder of results."""
    return HEADINGS.get(folder, folder.capitalize())


def percent(share, digits=1):
    """A share as text: ``73.4 %``; NaN and None as a dash."""
    return "–" if pd.isna(share) else f"{100 * share:.{digits}f} %"


def with_interval(mean, low, high):
    """``73.4 % (71.6–75.1)``."""
    return f"{percent(mean)} ({100 * low:.1f}–{100 * high:.1f})"


def points(difference):
    """A difference of shares in percentage points, with its sign: ``+0.7``, ``−2.2``, ``0.0``."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text[1:] == "0.0" else text.replace("-", "−")


def p_value(p):
    """``p = 0.023``, ``p < 0.0001``."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def markdown(table):
    """A DataFrame of texts as a Markdown table, without its index: its cells wrap, and are not cut."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in table.itertuples(index=False)]
    rows = [list(table.columns), ["---"] * table.shape[1], *cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def counted(n, noun):
    """``1 seed``, ``5 seeds``, ``2,465 images``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names):
    """``happy``, ``happy and sad``, ``happy, sad and fear``."""
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def failure_warning(trainings, model):
    """A block that cannot be overlooked if a training never left the class prior, else an empty text."""
    failed = [seed for seed, training in trainings.items() if not training["trained"]]
    if not failed:
        return ""
    seeds = f"seed{'' if len(failed) == 1 else 's'} {listed(str(seed) for seed in failed)}"
    return (
        "> ## ⚠️ A failure, not a result\n>\n"
        f"> **The training of the {model} network with {seeds} never became clearly better than naming the largest "
        "class. The numbers below say nothing about the network: train longer, lower the dropout or change the "
        "learning rate in `params.yaml`, and run again.**"
    )


def recipe_table(params):
    """The sections network, augmentation and train of a training, each value beside the paper's, if it has one."""
    values = {}

    def collect(section, prefix):
        for name, value in section.items():
            if isinstance(value, dict):
                collect(value, f"{prefix}{name}.")
            else:
                values[f"{prefix}{name}"] = value

    collect(params, "")
    rows = [(name, str(published.RECIPE.get(name, "–")), str(value)) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["setting", "paper", "this training"]).set_index("setting")


def training_sentence(training):
    """What one training.json says, in words."""
    epochs, run, best = training["train"]["epochs"], training["epochs_run"], training["best_epoch"]
    said = [
        f"The best epoch is {best} of {run}: validation accuracy {percent(training['best_val_accuracy'])}, "
        f"training accuracy {percent(training['train_accuracy_at_best'])} "
        f"(of all epochs the highest is {percent(training['highest_train_accuracy'])})."
    ]
    if not training["trained"]:
        prior = percent(training["prior_val_accuracy"])
        said.insert(
            0, f"**This training failed**: it is not clearly better than naming the largest class each time ({prior})."
        )
    if (training["dataset"], training["model"]) == ("fergit", "residual"):
        paper = percent(published.RESIDUAL_TRAIN_ACCURACY, 0)
        said.append(f"The paper's residual network reaches {paper} on FERGIT's training part (p. 82).")
    if training["best_val_accuracy"] == 1:
        said.append("It ended there, for no other epoch can be better.")
    elif run < epochs:
        patience = training["train"]["early_stopping_patience"]
        said.append(f"It ended before its {epochs} epochs, for {patience} brought no better one.")
    elif best == run:
        said.append("The best epoch is the last: a longer training would probably go further.")
    return " ".join(said) + _shorter({0: training})


def trainings_sentence(trainings):
    """That every training did better than naming the largest class, and whether they were shorter than the paper's."""
    return f"Every training did clearly better than naming the largest class.{_shorter(trainings)}"


def _shorter(trainings):
    short = claims.epochs_short(trainings)
    return f" It was given {short} of the paper's {published.RECIPE['train.epochs']} epochs." if short else ""


def trainings_table(trainings):
    """What each training came to, a row for each seed."""
    rows = {
        seed: {
            "epochs run": training["epochs_run"],
            "best epoch": training["best_epoch"],
            "best validation accuracy": percent(training["best_val_accuracy"]),
            "largest class (validation)": percent(training["prior_val_accuracy"]),
            "left the class prior": "yes" if training["trained"] else "NO",
        }
        for seed, training in trainings.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")


def headline(dataset, model, summary, level, paper=None):
    """Accuracy with its interval, beside the paper's, in one or two sentences."""
    entry = summary["accuracy"]
    low, high = entry[metrics.interval_key(level)]
    interval = f"{percent(level, 0)} interval over images {100 * low:.1f} to {100 * high:.1f} %"
    seeds = len(summary["seeds"])
    over = f", mean of {seeds} seeds, standard deviation {100 * entry['sd']:.1f} points" if seeds > 1 else ""
    text = (
        f"On the {summary['n_test']:,} test images of {TITLES[dataset]}, the {model} network names "
        f"**{percent(entry['mean'])}** rightly ({interval}{over})."
    )
    if paper is None:
        return f"{text} The paper has no such number."
    result = metrics.consistency(paper["accuracy"], paper["n_test"], entry["mean"], summary["n_test"], level)
    place = "inside" if low <= paper["accuracy"] <= high else "outside"
    verdict = "no larger than" if result["consistent"] else "larger than"
    return (
        f"{text} The paper has **{percent(paper['accuracy'], 0)}** on {paper['n_test']:,} images, {place} this "
        f"interval; the difference is {verdict} two samples of these sizes explain ({percent(level, 0)} interval "
        f"{points(result['low'])} to {points(result['high'])} points)."
    )


def confusion_sentence(confusion, classes, most=3):
    """Which confusions are the most frequent ones, as shares of the true class."""
    pairs = [
        (confusion[i, j] / confusion[i].sum(), classes[i], classes[j], confusion[i, j])
        for i in range(len(classes))
        for j in range(len(classes))
        if i != j and confusion[i, j]
    ]
    if not pairs:
        return "No image is confused."
    parts = [f"{true} for {guess} ({percent(share, 0)}, {n:,})" for share, true, guess, n in sorted(pairs)[::-1][:most]]
    return f"Taken for something else most often, in shares of the true class: {listed(parts)}."


def classes_sentence(table, paper=None):
    """The easiest and the hardest class by F1, and where ours and the paper's lie furthest apart."""
    f1 = table["f1"]
    if f1.min() == f1.max():
        text = f"All classes have the same F1 ({f1.max():.2f})."
    else:
        text = f"By F1 the easiest class is {f1.idxmax()} ({f1.max():.2f}), the hardest {f1.idxmin()} ({f1.min():.2f})."
    if paper is None:
        return text
    gap = f1 - pd.Series(paper["f1"], index=paper["classes"])
    name = gap.abs().idxmax()
    return f"{text} The largest distance to the paper is at {name}: {gap[name]:+.2f}."


def per_class_table(table):
    """`metrics.beside_paper` for the eye: two groups of columns, two decimals, the interval of the recall as text."""
    two_decimals = "{:.2f}".format
    ends = zip(table["recall_low"], table["recall_high"], strict=True)
    ours = {
        "precision": table["precision"].map(two_decimals),
        "recall": table["recall"].map(two_decimals),
        "recall, interval": [f"{low:.2f}–{high:.2f}" for low, high in ends],
        "F1": table["f1"].map(two_decimals),
        "support": table["support"],
    }
    groups = {"ours": pd.DataFrame(ours, index=table.index)}
    if "paper_f1" in table:
        scores = {"precision": "paper_precision", "recall": "paper_recall", "F1": "paper_f1"}
        theirs = {title: table[name].map(two_decimals) for title, name in scores.items()}
        groups["paper"] = pd.DataFrame(theirs | {"support": table["paper_support"]})
    return pd.concat(groups, axis=1)


def roc_sentence(areas):
    """The best and the worst class by area under the curve."""
    areas = areas.dropna()
    if areas.min() == areas.max():
        return f"The area under the curve is {areas.mean():.3f} for every class. Guessing gives 0.5."
    return (
        f"The area under the curve is largest for {areas.idxmax()} ({areas.max():.3f}) and smallest for "
        f"{areas.idxmin()} ({areas.min():.3f}); its mean is {areas.mean():.3f}. Guessing gives 0.5."
    )


def calibration_sentence(table, error):
    """Whether the network claims too much, and by how much."""
    gap = float(((table["confidence"] - table["accuracy"]) * table["images"]).sum() / table["images"].sum())
    kind = "too sure of itself" if gap > 0 else "less sure of itself than it could be"
    return (
        f"The expected calibration error is {percent(error)}: on average the network is {kind} by {100 * abs(gap):.1f} "
        "points (mean probability of the predicted class against the share that is right)."
    )


def scope_sentence(report):
    """What a report is about: data set, test images, networks, seeds, protocol."""
    models = report["models"]
    first = next(iter(models.values()))
    protocol = f", split by {report['protocol']}" if report["protocol"] else ""
    return (
        f"**{TITLES[report['dataset']]}**{protocol}: {first['n_test']:,} test images; {listed(models)} network"
        f"{'' if len(models) == 1 else 's'}; {counted(len(first['seeds']), 'seed')}."
    )


def networks_table(report):
    """The networks of report.json side by side."""
    rows = {}
    for model, entry in report["models"].items():
        sd = entry["accuracy"]["sd"]
        rows[model] = {
            "accuracy": with_interval(*(entry["accuracy"][name] for name in ("mean", "low", "high"))),
            "paper": percent(entry["paper_accuracy"], 0),
            "macro F1": with_interval(*(entry["macro_f1"][name] for name in ("mean", "low", "high"))),
            "sd over seeds": "–" if sd is None else f"{100 * sd:.1f} points",
            "seeds": len(entry["seeds"]),
            "failed": len(entry["failed_seeds"]),
            "epochs run": ", ".join(str(epochs) for epochs in entry["epochs_run"]),
            "parameters": f"{entry['parameters']:,}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def networks_plot_table(report):
    """The same for `plots_results.networks`; the paper's macro F1 is the mean of its table's."""
    dataset, protocol = report["dataset"], report["protocol"]
    papers = {model: claims.paper_table(dataset, model, protocol) for model in report["models"]}
    rows = [
        {
            "network": model,
            "metric": title,
            "value": entry[name]["mean"],
            "low": entry[name]["low"],
            "high": entry[name]["high"],
            "paper": papers[model] and theirs(papers[model]),
        }
        for model, entry in report["models"].items()
        for name, title, theirs in (
            ("accuracy", "accuracy", lambda table: table["accuracy"]),
            ("macro_f1", "macro F1", lambda table: published.recomputed_mean(table, "f1")),
        )
    ]
    return pd.DataFrame(rows).astype({"paper": float})


def comparison_sentence(report):
    """What the residual blocks add, and whether these test images can tell."""
    comparison, level = report["comparison"], percent(report["confidence_level"], 0)
    if comparison is None:
        return "Only one of the two networks was run, so there is nothing to compare."
    difference, low, high = comparison["difference"], comparison["low"], comparison["high"]
    if low <= 0 <= high:
        verdict = "holds 0, so these images do not tell which of the two is better"
    else:
        better = "residual" if low > 0 else "basic"
        verdict = (
            f"does not hold 0: on these images the {better} network, as trained here, is better; the interval is over "
            "images and says nothing of other seeds"
        )
    failed = [model for model, entry in report["models"].items() if entry["failed_seeds"]]
    warning = f" **But a training of the {listed(failed)} network failed: this compares nothing.**" if failed else ""
    return (
        f"The accuracy of the residual network less that of the basic one is **{points(difference)} points** on the "
        f"same images; the {level} interval, {points(low)} to {points(high)} points, {verdict}.{warning}"
    )


def mcnemar_table(comparison):
    """McNemar's test for each seed."""
    columns = {
        "seed": "seed",
        "only_first": "only basic right",
        "only_second": "only residual right",
        "p": "p (exact)",
        "p_holm": "p, corrected for the seeds (Holm)",
    }
    table = pd.DataFrame(comparison["mcnemar"])
    for name in ("p", "p_holm"):
        table[name] = ["< 0.0001" if p < 1e-4 else f"{p:.4f}" for p in table[name]]
    table = table.rename(columns=columns).set_index("seed")
    return table if len(table) > 1 else table.drop(columns=columns["p_holm"])


def claims_table(checked):
    """`claims.check` for the eye."""

    def number(row, value):
        if pd.isna(value):
            return "–"
        if row["metric"] == "parameters":
            return f"{value:,.0f}"
        if row["metric"] == "minutes":
            return f"{value:.0f} min"
        return f"{points(value)} points" if row["metric"] == "accuracy gain" else percent(value, 0)

    def ours(row):
        if pd.isna(row["ours"]):
            return "–"
        if row["metric"] == "accuracy gain":
            return f"{points(row['ours'])} points ({points(row['low'])} to {points(row['high'])})"
        if row["metric"] == "parameters":
            return f"{row['ours']:,.0f}"
        return percent(row["ours"]) if pd.isna(row["low"]) else with_interval(row["ours"], row["low"], row["high"])

    return pd.DataFrame(
        {
            "claim": checked["claim"],
            "page": checked["page"],
            "paper": [number(row, row["paper"]) for _, row in checked.iterrows()],
            "ours": [ours(row) for _, row in checked.iterrows()],
            "images": ["–" if pd.isna(n) else f"{n:,.0f}" for n in checked["n"]],
            "verdict": checked["verdict"],
            "note": checked["note"],
        }
    )


def claims_sentence(checked, dataset):
    """How many claims stand, fall, or were not tested."""
    if checked.empty:
        return f"The paper has no numbers for this data set ({TITLES[dataset]}), so there is no claim to check."
    counts = checked["verdict"].value_counts()
    parts = [f"{counts[verdict]} {verdict}" for verdict in claims.VERDICTS if verdict in counts]
    return f"Of {counted(len(checked), 'claim')} on {TITLES[dataset]}: {listed(parts)}."


def short_sentence(report):
    """Which networks had fewer epochs than the paper's, and what that means; else an empty text."""
    short = [
        f"{entry['epochs_short']} epochs of the {model} network"
        for model, entry in report["models"].items()
        if entry["epochs_short"]
    ]
    if not short:
        return ""
    return (
        f"These are results of {listed(short)}, where the paper has {published.RECIPE['train.epochs']}: what more "
        "would have given is not known, so that a number below the paper's contradicts nothing."
    )


def baseline_sentence(report):
    """How far the networks are above a linear classifier, where one was measured; else an empty text."""
    baseline = report["baseline_accuracy"]
    if baseline is None:
        return ""
    parts = [f"{percent(entry['accuracy']['mean'])} ({model})" for model, entry in report["models"].items()]
    return (
        f"A linear classifier on the pixels names {percent(baseline)} of the same test "
        f"images rightly; the networks {listed(parts)}."
    )
