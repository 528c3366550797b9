"""README's results, REPLICATION.md and the index of results/, written from the reports: no measured number is typed.

Run as ``python src/run.py summary``; the stages reconstruction, train and report and the studies' reports do it too.
Run times differ from run to run; those of synthetic, which everybody runs, stand nowhere.
"""

import sys
from statistics import mean

import pandas as pd

from fergit.analysis import claims
from fergit.analysis.report import FORMAT
from fergit.core import paths
from fergit.core.files import read_json, with_block, write_text
from fergit.pages import present, replication
from fergit.runner import notebooks

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
FIRST = "reconstruction"  # of the index; then the data sets, then whatever else there is
NO_CLAIM = "no such number in the paper"
TIMES = ("data set", "network", "epochs", "minutes a training", "on", "paper")


def update():
    """Write results/README.md, REPLICATION.md, and the block between the markers of README.md; its other text stays.

    Raises
    ------
    FergitError
        README.md has not both markers, or one of the files behind the pages is damaged; no page has changed then.
    """
    reports, old = _reports()
    for path in old:
        dataset = path.parent.name
        remedy = f"`dvc repro report@{dataset}`, with `datasets: [{dataset}]` in params.yaml, writes it anew"
        print(f"{paths.relative(path)}: of an older version, left out of README; {remedy}", file=sys.stderr)
    for file, text in _pages(reports).items():
        write_text(file, text)


def check():
    """Whether README.md, REPLICATION.md and results/README.md say what the reports, studies and runs/ say."""
    reports, old = _reports()
    pages = _pages(reports).items()
    return not old and all(file.exists() and file.read_text(encoding="utf-8") == text for file, text in pages)


def _pages(reports):
    """The text of each page as it should be."""
    studies = replication.read_studies()
    pages = {
        paths.RESULTS / "README.md": _index(reports),
        paths.ROOT / "REPLICATION.md": replication.text(_of_real_faces(reports), studies),
    }
    readme = paths.ROOT / "README.md"
    return pages | ({readme: _readme(readme, reports, studies)} if readme.exists() else {})


def _reports():
    """All report.json of today's format, by data set, synthetic last, as the least asked for; and files of another."""
    reports, old = {}, []
    for path in sorted(paths.RESULTS.glob("reports/*/report.json")):
        report = read_json(path, (), f"`dvc repro -f report@{path.parent.name}` writes it again")
        if report.get("format") == FORMAT:
            reports[path.parent.name] = report
        else:
            old.append(path)
    return dict(sorted(reports.items(), key=lambda item: (item[0] == "synthetic", item[0]))), old


def _of_real_faces(reports):
    return {dataset: report for dataset, report in reports.items() if dataset != "synthetic"}


def _readme(file, reports, studies):
    rows = _times(reports)
    parts = [replication.in_short(_of_real_faces(reports), studies), _results_table(reports, studies)]
    if "synthetic" in reports:
        parts.append(_of_drawn(reports["synthetic"]))
    if rows:
        parts.append(
            "Run times (of one training, by the clock, with other work beside it and on several machines, so that they "
            "cannot be compared with one another; the paper's on a K80):"
        )
        parts.append(present.markdown(pd.DataFrame(rows, columns=TIMES)))
    return with_block(file, BEGIN, END, "\n\n".join(filter(None, parts)))


def _results_table(reports, studies):
    rows = [
        {
            "data set": present.TITLES[dataset] + (f", split by {report['protocol']}" if report["protocol"] else ""),
            "network": model,
            "paper": present.percent(entry["paper_accuracy"], 0),
            "ours (interval)": _ours(entry),
            "trainings": str(len(entry["seeds"])),
            "test images": f"{entry['n_test']:,}",
            "verdict": _verdict(report, model),
            "notebook": _link(f"results/{dataset}/{model}/03-evaluate.ipynb", "evaluation"),
        }
        for dataset, report in reports.items()
        for model, entry in report["models"].items()
    ]
    rows = _new_persons(studies) + rows
    if not rows:
        return "Nothing was run yet: `make repro`."
    level = present.percent(next(iter([*reports.values(), *studies.values()]))["confidence_level"], 0)
    return (
        present.markdown(pd.DataFrame(rows)) + f"\n\nTest accuracy; in parentheses the {level} interval over images, "
        "or over persons where these are new. [What the verdicts mean](REPLICATION.md#what-the-verdicts-mean)."
    )


def _new_persons(studies):
    """Rows of each study whose test parts are of persons who are not in training."""
    return [
        {
            "data set": f"{present.TITLES[study['dataset']]}, new persons",
            "network": network,
            "paper": present.percent(None),
            "ours (interval)": "training failed"
            if draws["failed"]
            else present.with_interval(draws["accuracy"], draws["low"], draws["high"]),
            "trainings": str(draws["trainings"]),
            "test images": f"{draws['images']:,}",
            "verdict": NO_CLAIM,
            "notebook": _link(f"results/studies/{name}/05-study.ipynb", "study"),
        }
        for name, study in studies.items()
        if dict(study["set"]).get(f"{study['dataset']}.split.protocol") == "subjects"
        for network, draws in study["draws"].items()
    ]


def _of_drawn(report):
    """What a reader must know of the drawn faces' rows."""
    said = [present.short_sentence(report), present.baseline_sentence(report)]
    if report["comparison"]:
        said.insert(1, present.comparison_sentence(report))
    return f"**{present.TITLES['synthetic']}.** {' '.join(filter(None, said))}" if any(said) else ""


def _ours(entry):
    accuracy = entry["accuracy"]
    if entry["failed_seeds"]:
        return "training failed"
    text = present.with_interval(accuracy["mean"], accuracy["low"], accuracy["high"])
    return text if accuracy["sd"] is None else f"{text}, sd {100 * accuracy['sd']:.1f} over seeds"


def _paper(entry):
    return "" if entry["paper_accuracy"] is None else f"; the paper: {present.percent(entry['paper_accuracy'], 0)}"


def _verdict(report, model):
    wanted = model, "accuracy"
    verdicts = [claim["verdict"] for claim in report["claims"] if (claim["network"], claim["metric"]) == wanted]
    return verdicts[0] if verdicts else NO_CLAIM


def _times(reports):
    """Rows of `TIMES`, for every network whose trainings all left their run time."""
    rows = []
    for dataset, report in reports.items():
        for model, entry in report["models"].items():
            files = [paths.run(dataset, model, seed) for seed in entry["seeds"]]
            if dataset == "synthetic" or not all(file.exists() for file in files):
                continue
            runs = [run for file in files for run in replication.read_runs(file)]
            epochs = f"{mean(run['epochs'] for run in runs):.0f}"
            minutes = f"{mean(run['seconds'] for run in runs) / 60:.1f}"
            devices = ", ".join(sorted({run["device"] for run in runs}))
            paper = claims.paper_table(dataset, model, report["protocol"])
            rows.append(
                (present.TITLES[dataset], model, epochs, minutes, devices, f"{paper['minutes']} min" if paper else "–")
            )
    return rows


def _index(reports):
    """results/README.md as it should be: every executed notebook, by data set."""
    parts = [
        "# Results",
        "Written by the pipeline. It executed each notebook below, which shows its code, its numbers and its figures.",
    ]
    folders = sorted({path.relative_to(paths.RESULTS).parts[0] for path in _notebooks(paths.RESULTS)} - {"reports"})
    others = [folder for folder in folders if folder not in reports and folder != FIRST]
    for name in [*(folder for folder in folders if folder == FIRST), *reports, *others]:
        parts.append(f"## {present.heading(name)}")
        if name in reports:
            parts += _headlines(name, reports[name])
        notebooks = [*_notebooks(paths.RESULTS / name), *_notebooks(paths.report(name))]
        links = [f"- {_notebook_link(path)}" for path in notebooks]
        parts.append("\n".join(links) or "(no notebooks)")
    return "\n\n".join(part for part in parts if part) + "\n"


def _headlines(dataset, report):
    lines = [f"- {model}: **{_ours(entry)}**{_paper(entry)}" for model, entry in report["models"].items()]
    first = next(iter(report["models"].values()))
    lines.insert(0, f"Accuracy on {first['n_test']:,} test images:\n")
    checked = pd.DataFrame(report["claims"], columns=["verdict"])
    said = present.short_sentence(report), present.baseline_sentence(report), present.claims_sentence(checked, dataset)
    return ["\n".join(lines), *said]


def _notebooks(folder):
    return sorted(folder.rglob("*.ipynb"), key=lambda path: (path.name, path.parts))


def _notebook_link(path):
    """A link with the notebook's own title, and what of the data set it is about."""
    within = path.relative_to(paths.RESULTS)
    cells = notebooks.read(path).cells
    titles = [cell.source.partition("\n")[0].lstrip("# ") for cell in cells if cell.cell_type == "markdown"]
    title = titles[0] if titles else path.stem
    parts = [part for part in within.parts[1:-1] if not part[0].isdigit()]  # 02-train/ is no news beside its title
    about = ", ".join(present.TITLES.get(part, part.replace("-", " ")) for part in parts)
    return f"[{title}{f': {about}' if about else ''}]({within.as_posix()})"


def _link(path, text):
    return f"[{text}]({path})"
