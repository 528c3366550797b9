"""The named values that templates may use: every number under results/ and runs/ that a page could want.

A name is the place of a number in its file: ``fergit.residual.accuracy`` is the mean, with ``.interval`` and, over
several seeds, ``.sd`` behind it; ``fergit.gain.difference`` is the residual network less the basic one;
``fergit.leaks...`` and ``fergit.gradcam...`` come from the metrics.json of these, ``study.NAME...`` from those of the
studies, ``first...`` from what an earlier version measured, ``fergit.residual.training...`` from training.json (means
over the seeds). ``python -m fergit.pages.documents`` lists them all.
"""

from statistics import mean

from fergit.analysis import studies
from fergit.core import paths
from fergit.core.files import read_json
from fergit.pages.present import TITLES, points

PARTS = ("variant", "stratum", "network", "positions", "class", "id")  # what tells the entries of a list apart
PERSONS = ("ckplus-frames", "ckplus-subjects")  # the same networks on known and on new persons
LEFT_OUT = {"models", "networks", "mean", "0.95"}  # of names; 0.95 is the first threshold of near copies


def read_reports():
    """report.json by data set, in the order of `TITLES`."""
    keys, folder = ("models", "claims", "comparison"), paths.RESULTS / "reports"
    return {
        dataset: read_json(folder / dataset / "report.json", keys, f"`dvc repro -f report@{dataset}` writes it again")
        for dataset in TITLES
        if (folder / dataset / "report.json").exists()
    }


def read_studies():
    """metrics.json of each study that has one, by name."""
    keys = ("question", "dataset", "set", "vary", "variants", "draws", "networks", "against_first")
    return {
        path.parent.name: read_json(path, keys, f"`dvc repro -f studies/dvc.yaml:report@{path.parent.name}`")
        for path in sorted(paths.RESULTS.glob("studies/*/metrics.json"))
    }


def collect(reports, found, evaluate):
    """Values and verdicts.

    Parameters
    ----------
    reports, found : dict of str to dict
        Of `read_reports` and `read_studies`.
    evaluate : dict
        That section of params.yaml.

    Returns
    -------
    values : dict of str to str, int or float
    verdicts : dict of str to str
        Those of the claims, by their ids (``fergit.residual.recall-happy``); by study, network and variant, how that
        compares with the study's first variant (``study.fergit-poolings.residual.5``), and by study, how its second
        network compares with its first: ``higher``, ``lower`` or ``not significant``.
    """
    values, verdicts = {}, {}
    for dataset, report in reports.items():
        _flatten({name: report[name] for name in report if name not in ("claims", "comparison")}, dataset, values)
        if report["comparison"]:
            _flatten(report["comparison"], f"{dataset}.gain", values)
        for claim in report["claims"]:
            name = ".".join(claim["id"].split("-", 2))
            verdicts[name] = claim["verdict"]
            _flatten({key: claim[key] for key in ("paper", "ours")}, name, values)
        for model, entry in report["models"].items():
            _of_trainings(dataset, model, entry["seeds"], values)
    for kind in ("leaks", "gradcam"):
        for path in sorted(paths.RESULTS.glob(f"{kind}/*/metrics.json")):
            dataset = path.parent.name
            remedy = f"`dvc repro -f studies/dvc.yaml:{kind}@{dataset}`"
            _flatten(read_json(path, (), remedy), f"{dataset}.{kind}", values)
    for name, study in found.items():
        whole = {key: value for key, value in study.items() if key != "against_first"}
        _flatten(whole | {"against": study["against_first"]}, f"study.{name}", values)
        for row in study["against_first"]:
            ends = row["over_seeds"] or (row["low"], row["high"])
            verdicts[f"study.{name}.{row['network']}.{_part(row['variant'])}"] = _direction(*ends)
        if study["networks"]:
            verdicts[f"study.{name}"] = _direction(study["networks"]["low"], study["networks"]["high"])
    _persons(found, evaluate, values)
    _first_reading(values)
    return values, verdicts


def _flatten(node, name, values):
    """Put the numbers and texts below a node of JSON into `values`, each by its path."""
    if isinstance(node, dict):
        node = {key: value for key, value in node.items() if key != "by_person"}
        for key, value in node.items():
            _flatten(value, name if key in LEFT_OUT else f"{name}.{_part(key)}", values)
        if isinstance(node.get("low"), float) and isinstance(node.get("high"), float):
            values[f"{name}.interval"] = interval(node["low"], node["high"], "difference" in node)
    elif isinstance(node, list) and all(isinstance(entry, dict) for entry in node):
        for entry in node:
            parts = [_part(entry[key]) for key in PARTS if key in entry]
            _flatten(entry, ".".join([name, *parts]), values)
    elif isinstance(node, list):
        values[f"{name}.count"] = len(node)
    elif isinstance(node, int | float | str) and not isinstance(node, bool):
        values[name] = node


def _part(key):
    """A key of JSON as a part of a name."""
    return str(key).replace(" ", "-").lower()


def interval(low, high, is_difference=False):
    """The interval of a share or of a difference, as text: ``69.0–72.6`` or ``−0.8 to +2.8``."""
    return f"{points(low)} to {points(high)}" if is_difference else f"{100 * low:.1f}–{100 * high:.1f}"


def _direction(low, high):
    return "not significant" if low <= 0 <= high else "higher" if low > 0 else "lower"


def _of_trainings(dataset, model, seeds, values):
    """Means over the seeds of training.json and of what the trainings cost."""
    remedy = f"`dvc repro train@{dataset}-{model}-{seeds[0]}` writes it"
    trainings = [read_json(paths.results(dataset, model, seed) / "training.json", (), remedy) for seed in seeds]
    for name, value in trainings[0].items():
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "seed":
            # A count that differs between seeds stays a count.
            average = mean(training[name] for training in trainings)
            values[f"{dataset}.{model}.training.{name}"] = round(average) if isinstance(value, int) else average
    runs = [paths.run(dataset, model, seed) for seed in seeds]
    if dataset != "synthetic" and all(path.exists() for path in runs):
        costs = [read_json(path, ("seconds",), f"`git checkout {paths.relative(path)}`") for path in runs]
        values[f"{dataset}.{model}.training.minutes"] = round(mean(cost["seconds"] for cost in costs) / 60)


def _first_reading(values):
    """What an earlier version of this project measured, ``first.fergit.residual.accuracy`` and so on."""
    folder, remedy = paths.RESULTS / "first-reading", "`git checkout results/first-reading` brings it back"
    for path in sorted(folder.glob("*/*/metrics.json")):
        name, found = ".".join(["first", *path.parent.relative_to(folder).parts]), read_json(path, (), remedy)
        if path.parent.parent.name == "studies":
            _flatten(found["draws"], name, values)
        elif "accuracy" in found:
            values[f"{name}.accuracy"] = found["accuracy"]["mean"]
            values[f"{name}.accuracy.interval"] = interval(*found["accuracy"]["ci95"])


def _persons(found, evaluate, values):
    """What the networks lose on CK+ when the persons are new: ``persons.residual.difference`` and so on."""
    frames, subjects = (found.get(name, {"draws": {}})["draws"] for name in PERSONS)
    for network in subjects.keys() & frames.keys():
        both = frames[network], subjects[network]
        if not any(draws["failed"] for draws in both):
            found_here = studies.between(*both, evaluate)
            _flatten(dict(zip(("difference", "low", "high"), found_here, strict=True)), f"persons.{network}", values)
