"""The tables of README.md and REPLICATION.md, from the reports, the studies and what the trainings cost."""

import pandas as pd

from fergit.core import paths
from fergit.core.files import read_json
from fergit.pages.present import TITLES, accuracy, gain, markdown, percent, points, score, title

FRAMES, SUBJECTS = "ckplus-frames", "ckplus-subjects"  # CK+'s studies stand in the headline, not one of its splits
SPLITS = {FRAMES: "CK+, random splits", SUBJECTS: "CK+, new persons"}
ADDED = "studies, other runs"  # without those in the rows above, which a study takes up
CLAIMS = {  # what a claim is about, where its id does not say so
    "gain": "accuracy gain over basic",
    "macro-f1": "macro F1 of the table",
    "f1-text": "F1 in the text",
    "training-accuracy": "training accuracy",
    "minutes": "minutes of training",
}


def headline(reports, studies):
    """README's table: a row for each network and data set but the drawn faces, which show nothing about the paper."""
    rows = []
    for dataset, report in reports.items():
        if dataset == "synthetic":
            continue
        by_splits = [name for name in (FRAMES, SUBJECTS) if name in studies and dataset == "ckplus"]
        verdicts = {name: claim["verdict"] for name, claim in report["claims"].items()}
        for model, entry in report["models"].items() if FRAMES not in by_splits else ():
            notebook = f"[evaluation](results/{dataset}/{model}/03-evaluate.ipynb)"
            verdict = verdicts.get(f"{dataset}-{model}-accuracy", "–")
            ours = accuracy(entry), len(entry["seeds"])
            rows.append((title(dataset), model, percent(entry["paper_accuracy"], 0), *ours, verdict, notebook))
        for name in by_splits:
            notebook = f"[study](results/studies/{name}/05-study.ipynb)"
            for model, draws in studies[name]["draws"].items():
                paper = studies[name]["paper"][model]
                verdict = verdicts.get(f"ckplus-{model}-accuracy", "–") if paper else "–"
                share = percent(paper["accuracy"], 0) if paper else "–"
                rows.append((SPLITS[name], model, share, score(draws), draws["trainings"], verdict, notebook))
    columns = ["data set", "network", "paper", "ours (95 % CI)", "runs", "verdict", "notebook"]
    return markdown(pd.DataFrame(rows, columns=columns))


def claims(reports):
    """REPLICATION.md's table of all claims; precision and recall of a class share a row."""
    rows = []
    for dataset, report in reports.items():
        for claim in report["claims"].values():
            _, network, what = claim["id"].split("-", 2)
            quantity, _, expression = what.partition("-")
            what = expression if quantity in ("precision", "recall") else CLAIMS.get(what, what)
            cells = claim["verdict"], number(claim, "paper"), number(claim, "ours"), gain(claim)
            rows.append((f"{title(dataset)}, {network}, {what}", *cells))
    table = pd.DataFrame(rows, columns=["claim", "verdict", "paper", "ours", "difference (95 % CI)"])
    joined = dict.fromkeys(table.columns[1:], "; ".join) | {"verdict": lambda several: "; ".join(several.unique())}
    return markdown(table.groupby("claim", sort=False, as_index=False).agg(joined))


def number(claim, whose):
    """The paper's number or ours in a claim: in percent or, of a gain, in points; without the unit.

    With one decimal, except those that the paper prints without; its macro F1 is computed from its table.
    """
    value, what = claim[whose], claim["id"].split("-", 2)[2]
    if pd.isna(value):
        return "–"
    if what in ("parameters", "minutes"):
        return f"{value:,.0f}"
    if what == "gain":
        return points(value)
    return f"{100 * value:.{0 if whose == 'paper' and what != 'macro-f1' else 1}f}"


def compute(studies):
    """What the trainings cost, from runs/, without the drawn faces, which everybody trains, and the user's own data.

    `studies` are those of studies/params.yaml.
    """
    runs, ours = [], TITLES.keys() - {"synthetic"}
    about = {name: study["dataset"] for name, study in studies.items()}
    for file in sorted(paths.RUNS.rglob("*.json")):
        group, model, *_ = file.relative_to(paths.RUNS).with_suffix("").parts
        is_study = group == "studies"
        if (about.get(model) if is_study else group) in ours:
            found = read_json(file, ("seconds", "device"), f"`git checkout {paths.relative(file)}`", is_study)
            name = ADDED if is_study else f"{title(group)}, {model}"
            runs += [(name, run["seconds"] / 3600, run["device"]) for run in (found if is_study else [found])]
    table = pd.DataFrame(runs, columns=["network", "hours", "device"])
    taken_up = (table["network"] == ADDED) & table.duplicated(["hours", "device"])
    rows = []
    for (name, device), own in table[~taken_up].groupby(["network", "device"], sort=False):
        hours = own["hours"].sum()
        rows.append((name, len(own), f"{hours:.1f}", f"{60 * hours / len(own):.0f}", device))
    columns = ["network", "runs", "hours in all", "minutes each", "on"]
    return markdown(pd.DataFrame(rows, columns=columns))
