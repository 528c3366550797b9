"""Tables of studies, from their metrics.json: for the notebook of one study, and a row each in docs/studies.md."""

import re

import pandas as pd

from fergit.pages.present import (
    FAILED,
    by_seed,
    counted,
    gain,
    p_value,
    percent,
    points,
    points_interval,
    score,
    spread,
    title,
)

MANY = 4  # variants that a row of `overview` has room for


def changes(study):
    """What the variants of a study set in params.yaml: a Markdown list, or nothing where `vary` says it."""
    if not isinstance(study["values"], dict):
        return ""
    return "".join(
        f"\n- *{variant}*: {', '.join(f'`{key}: {value}`' for key, value in values.items()) or 'no change'}"
        for variant, values in study["values"].items()
    )


def variants(found):
    """A row for each value and network, with its spread over the trainings."""
    rows = [
        {
            _column(found): row["variant"],
            "network": row["network"],
            "runs": row["trainings"],
            "test accuracy": score(row),
            "sd over runs": spread(row["sd"]),
            "macro F1": percent(row["macro_f1"]),
            "validation accuracy": percent(row["validation"]),
            "training accuracy": percent(row["training"]),
        }
        for row in found["variants"]
    ]
    table = pd.DataFrame(rows).set_index(_column(found))
    return table.drop(columns=["runs", "sd over runs"]) if (table["runs"] == 1).all() else table


def is_key(vary):
    """Whether what varies in a study is a key of params.yaml, such as ``network.poolings``, and no free text."""
    return re.fullmatch(r"\w+(\.\w+)+", vary) is not None


def _column(found):
    """The name of the column of variants."""
    return found["vary"] if is_key(found["vary"]) else "variant"


def comparisons(found):
    """What each value gains over the first one, or the second network over the first where the values are splits."""
    rows = [
        {
            "network": row["network"],
            "compared": f"{row['variant']} minus {found['variants'][0]['variant']}",
            "points": points(row["difference"]),
            "interval over images": points_interval(row["low"], row["high"]),
            "interval over seeds": points_interval(*row["over_seeds"]) if row["over_seeds"] else "–",
            f"{row['test']} (Holm)": p_value(row["p_holm"]),
        }
        for row in found["against_first"]
    ]
    if two := found["networks"]:
        rows = [
            {
                "compared": f"{two['second']} minus {two['first']}",
                "points": points(two["difference"]),
                "interval": points_interval(two["low"], two["high"]),
                **({"by seed": by_seed(two["per_seed"])} if len(two["per_seed"]) > 1 else {}),
                **({name: two[name] for name in ("higher", "equal", "lower")} if has_splits(found) else {}),
            }
        ]
    return pd.DataFrame(rows).set_index("compared") if rows else None


def splits(found):
    """The accuracy over all splits or folds, and the recall of each class; None for a study of anything else."""
    columns = {
        network: {
            "accuracy over all tests": score(draws),
            "tests": f"{draws['tests']:,}",
            "interval over": counted(draws["people"] or draws["images"], "person" if draws["people"] else "image"),
            **(_spread_over_splits(draws) if has_splits(found) else {}),
            **{f"recall, {name}": percent(one["right"]) for name, one in draws["recalls"].items()},
        }
        for network, draws in found["draws"].items()
    }
    return pd.DataFrame(columns).fillna("–") if columns else None


def _spread_over_splits(draws):
    counts = {} if draws["below"] is None else {"below": "below", "equal": "equal to", "above": "above"}
    return {
        "mean of the splits": percent(draws["mean"]),
        "sd": spread(draws["sd"]),
        "lowest": percent(draws["lowest"]),
        "highest": percent(draws["highest"]),
        **{f"splits {how} the paper": str(draws[key]) for key, how in counts.items()},
    }


def has_splits(found):
    """Whether a study has more than one split."""
    return any(draws["draws"] > 1 for draws in found["draws"].values())


def named(found):
    """How many validation images get a class's name for each image of it, by value or in the mean of several splits.

    In the paper these are test images.
    """
    columns = {(row["network"], row["variant"]): row["named"] for row in found["variants"]}
    table = pd.DataFrame(columns)
    if has_splits(found):
        table = table.astype(float).T.groupby(level=0, sort=False).mean().T
        table.columns = pd.MultiIndex.from_product(
            [table.columns, [f"mean of {len(columns) // table.shape[1]} splits"]]
        )
    papers = {(network, "paper"): paper["named"] for network, paper in found["paper"].items() if paper}
    table = pd.concat([table, pd.DataFrame(papers)], axis=1) if papers else table
    return table.map("{:.2f}".format, na_action="ignore").rename_axis(columns=("network", _column(found))).T


def overview(studies):
    """One row a study, for docs/studies.md."""
    rows = [
        {
            "study": f"[{found['question']}](../results/studies/{name}/05-study.ipynb)",
            "data": title(found["dataset"]),
            "runs": str(sum(row["trainings"] for row in found["variants"])),
            "test accuracy": _result(found),
            "difference in points": _differences(found),
        }
        for name, found in studies.items()
    ]
    return pd.DataFrame(rows)


def _result(found):
    if found["draws"]:
        ends = "; splits from {} to {}" if has_splits(found) else ""
        return "; ".join(
            f"{network} {score(draws)}"
            + (ends.format(percent(draws["lowest"]), percent(draws["highest"])) if not draws["failed"] else "")
            for network, draws in found["draws"].items()
        )
    if len(found["variants"]) > MANY:
        return "; ".join(_range(found, network) for network in networks(found))
    return "; ".join(
        f"{row['variant']}{_of(found, row['network'])}: {FAILED if row['failed'] else percent(row['mean'])}"
        for row in found["variants"]
    )


def _range(found, network):
    """The lowest and the highest accuracy of a network, and the variant that validation chooses."""
    sound = [row for row in found["variants"] if row["network"] == network and not row["failed"]]
    if not sound:
        return f"{network}: {FAILED}"
    ends = (percent(end(row["mean"] for row in sound)) for end in (min, max))
    chosen = max(sound, key=lambda row: row["validation"])
    best = f"best on validation: {chosen['variant']} (test {percent(chosen['mean'])})"
    return f"{' to '.join(ends)}{_of(found, network)}; {best}"


def networks(found):
    """The networks of a study, in its order."""
    return list(dict.fromkeys(row["network"] for row in found["variants"]))


def _of(found, network):
    """``, basic`` where a study has several networks."""
    return f", {network}" if len(networks(found)) > 1 else ""


def _differences(found):
    if two := found["networks"]:
        return f"{two['second']} minus {two['first']} {gain(two)}"
    first = found["variants"][0]["variant"]
    differences = [
        f"*{row['variant']}* instead of *{first}*{_of(found, row['network'])}: {gain(row)}"
        for row in found["against_first"]
    ]
    return "; ".join(differences) if 0 < len(differences) < MANY else "–"
