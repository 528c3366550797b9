"""Tables of studies, from their metrics.json: for the notebook of one study, and one row for each in REPLICATION.md."""

import pandas as pd

from fergit.pages.present import counted, p_value, percent, points, title, with_interval

COLUMNS = {
    "variant": "",  # by what is varied
    "network": "network",
    "trainings": "runs",
    "accuracy": "test accuracy",
    "sd": "sd over runs",
    "macro_f1": "macro F1",
    "validation": "validation accuracy",
    "training": "training accuracy",
}


def variants(found):
    """A row for each value and network, with its spread over the trainings."""
    rows = []
    for row in found["variants"]:
        several = row["sd"] is not None
        accuracy = with_interval(row["mean"], row["low"], row["high"]) if several else percent(row["mean"])
        rows.append(
            row
            | {"accuracy": "training failed" if row["failed"] else accuracy}
            | {"sd": f"{100 * row['sd']:.1f} points" if several else "–"}
            | {name: percent(row[name]) for name in ("macro_f1", "validation", "training")}
        )
    table = pd.DataFrame(rows)[list(COLUMNS)]
    if (table["trainings"] == 1).all():
        table = table.drop(columns=["trainings", "sd"])
    return table.rename(columns=COLUMNS | {"variant": found["vary"]}).set_index(found["vary"])


def comparisons(found):
    """What each value gains over the first one, or the second network over the first where the values are splits."""
    rows = [
        {
            "network": row["network"],
            "compared": f"{row['variant']} less {found['variants'][0]['variant']}",
            "points": points(row["difference"]),
            "interval over images": _ends(row["low"], row["high"]),
            "interval over seeds": _ends(*row["over_seeds"]) if row["over_seeds"] else "–",
            f"{row['test']} (Holm)": p_value(row["p_holm"]),
        }
        for row in found["against_first"]
    ]
    if two := found["networks"]:
        rows = [
            {
                "compared": f"{two['second']} less {two['first']}",
                "points": points(two["difference"]),
                "interval": _ends(two["low"], two["high"]),
                **{name: two[name] for name in ("higher", "equal", "lower")},
            }
        ]
    return pd.DataFrame(rows).set_index("compared") if rows else None


def splits(found):
    """The accuracy over all splits or folds, and the recall of each class; None for a study of anything else."""
    columns = {
        network: {
            "accuracy over all tests": with_interval(draws["accuracy"], draws["low"], draws["high"]),
            "tests": f"{draws['tests']:,}",
            "interval over": _over(draws),
            "mean of the splits": percent(draws["mean"]),
            "sd": "–" if draws["sd"] is None else f"{100 * draws['sd']:.1f} points",
            "lowest": percent(draws["lowest"]),
            "highest": percent(draws["highest"]),
            **{
                f"splits {name} the paper": "–" if draws[key] is None else str(draws[key])
                for name, key in (("below", "below"), ("equal to", "equal"), ("above", "above"))
            },
            **{f"recall, {name}": percent(one["right"]) for name, one in draws["recalls"].items()},
        }
        for network, draws in found["draws"].items()
    }
    return pd.DataFrame(columns) if columns else None


def named(found):
    """How many images are called by a class's name for each image of it: of each value, and in the paper's table."""
    columns = {(row["network"], row["variant"]): row["named"] for row in found["variants"]}
    columns |= {(network, "paper"): paper["named"] for network, paper in found["paper"].items() if paper}
    return pd.DataFrame(columns).round(2).rename_axis(columns=("network", found["vary"])).T


def overview(studies):
    """One row a study, for REPLICATION.md."""
    rows = [
        {
            "study": f"[{found['question']}](results/studies/{name}/05-study.ipynb)",
            "data": title(found["dataset"]),
            "runs": str(sum(row["trainings"] for row in found["variants"])),
            "test accuracy": _result(found),
            "difference in points": _differences(found),
        }
        for name, found in studies.items()
    ]
    return pd.DataFrame(rows)


MANY = 4  # variants that a row has room for


def _result(found):
    several = len({row["network"] for row in found["variants"]}) > 1
    if found["draws"]:
        return "; ".join(
            f"{network} {with_interval(draws['accuracy'], draws['low'], draws['high'])}"
            for network, draws in found["draws"].items()
        )
    if len(found["variants"]) > MANY:
        means = [row["mean"] for row in found["variants"] if not row["failed"]]
        return f"{len(means)} variants: {percent(min(means))} to {percent(max(means))}" if means else "training failed"
    return "; ".join(
        f"{row['variant']}{', ' + row['network'] if several else ''}: "
        + ("training failed" if row["failed"] else percent(row["mean"]))
        for row in found["variants"]
    )


def _differences(found):
    if two := found["networks"]:
        return f"{two['second']} less {two['first']} {points(two['difference'])} ({_ends(two['low'], two['high'])})"
    differences = [
        f"{row['variant']} {points(row['difference'])} ({_ends(*(row['over_seeds'] or (row['low'], row['high'])))})"
        for row in found["against_first"]
    ]
    return "; ".join(differences) if 0 < len(differences) < MANY else "–"


def _ends(low, high):
    return f"{points(low)} to {points(high)}"


def _over(draws):
    return counted(draws["people"], "person") if draws["people"] else counted(draws["images"], "image")
