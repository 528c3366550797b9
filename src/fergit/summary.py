"""README's results, REPLICATION.md and the index of results/, written from the reports: no measured number is typed.

Run as ``python src/run.py summary``; the stages reconstruction, train and report and the studies' reports do it too.
Run times differ from run to run; those of synthetic, which everybody runs, stand nowhere.
"""

import sys
from statistics import mean

import pandas as pd

from fergit import claims, leaks, notebooks, paths, present, replication, study_report
from fergit.files import read_json, read_table, with_block, write_text
from fergit.report import FORMAT

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
FIRST = "reconstruction"  # of the index; then the data sets, then whatever else there is
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
    pages = {
        paths.RESULTS / "README.md": _index(reports),
        paths.ROOT / "REPLICATION.md": replication.text(_of_real_faces(reports)),
    }
    readme = paths.ROOT / "README.md"
    return pages | ({readme: _readme(readme, reports)} if readme.exists() else {})


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


def _readme(file, reports):
    rows = _times(reports)
    studies = replication.read_studies()
    parts = [_results_table(reports), *(_what_it_means(*item, studies) for item in reports.items())]
    if rows:
        parts.append("Run times (of one training, other work now and then beside it; the paper's on a K80):")
        parts.append(present.markdown(pd.DataFrame(rows, columns=TIMES)))
    return with_block(file, BEGIN, END, "\n\n".join(parts))


def _results_table(reports):
    rows = [
        {
            "data set": present.TITLES[dataset],
            "network": model,
            "paper": present.percent(entry["paper_accuracy"], 0),
            "ours (interval)": _ours(entry),
            "seeds": str(len(entry["seeds"])),
            "test images": f"{entry['n_test']:,}",
            "verdict": _verdict(report, model),
            "notebook": _link(f"results/{dataset}/{model}/03-evaluate.ipynb", "evaluation"),
        }
        for dataset, report in reports.items()
        for model, entry in report["models"].items()
    ]
    if not rows:
        return "Nothing was run yet: `make repro`."
    level = present.percent(next(iter(reports.values()))["confidence_level"], 0)
    return (
        present.markdown(pd.DataFrame(rows)) + f"\n\nTest accuracy; in parentheses the {level} interval over images. "
        "[REPLICATION.md](REPLICATION.md) says what the verdicts mean."
    )


def _what_it_means(dataset, report, studies):
    """What a reader must know of a data set's rows."""
    said = [f"**{present.TITLES[dataset]}.**", replication.departures(dataset, report), present.short_sentence(report)]
    if report["comparison"]:
        said.append(present.comparison_sentence(report))
    if dataset != "synthetic":
        said += [_people_sentence(dataset), *_copies(dataset), *_draws(dataset, studies)]
    if dataset == "fer2013":
        said.append("By its official protocol: [what others report](REPLICATION.md#fer2013s-official-protocol).")
    said.append(present.baseline_sentence(report))
    return " ".join(filter(None, said))


def _copies(dataset):
    """How many test images are in training too, and how good the networks are on the others."""
    measured = replication.read_leaks(dataset)
    return [leaks.copies_sentence(measured), leaks.clean_sentence(measured)] if measured else []


def _draws(dataset, studies):
    """Sentences on each study of several splits of a data set: how much the accuracy hangs on the split."""
    for name, study in studies.items():
        if study["dataset"] == dataset and study["draws"]:
            yield _link(f"results/studies/{name}/05-study.ipynb", study["question"])
            yield from (study_report.draws_sentence(study, network) for network in study["draws"])
    if dataset == "ckplus":
        yield from replication.persons_sentence(studies)


def _people_sentence(dataset):
    """How many test images show a person whom the network knows from training; empty where persons are unknown."""
    path = paths.results(dataset) / "01-preprocess" / "people-across-parts.csv"
    if not path.exists():
        return ""
    wanted = ["images of these", "images"]
    remedy = f"`dvc repro -f preprocess@{dataset}` writes it again"
    tested = read_table(path, ("part", *wanted), remedy).query("part == 'test'")
    known, images = replication.filled(tested, path, "row of the test part", remedy)[wanted].iloc[0]
    if not known:
        return f"No person of its {images:,} test images is in training."
    known_people = f"{known:,} of its {images:,} test images show a person who is in training too"
    return f"{known_people}: with new people it may do worse."


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
    return verdicts[0] if verdicts else "no such number in the paper"


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
