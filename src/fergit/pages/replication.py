"""REPLICATION.md: all claims, studies and contradictions on one page, from the files under results/ and runs/."""

import pandas as pd

from fergit.analysis import gradcam, leaks, metrics, study_report
from fergit.analysis.report import PAIR
from fergit.core import params, paths
from fergit.core.errors import FergitError
from fergit.core.files import read_json, read_table
from fergit.pages import present
from fergit.paper import published

REAL = ("fergit", "ckplus", "fer2013")
GRADCAM = ("dataset", "model", "n_test", "confidence_level", "area", "sizes")  # keys of their metrics.json
LEAKS = ("dataset", "confidence_level", "n_test", "copies", "labels", "networks")
STUDY = (
    "question",
    "dataset",
    "set",
    "vary",
    "confidence_level",
    "paper",
    "variants",
    "draws",
    "networks",
    "against_first",
)
DRAWS = (
    *("draws", "trainings", "failed", "mean", "sd", "lowest", "highest", "below", "equal", "above"),
    *("accuracy", "low", "high", "tests", "images", "people", "by_person", "recalls"),
)
NETWORKS = ("first", "second", "difference", "low", "high", "higher", "equal", "lower")

PERSONS = ("ckplus-frames", "ckplus-subjects")  # studies whose difference is what it is worth to know the persons

INTRODUCTION = """\
# What the replication found

Of: Ibrahima Bah, Yu Xue, *Facial expression recognition using adapted residual based deep neural network*,
Intelligence & Robotics 2022;2(1):72-88, [DOI 10.20517/ir.2021.16](https://doi.org/10.20517/ir.2021.16). This page is
written by `python src/run.py summary` from the files under `results/` and `runs/`; no measured number in it is
typed by hand."""

CHOSEN = """\
The recipe was chosen with results on this test part in view, which favours ours if anything. The paper's split, its \
seed and some of its recipe could not be had, and its layout is inferred from its text and parameter count."""

UNTRIED = (  # whole trainings
    ("whole trainings with class weights", "`class_weights: balanced` in `fergit.overrides.train`"),
    ("whole trainings with a dropout after each pair", "`dropout: 0.3` in `fergit.overrides.network`"),
    (
        "whole trainings with a normalization after each convolution, or with four poolings",
        "`batch_normalization: per_conv`, or `poolings: 4`, in `fergit.overrides.network`",
    ),
    ("whole trainings without the copies of test images", "`leave_out_copies: true` in `fergit.split`"),
    ("other splits", "`seed: 1` in `fergit.split`"),
)

SCOPE = """\
## Scope

To be replicated are the paper's two networks, its recipe and its results on two data sets: FERGIT, rebuilt from FER2013
and muxspace to the paper's number of images, and CK+ in its 48x48 form. Not replicated are its comparison with other
authors' methods (Table 5) and the photographs of its Figure 9. The authors' code, split and weights were not found;
pages 86 to 88, where a paper may name them, could not be had. Beyond the paper, the residual network is also trained
and tested by FER2013's official protocol, by which other work can be compared."""

DIFFERENCES = """\
## What was done differently, and why

| matter | paper | here | why |
| --- | --- | --- | --- |
| batch normalization of the residual network | after each pair (p. 75, of the basic one) | after pairs 1, 3 and 5 | the only layout with one rule for all normalized pairs and a bias in every convolution that has 9,766,391 parameters in all ([reconstruction](results/reconstruction/00-reconstruction.ipynb)) |
| first kernels | 5x5 in the first layer (p. 77) | 5x5 in both of the first pair | the count again |
| kernels of pairs 2 to 6 | not on these pages | 3x3 | the count leaves no room for larger ones |
| poolings | after each pair (p. 75) | after the first five | six do not fit 48 pixels |
| split of FERGIT | 90/5/5 %, "arbitrarily" (p. 79) | the same shares, stratified | its supports are within one image of 5 % of each class; its very images cannot be known |
| class weights | large for small classes, by a formula that could not be read (p. 81) | CK+: n / (classes n_class), the common formula; FERGIT: none | in ten epochs balanced ones name disgust more often than the paper's tables do ([study](results/studies/class-weights/05-study.ipynb)); milder ones are unread |
| dropout | after each pair (p. 75, of the basic network), 0.3 "in the early layers" and 0.4 in the last block (p. 78) | 0.4 after the last pair; 0.3 on CK+ after the first five, on FERGIT after the first alone | which layers are early is not said; on FERGIT, in ten epochs, 0.3 after five pairs learns less than none ([study](results/studies/dropout/05-study.ipynb)) |
| augmentation, scaling, factor of the falling rate | not on the pages that could be had | common choices, each marked *ours* in [params.yaml](params.yaml); on FERGIT weaker augmentation than on CK+ | a training accuracy of 86 % (p. 82) speaks against strong augmentation |
| CK+ | images shown an epoch: not on these pages | each five times, differently augmented | its 29 minutes are some thirty copies at FERGIT's pace; five suit a CPU |
| validation part of CK+ | none named | 10 % of what is not test | an epoch has to be chosen by something |
| precision | not on these pages | float32; FERGIT in bfloat16, weights in float32, where the processor computes in it (`precision: auto`) | it takes a fifth less time; a processor without it trains another network |
| end of a training | 100 epochs, or 30 that bring no better one (p. 81) | also once all validation images are named rightly | no later epoch can replace the best one |
| batches | not on these pages | order and augmentation are functions of seed, epoch and image | a result can be had again, to the byte |
| uncertainty | none given | intervals, and studies over splits and seeds | 99 test images tell little by themselves |"""  # noqa: E501

WHERE = """\
The paper says where a network should look, and why that speaks for few filters: at "the mouth, towards the corners of
the lips, the nose, the eyebrows, the crow's feet, the eyelids, and the eyes" (p. 77). On the
pages that could be had it does not show that its networks do. Grad-CAM, of the last layer that has more than one
position, says where the values stand that speak for a label."""

VERDICTS = """\
### What the verdicts mean

- *Reproduced*: ours rounds to the paper's number.
- *Reproduced within our interval*: the paper's number, with what it may have been rounded from, lies in our interval. A
  gain whose interval holds 0 gets at most this.
- *Not contradicted*: the paper's number lies outside our interval, but it is a sample too, and the interval of the
  difference between the two shares, taken as independent samples, holds 0. Or it is a training accuracy, and lies
  between that of the epoch that is kept and the highest.
- *Not reproduced*: none of these.
- *Not testable*: it depends on the hardware. *Not tested here*: this run had not the network, the split or the epochs,
  or a training failed.

The number of parameters is reproduced by construction, for the layout was chosen by it. An F1 of 65 % says little: it
does not fit the paper's own tables (contradiction 4). With few images nearly every number is in the interval; and by
chance alone, a true claim comes out as not reproduced now and then. All intervals in these tables are over test images:
another seed or another split would move ours too. By how much, only the studies tell that vary one."""

OFFICIAL_PROTOCOL = """\
The paper does not report it; it is what most of the literature reports. Ours was trained on FER2013's Training, its
epoch chosen on PublicTest; PrivateTest was looked at once, after the training. It is not wholly unseen: the
recipe is FERGIT's, and was chosen with results on FERGIT in view, which holds PrivateTest's images too.

What others report is seldom measured like that. As far as its code tells, the ResNet18 below is reported on the very
part by which its rate fell and its epoch was chosen: the best of many looks at the test part. The VGGNet has the two
parts exchanged; its accuracy is of other images than ours. Both average over ten crops of each face. The figures of
people and of the winner are given as they are cited; Goodfellow et al. 2013 could not be had here."""

STUDIES = """\
Each study varies one value. What else it sets otherwise than params.yaml stands below its table, and holds for all of
its trainings: `network.dropout 0.3`, for one, is after each of the first five pairs. Studies of one data set share the
training that they have in common, so that a lucky or unlucky one tells in all of them. With one seed, McNemar's test is
about the two networks that were trained, and not about what another seed would give. Where splits were varied,
quote the interval over persons: it takes in that the images of a person, and the tests of an image in several splits,
are alike. It does not take in that the tests of a split share one training, nor what other seeds would give."""

LIMITS = """\
## Limits

- Pages 76, 80, 83 and 86 to 88 of the paper could not be had; what they say is not known here.
- The paper gives one training of each network, on a split that cannot be had again. Where ours is one training on one
  split too, the intervals tell what other test images would have given, and not what another split or seed would have.
- The studies on FERGIT are of one seed and ten epochs: another seed may rank the variants otherwise, and what is better
  after ten epochs need not be so after a hundred.
- FERGIT's recipe was chosen by the paper's figures and by studies on the same split, whose test results were seen: that
  a result is near the paper's says less then, and the test part is not quite unseen.
- Validation accuracy on FERGIT moves by several points from epoch to epoch until the rate falls, so that the epoch that
  is kept is the luckiest of many.
- The study of copies leaves out exact ones only and trains for ten epochs, in which a network hardly fits single
  images; and few test images have one, so that even much better answers to these move the accuracy on all but little.
- FER2013's images were gathered by searching the web, and its labels are taken as they are: wrong ones, black images
  and copies included, as the paper's count has them.
- CK+ shows posed expressions of few persons. By frames, the same persons are in training and test; only the study by
  subjects says what new persons would get. Frames of one person are not independent, so that the intervals over
  images on CK+ are too narrow.
- Nothing here says how the networks do on faces of another kind than those of the data sets."""


def text(reports, found):
    """REPLICATION.md as it should be.

    Parameters
    ----------
    reports : dict of str to dict
        report.json by data set.
    found : dict of str to dict
        Of `read_studies`.
    """
    short = in_short(reports, found)
    parts = [
        INTRODUCTION,
        *(["## In short", short] if short else []),
        SCOPE,
        *_scope(reports),
        *_claims(reports),
        *_official_protocol(reports),
        *_studies(found),
        *_recipe(found, reports),
        *_leaks(),
        *_gradcam(),
        DIFFERENCES,
    ]
    parts += [*_contradictions(reports, found), *_compute(), LIMITS, *_not_run(reports, found)]
    return "\n\n".join(parts) + "\n"


def in_short(reports, found):
    """What holds of the paper and how sure that is, of what `text` takes: a Markdown list, empty if nothing was run."""
    official = ", official protocol" if _official_protocol(reports) else ""
    lines = []
    for dataset in REAL:
        if dataset in reports:
            report = reports[dataset]
            by = f", split by {report['protocol']}" if report["protocol"] else official if dataset == "fer2013" else ""
            said = [f"**{present.TITLES[dataset]}**{by}, test accuracy: {_accuracies(report)}."]
            said += [present.short_sentence(report), _gain(report), _known(dataset), _clean(dataset)]
            if dataset == "fergit" and _recipe(found, reports):
                said += [departures(report), CHOSEN]
                idle = _idle_weights()
                if idle:
                    said.append(
                        f"In it {idle} never receive a gradient ([why](REPLICATION.md#the-papers-contradictions))."
                    )
            if dataset == "fer2013" and official:
                said += [_beside_others(report), "[More](REPLICATION.md#fer2013s-official-protocol)."]
            lines.append(" ".join(filter(None, said)))
        if dataset == "ckplus":
            lines.append(_persons(found))
    lines = list(filter(None, lines))
    single = [present.TITLES[name] for name in REAL if name in reports and len(_seeds(reports[name])) == 1]
    if lines:
        level = present.percent(next(iter([*reports.values(), *found.values()]))["confidence_level"], 0)
        lines.append(
            f"In parentheses: {level} intervals over images or persons. Differences are of unrounded numbers. A near "
            f"copy is an image, perhaps mirrored, with a correlation of {leaks.NEAR} or more."
        )
    if single:
        lines[-1] += f" One seed on {present.listed(single)}: another would give other numbers."
    return "\n".join(f"- {line}" for line in lines)


def _accuracies(report):
    """Our accuracies on a data set, each beside the paper's with its verdict."""
    claims = {row["network"]: row for row in report["claims"] if row["metric"] == "accuracy"}
    said = []
    for model, entry in report["models"].items():
        accuracy = _with_interval(entry["accuracy"] | {"accuracy": entry["accuracy"]["mean"]})
        ours = "training failed" if entry["failed_seeds"] else accuracy
        claim = claims.get(model)
        paper = (
            f"the paper {present.percent(claim['paper'], 0)}: **{claim['verdict']}**" if claim else "not in the paper"
        )
        said.append(f"{model} {ours}, {paper}")
    return "; ".join(said)


def _gain(report):
    """What the residual blocks add, in short; empty where there is nothing to compare."""
    comparison = report["comparison"]
    if not comparison or any(entry["failed_seeds"] for entry in report["models"].values()):
        return ""
    return f"Residual less basic: {_points(comparison['difference'], comparison['low'], comparison['high'])}."


def _points(difference, low, high):
    """``+1.0 points (−0.8 to +2.8)``."""
    return f"{present.points(difference)} points ({present.points(low)} to {present.points(high)})"


def _with_interval(entry):
    return f"**{present.percent(entry['accuracy'])}** ({100 * entry['low']:.1f}–{100 * entry['high']:.1f})"


def _clean(dataset):
    """How good the networks are on the test images that are not in training too; empty where it was not measured."""
    measured = read_leaks(dataset)
    if not measured or measured["copies"][leaks.NEITHER] < leaks.FEWEST:
        return ""
    rates = [
        f"{network} {present.with_interval(row['accuracy'], row['low'], row['high'])}"
        for network, entry in measured["networks"].items()
        for row in entry["copies"]
        if row["stratum"] == leaks.NEITHER
    ]
    n = measured["copies"][leaks.NEITHER]
    return f"On the {n:,} test images without a copy in training, exact or near: {present.listed(rates)}."


def _known(dataset):
    """How many test images show a person who is in training, or have a copy there; empty where persons are unknown."""
    path = paths.results(dataset) / "01-preprocess" / "people-across-parts.csv"
    if not path.exists():
        return ""
    wanted = ["images of these", "images"]
    remedy = f"`dvc repro -f preprocess@{dataset}` writes it again"
    tested = read_table(path, ("part", *wanted), remedy).query("part == 'test'")
    known, images = filled(tested, path, "row of the test part", remedy)[wanted].iloc[0]
    said = f"{known:,} of its {images:,} test images show a person who is in training too"
    measured = read_leaks(dataset)
    if measured:
        exact, near = (measured["copies"][kind] for kind in (leaks.EXACT, leaks.ALIKE))
        said += f", {exact or 'none'} have an exact copy there and {near or 'none'} a near one"
    return f"{said}."


def _persons(found):
    """What it is worth on CK+ to know the persons from training; empty unless both studies have a sound network."""
    frames, persons = (found.get(name, {"draws": {}}) for name in PERSONS)
    networks = [
        network
        for network in persons["draws"]
        if network in frames["draws"] and not frames["draws"][network]["failed"] + persons["draws"][network]["failed"]
    ]
    if not networks:
        return ""
    evaluate = params.read(paths.PARAMS)["evaluate"]
    said = []
    for network in networks:
        by_frames, by_persons = (study["draws"][network] for study in (frames, persons))
        less = study_report.between_studies(by_frames, by_persons, evaluate)
        said.append(
            f"the {network} network {_with_interval(by_persons)} over {present.counted(by_persons['draws'], 'fold')} "
            f"of persons never seen, {_with_interval(by_frames)} over "
            f"{present.counted(by_frames['draws'], 'random split')} by frames: {_points(*less)}"
        )
    more = [study_report.beside_paper(frames, network) for network in networks]
    two = persons["networks"]
    if two:
        gain = _points(two["difference"], two["low"], two["high"])
        more.append(f"{two['second'].capitalize()} less {two['first']}, on persons never seen: {gain}.")
    return (
        f"**CK+**, new persons (intervals over persons): {'; '.join(said)}. Two things make a split by frames easier: "
        "the person is known from training, and often a neighbouring frame too. How much each is worth, these studies "
        "do not tell. "
        + " ".join(
            [*filter(None, more), f"{_notebook(PERSONS[1], 'By persons')}, {_notebook(PERSONS[0], 'by frames')}."]
        )
    )


def _seeds(report):
    return next(iter(report["models"].values()))["seeds"]


def _scope(reports):
    run = [present.TITLES[dataset] for dataset in REAL if dataset in reports]
    return [f"Results so far: {present.listed(run) if run else 'none'}; what was not run stands at the end."]


def _claims(reports):
    parts = ["## The paper's claims"]
    for dataset in ("fergit", "ckplus"):
        report = reports.get(dataset)
        parts.append(f"### {present.TITLES[dataset]}")
        if report:
            parts.append(_about(dataset, report))
            left_out = departures(report) if dataset == "fergit" else ""
            parts += filter(None, [left_out, present.short_sentence(report)])
            parts.append(present.markdown(present.claims_table(pd.DataFrame(report["claims"]))))
            parts.append(present.comparison_sentence(report))
        else:
            rows = [(one.sentence, one.page) for one in published.CLAIMS if one.dataset == dataset]
            parts.append("Not run yet. The paper's claims are:")
            parts.append(present.markdown(pd.DataFrame(rows, columns=["claim", "page"])))
    return [*parts, VERDICTS]


def _about(dataset, report):
    """What a report is about, the command that gives it, and its notebook."""
    return (
        f"{present.scope_sentence(report)} Command: `dvc repro` with `datasets: [{dataset}]`, "
        f"`models: [{', '.join(report['models'])}]` and `seeds: {_seeds(report)}` in params.yaml; "
        f"notebook: [report](results/reports/{dataset}/04-report.ipynb)."
    )


def _official_protocol(reports):
    """FER2013's official protocol, and what others report; nothing where it was not run, or its parts are not known."""
    report = reports.get("fer2013")
    if not report:
        return []
    rows = []
    for model, entry in report["models"].items():
        ids = metrics.read_predictions(paths.results("fer2013", model) / "predictions.csv")["sample_id"]
        if ids.str.startswith("fer2013/Test/").any():  # folders that do not tell the two test parts
            return []
        accuracy = present.with_interval(*(entry["accuracy"][name] for name in ("mean", "low", "high")))
        notebook = f"[evaluation](results/fer2013/{model}/03-evaluate.ipynb)"
        rows.append((f"the paper's {model} network, here", f"**{accuracy}**", "PrivateTest", "PublicTest", notebook))
    columns = ["who", "accuracy", "tested on", "epoch chosen by", "where it stands"]
    return [
        "## FER2013's official protocol",
        _about("fer2013", report),
        OFFICIAL_PROTOCOL,
        present.markdown(pd.DataFrame([*rows, *published.ON_FER2013], columns=columns)),
        _beside_others(report),
    ]


def _beside_others(report):
    """What others have on PrivateTest, and how far ours is from it."""
    (_, people, *_), *others = published.ON_FER2013
    theirs = {who: accuracy for who, accuracy, part, *_ in others if part == "PrivateTest"}
    said = [
        f"{who} has {accuracy} (the {model} network "
        f"{present.points(entry['accuracy']['mean'] - float(accuracy.split()[0]) / 100)} points)"
        for who, accuracy in theirs.items()
        for model, entry in report["models"].items()
    ]
    return f"On the same images {present.listed(said)}; people are cited with {people}."


def _studies(found):
    parts = []
    for name, study in found.items():
        parts.append(f"### {study['question']}")
        parts.append(present.markdown(study_report.variants_table(study)))
        command = f"dvc repro studies/dvc.yaml:report@{name}"
        parts.append(
            f"{present.TITLES[study['dataset']]}. {study_report.findings(study)} Command: `{command}`; "
            f"notebook: {_notebook(name)}."
        )
    return ["## Studies", STUDIES, *parts] if parts else []


def departures(report):
    """What the trainings on FERGIT leave out of the paper's recipe, in a sentence; empty for nothing."""
    training = _training("fergit", report, next(iter(report["models"])))
    left_out = ["without the class weights of p. 81"] if training["train"]["class_weights"] == "none" else []
    rates = training["network"]["dropout"]
    if isinstance(rates, list) and not all(rates):
        left_out.append("without a dropout after each pair (p. 75, of the basic network)")
    if not left_out:
        return ""
    return (
        f"Trained {present.listed(left_out)}, for [reasons](REPLICATION.md#the-recipe-on-fergit) that studies of ten "
        "epochs give; whole trainings with them were not tried."
    )


def _training(dataset, report, model):
    """training.json of a network's first seed."""
    seed = report["models"][model]["seeds"][0]
    return metrics.read_trainings(dataset, model, [seed])[seed]


def _history(dataset, model, report):
    """history.csv of a network's first seed."""
    seed = report["models"][model]["seeds"][0]
    columns = ("epoch", "accuracy", "val_accuracy", "learning_rate")
    remedy = f"`dvc repro -f train@{dataset}-{model}-{seed}` writes it again"
    return read_table(paths.results(dataset, model, seed) / "history.csv", columns, remedy)


def _before_the_fall(report):
    """That the networks on FERGIT keep an epoch from before the rate fell; empty where one does not."""
    said = []
    for model in report["models"]:
        best, history = _training("fergit", report, model)["best_epoch"], _history("fergit", model, report)
        fallen = history.loc[history["learning_rate"] < history["learning_rate"].iloc[0], "epoch"]
        if fallen.empty or best >= fallen.iloc[0]:
            return ""
        said.append(f"{model} {best}, fall in {fallen.iloc[0]}")
    return f"The epochs that are kept lie before the rate falls ({'; '.join(said)}): the lower rate bettered none."


def _recipe(found, reports):
    """FERGIT's recipe, argued from the studies; nothing where one was not run, or FERGIT was trained by another."""
    asked = (
        ("class-weights", "balanced"),
        ("class-weights", "none"),
        ("dropout", "0.0"),
        ("batch-normalization", "per_conv"),
        ("poolings", "4"),
    )
    rows = {
        (name, row["variant"]): row
        for name, study in found.items()
        for row in study["variants"]
        if row["network"] == "residual"
    }
    report = reports.get("fergit", {"models": ()})
    if "residual" not in report["models"] or not rows.keys() >= set(asked) or not departures(report):
        return []
    balanced, unweighted, undropped, per_conv, four_poolings = (rows[key] for key in asked)

    def right(row):
        return f"{present.percent(row['training'])} and {present.percent(row['validation'])}"

    def gain(row):
        return f"{present.points(row['validation'] - unweighted['validation'])} points"

    theirs = [present.percent(one, 0) for one in (published.RESIDUAL_TRAIN_ACCURACY, published.TABLE_3["accuracy"])]
    training = _training("fergit", report, "residual")
    history = _history("fergit", "residual", report)
    early = history[history["epoch"] <= 10].nlargest(1, "val_accuracy").iloc[0]
    early = right({"training": early["accuracy"], "validation": early["val_accuracy"]})
    highest, kept = (present.percent(training[name]) for name in ("highest_train_accuracy", "train_accuracy_at_best"))
    return [
        "### The recipe on FERGIT",
        "The paper weighs the classes by a formula that could not be read (p. 81), has a dropout after each pair "
        '(p. 75, of the basic network) and a rate of 0.3 "in the early layers" (p. 78). We first took that for '
        f"balanced weights and 0.3 after five pairs. The best of ten epochs then names {right(balanced)} of the "
        f"training and validation images rightly; without weights it is {right(unweighted)}, without that dropout too "
        f"{right(undropped)}. (Training accuracy is measured with dropout at work.) The paper has {theirs[0]} of the "
        f"training and {theirs[1]} of the test images (p. 82). Balanced weights name disgust more often than its "
        "tables do; without weights ten epochs hardly name it, and whole trainings come much nearer to the tables "
        "(contradiction 12). So FERGIT is trained "
        "without class weights, against p. 81, and with 0.3 after the first pair alone, against p. 75: the least that "
        f'"in the early layers" can mean. The best of the first ten epochs has {early} then; training accuracy gets to '
        f"{highest}, and is {kept} in the epoch that is kept. {_before_the_fall(report)}".rstrip(),
        "Normalization and poolings stay as the parameter count and the text have them. With the first dropout, "
        f"normalizing after each convolution gains {gain(per_conv)} of the validation images in ten epochs, but the "
        "paper's number of parameters is then that of the trainable ones alone (`network.batch_normalization: "
        f"per_conv` tries it). Four poolings gain {gain(four_poolings)} and leave no weight idle; but the text has "
        "six, and an epoch takes longer.",
    ]


def _notebook(study, title="study"):
    return f"[{title}](results/studies/{study}/05-study.ipynb)"


def _leaks():
    """What copies across parts, sources and labels do to the accuracy, by data set."""
    parts = []
    for dataset in REAL:
        found = read_leaks(dataset)
        if found:
            said = (leaks.copies_findings(found), leaks.sources_findings(found), leaks.labels_findings(found))
            parts += [f"### {present.TITLES[dataset]}", *filter(None, said)]
            command = f"dvc repro studies/dvc.yaml:leaks@{dataset}"
            parts.append(f"Command: `{command}`; notebook: [leaks](results/leaks/{dataset}/06-leaks.ipynb).")
    return ["## Leaks and labels", *parts] if parts else []


def read_leaks(dataset):
    """metrics.json of a data set's leaks; None where they were not measured."""
    file = paths.leaks(dataset) / "metrics.json"
    remedy = f"`dvc repro -f studies/dvc.yaml:leaks@{dataset}` writes it again"
    return read_json(file, LEAKS, remedy) if file.exists() else None


def _gradcam():
    """Which parts of the face the labels come from, by data set."""
    parts = []
    for dataset in REAL:
        file = paths.gradcam(dataset) / "metrics.json"
        if file.exists():
            remedy = f"`dvc repro -f studies/dvc.yaml:gradcam@{dataset}` writes it again"
            found = read_json(file, GRADCAM, remedy)
            filled(found["sizes"], file, "sizes", remedy)
            parts += [f"### {present.TITLES[dataset]}", f"{gradcam.findings(found)} {_regions(found)}"]
            notebook = f"[maps](results/gradcam/{dataset}/08-gradcam.ipynb)"
            parts.append(f"Command: `dvc repro studies/dvc.yaml:gradcam@{dataset}`; notebook: {notebook}.")
    return ["## Where the labels come from", WHERE, *parts] if parts else []


def _regions(found):
    """How the regions fare at the other sizes of map, for at the smallest one they share positions."""
    areas = {name: area for name, area in found["area"].items() if name != "all"}
    sizes = [
        f"at {size['positions']}x{size['positions']}: "
        + ", ".join(f"{name} {size['share'][name] / area:.1f}" for name, area in areas.items())
        for size in found["sizes"][1:]
    ]
    coarse = f"{found['sizes'][0]['positions']}x{found['sizes'][0]['positions']}"
    return f"At {coarse} the regions share positions; more finely it is {'; '.join(sizes)}." if sizes else ""


def read_studies():
    """metrics.json of each study that was run, in the order of studies/params.yaml."""
    found = {}
    for name in params.read(paths.STUDIES)["studies"]:
        file = paths.study(name) / "metrics.json"
        if file.exists():
            remedy = f"`dvc repro -f studies/dvc.yaml:report@{name}` writes it again"
            found[name] = read_json(file, STUDY, remedy)
            filled(found[name]["variants"], file, "variants", remedy)
            parts = [(part, "draws", DRAWS) for part in dict(found[name]["draws"]).values()]
            if found[name]["networks"]:
                parts.append((found[name]["networks"], "networks", NETWORKS))
            for part, what, keys in parts:
                if missing := [key for key in keys if key not in part]:
                    raise FergitError(f"{paths.relative(file)}: {what} without {missing[0]!r}; {remedy}")
    return found


def filled(rows, file, what, remedy):
    """Refuse a file that lacks the rows, or entries of a list, that it is read for; returns them."""
    if not len(rows):
        raise FergitError(f"{paths.relative(file)}: has no {what}; {remedy}")
    return rows


def _contradictions(reports, studies):
    measured = {
        claim["id"]: f"{claim['metric']}, {claim['network']}: {present.percent(claim['ours'])}"
        for report in reports.values()
        for claim in report["claims"]
        if claim["ours"] is not None
    }
    idle = _idle_weights()
    if idle:
        measured["idle-weights"] = f"with five, {idle} never receive a gradient"
    if "residual" in studies.get("ckplus-frames", {"draws": ()})["draws"]:
        draws = studies["ckplus-frames"]["draws"]["residual"]
        contempt = draws["recalls"]["contempt"]
        measured["ckplus-frames"] = (
            f"over {present.counted(draws['draws'], 'random split')}: {present.percent(contempt['right'])} of "
            f"{contempt['tests']} tests ({_notebook('ckplus-frames')})"
        )
    if "class-weights" in studies:
        times = study_report.named_times(studies["class-weights"], "residual")
        if times:
            measured["class-weights"] = f"disgust, for each that is: {times} ({_notebook('class-weights')})"
    if "class-weights" in measured and "fergit" in reports:
        trained = [_disgust_on_fergit(model) for model in reports["fergit"]["models"]]
        measured["class-weights"] += f"; as FERGIT is trained above: {present.listed(trained)}"
    rows = [
        (
            str(number),
            one.statement,
            one.page,
            one.finding,
            "; ".join(measured[claim] for claim in one.claims if claim in measured) or "–",
        )
        for number, one in enumerate(published.CONTRADICTIONS, start=1)
    ]
    columns = ["", "the paper says", "page", "against it", "ours"]
    return ["## The paper's contradictions", present.markdown(pd.DataFrame(rows, columns=columns))]


def _idle_weights():
    """How many weights of the residual network meet only padding; empty where it was not counted."""
    file = paths.results("reconstruction") / "tables" / "idle-weights.csv"
    if not file.exists():
        return ""
    columns = ("poolings", "network", "only meet padding", "parameters", "share")
    remedy = "`dvc repro -f reconstruction` writes it again"
    found = read_table(file, columns, remedy).query("poolings == 5 and network == 'residual'")
    row = filled(found, file, "row of the residual network with 5 poolings", remedy).iloc[0]
    return f"{row['only meet padding']:,} of {row['parameters']:,} weights ({row['share']})"


def _disgust_on_fergit(model):
    """How often a network names an image of FERGIT's test part disgust, for each that is."""
    predictions = metrics.read_predictions(paths.results("fergit", model) / "predictions.csv")
    times = metrics.named_per_image(predictions)["disgust"]
    return f"{times:.2f} times ({model}, [evaluation](results/fergit/{model}/03-evaluate.ipynb))"


def read_runs(path):
    """What each training of a file under runs/ cost: list of dict.

    Raises
    ------
    FergitError
        It is no such file.
    """
    remedy = f"`git checkout {paths.relative(path)}`, or delete it"
    several = path.parent.name == "studies"
    found = read_json(path, ("seconds", "device", "cpus", "backend"), remedy, several)
    return filled(found if several else [found], path, "trainings", remedy)


def _compute():
    rows = []
    for file in sorted(paths.RUNS.rglob("*.json")):
        what = file.relative_to(paths.RUNS).with_suffix("").parts
        if what[0] == "synthetic":
            continue
        runs = read_runs(file)
        rows.append(
            (
                ", ".join(part.replace("-", " ") for part in what),
                str(len(runs)),
                f"{sum(one['seconds'] for one in runs) / 3600:.1f}",
                f"{runs[0]['device']}, {runs[0]['cpus']} cores",
                runs[0]["backend"],
            )
        )
    if not rows:
        return []
    columns = ["trainings of", "number", "hours in all", "on", "backend"]
    shared = (
        "Hours by the clock, whatever else ran on the machine. A training that several studies share counts in each of "
        "them."
    )
    return ["## Compute used", present.markdown(pd.DataFrame(rows, columns=columns)), shared]


def _not_run(reports, found):
    """What is defined here and has no result yet, with the line that gives it one."""
    lines = [
        f"- {present.TITLES[dataset]}: `dvc repro` with `datasets: [{dataset}]` in params.yaml."
        for dataset in REAL
        if dataset not in reports
    ]
    lines += [
        f"- {present.TITLES[dataset]}, the {model} network: `dvc repro` with `datasets: [{dataset}]` and "
        f"`models: [{', '.join(PAIR)}]` in params.yaml."
        for dataset, report in reports.items()
        for model in PAIR
        if model not in report["models"]
    ]
    lines += [
        f"- {present.TITLES[dataset]}, further seeds: `dvc repro` with `datasets: [{dataset}]` and "
        "`seeds: [0, 1, 2, 3, 4]` in params.yaml."
        for dataset, report in reports.items()
        if len(_seeds(report)) == 1
    ]
    if "fergit" in reports and departures(reports["fergit"]):
        lines += [f"- FERGIT, {what}: `dvc repro` with `datasets: [fergit]` and {value}." for what, value in UNTRIED]
    lines += [
        f"- {present.TITLES[dataset]}, the paper's {published.RECIPE['train.epochs']} epochs: the same with "
        f"`train.epochs: {published.RECIPE['train.epochs']}` for `{dataset}`."
        for dataset, report in reports.items()
        if any(entry["epochs_short"] for entry in report["models"].values())
    ]
    lines += [
        f"- {entry['question']} `dvc repro studies/dvc.yaml:report@{name}`, with `datasets: [{entry['dataset']}]`"
        for name, entry in params.read(paths.STUDIES)["studies"].items()
        if name not in found
    ]
    lines += [
        f"- What do copies, sources and labels do to the accuracy on {present.TITLES[dataset]}? "
        f"`dvc repro studies/dvc.yaml:leaks@{dataset}`, after `dvc repro` with `datasets: [{dataset}]`"
        for dataset in REAL
        if not (paths.leaks(dataset) / "metrics.json").exists()
    ]
    lines += [
        f"- Do the labels on {present.TITLES[dataset]} come from mouth, nose, eyes and brows? "
        f"`dvc repro studies/dvc.yaml:gradcam@{dataset}`, after `dvc repro` with `datasets: [{dataset}]`"
        for dataset in REAL
        if not (paths.gradcam(dataset) / "metrics.json").exists()
    ]
    return ["## What was not run", "\n".join(lines)] if lines else []
