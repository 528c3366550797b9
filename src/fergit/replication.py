"""REPLICATION.md: all claims, studies and contradictions on one page, from the files under results/ and runs/."""

import json

import pandas as pd

from fergit import params, paths, present, published, studies, study_report

INTRODUCTION = """\
# What the replication found

Of: Ibrahima Bah, Yu Xue, *Facial expression recognition using adapted residual based deep neural network*,
Intelligence & Robotics 2022;2(1):72-88, [DOI 10.20517/ir.2021.16](https://doi.org/10.20517/ir.2021.16). This page is
written by `python src/run.py summary` from the files under `results/` and `runs/`; no number of ours in it is typed.

## Scope

Replicated are the paper's two networks, its recipe and its two data sets: FERGIT, rebuilt to the image from FER2013 and
muxspace, and CK+ in its 48x48 form. Not replicated are its comparison with other authors' methods (Table 5) and the
photographs of its Figure 9. The authors' code, their split and their weights are not public."""

DIFFERENCES = """\
## What was done differently, and why

| matter | paper | here | why |
| --- | --- | --- | --- |
| batch normalization | after each pair (p. 75) | after pairs 1, 3 and 5 | the one regular layout with 9,766,391 parameters ([reconstruction](results/reconstruction/00-reconstruction.ipynb)) |
| first kernels | 5x5 in the first layer (p. 77) | 5x5 in both of the first pair | the count again |
| poolings | after each pair (p. 75) | after the first five | six do not fit 48 pixels |
| split of FERGIT | 90/5/5 %, drawn at random (p. 79) | the same shares, stratified | its supports are within one image of 5 % of each class; its very images cannot be known |
| augmentation, scaling, class weights, factor of the falling rate | could not be read | common choices, each marked *ours* in [params.yaml](params.yaml) | |
| CK+ | images shown an epoch: not said | each five times, differently augmented | its 29 minutes are some thirty copies at FERGIT's pace; five suit a CPU |
| batches | Keras' own order | order and augmentation are functions of seed, epoch and image | a result can be had again, to the byte |
| uncertainty | none given | intervals over images, over seeds and over splits | 99 test images tell little by themselves |"""  # noqa: E501

VERDICTS = """\
A share of images is *consistent* when the interval of the difference between the paper's number and ours, taken as two
independent samples, holds 0; F1 and the gain of the residual blocks when our interval holds the number; a count when it
is equal. One claim in twenty comes out as not consistent by chance alone."""

LIMITS = """\
## Limits

- The paper gives one training of each network, on a split that cannot be had again. What another split or seed would
  have given is in our intervals, not in its numbers.
- FER2013's images were gathered by searching the web, and its labels are taken as they are: wrong ones, black images
  and copies included, as the paper's count has them.
- CK+ shows posed expressions of few persons. By frames, the same persons are in training and test; only the study by
  subjects says what new persons would get.
- Nothing here says how the networks do on faces of another kind than those of the data sets."""


def text():
    """REPLICATION.md as it should be."""
    reports = {}
    for path in sorted(paths.RESULTS.glob("reports/*/report.json")):
        if path.parent.name != "synthetic":
            reports[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
    parts = [INTRODUCTION, *_claims(reports), *_studies(), DIFFERENCES, *_contradictions(reports), *_compute(), LIMITS]
    return "\n\n".join([*parts, *_not_run(reports)]) + "\n"


def _claims(reports):
    parts = ["## The paper's claims"]
    for dataset in ("fergit", "ckplus"):
        if dataset not in reports:
            continue
        report = reports[dataset]
        table = present.claims_table(pd.DataFrame(report["claims"]))
        several = max(len(entry["seeds"]) for entry in report["models"].values())
        parts.append(f"### {present.TITLES[dataset]}")
        parts.append(
            f"{present.scope_sentence(report)} Command: `dvc repro` with `datasets: [{dataset}]`"
            f"{'' if several == 1 else ' and those seeds'}; notebook: "
            f"[report](results/reports/{dataset}/04-report.ipynb)."
        )
        parts.append(present.markdown(table))
        parts.append(present.comparison_sentence(report))
    return [*parts, VERDICTS]


def _studies():
    parts = []
    for name, found in _found().items():
        study = studies.load(name)
        parts.append(f"### {study.question}")
        said = [study_report.spread_sentence(study, found)] if study.are_draws else []
        said.append(study_report.difference_sentence(study, found))
        parts.append(present.markdown(study_report.variants_table(found)))
        parts.append(" ".join(filter(None, said)))
        command = f"dvc repro studies/dvc.yaml:report@{name}"
        parts.append(f"Command: `{command}`; notebook: [study](results/studies/{name}/05-study.ipynb).")
    return ["## Studies", *parts] if parts else []


def _found():
    """metrics.json of each study that was run, in the order of studies/params.yaml."""
    files = {name: paths.study(name) / "metrics.json" for name in params.load_studies()}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}


def _contradictions(reports):
    measured = {
        claim["id"]: f"{claim['network']} {present.percent(claim['ours'])}"
        for report in reports.values()
        for claim in report["claims"]
        if claim["ours"] is not None
    }
    rows = [
        (
            str(number),
            one.statement,
            one.page,
            one.finding,
            ", ".join(measured[claim] for claim in one.claims if claim in measured) or "–",
        )
        for number, one in enumerate(published.CONTRADICTIONS, start=1)
    ]
    columns = ["", "the paper says", "page", "against it", "ours"]
    return ["## The paper's contradictions", present.markdown(pd.DataFrame(rows, columns=columns))]


def _compute():
    rows = []
    for file in sorted(paths.RUNS.rglob("*.json")):
        what = file.relative_to(paths.RUNS).with_suffix("").parts
        if what[0] == "synthetic":
            continue
        run = json.loads(file.read_text(encoding="utf-8"))
        seconds = run["seconds"] if isinstance(run["seconds"], list) else [run["seconds"]]
        rows.append(
            (
                ", ".join(part.replace("-", " ") for part in what),
                str(len(seconds)),
                f"{sum(seconds) / 3600:.1f}",
                f"{run['device']}, {run['cpus']} cores",
                run["backend"],
            )
        )
    if not rows:
        return []
    columns = ["trainings of", "number", "hours in all", "on", "backend"]
    return ["## Compute used", present.markdown(pd.DataFrame(rows, columns=columns))]


def _not_run(reports):
    """What is defined here and has no result yet, with the line that gives it one."""
    lines = [
        f"- {present.TITLES[dataset]}: `dvc repro` with `datasets: [{dataset}]` in params.yaml."
        for dataset in ("fergit", "ckplus", "fer2013")
        if dataset not in reports
    ]
    lines += [
        f"- {entry['question']} `dvc repro studies/dvc.yaml:report@{name}`"
        for name, entry in params.load_studies().items()
        if name not in _found()
    ]
    return ["## What was not run", "\n".join(lines)] if lines else []
