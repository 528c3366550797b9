"""What templates may name: everything under results/ that a page could want, each number by its place in its file.

``reports.DATASET`` is a report.json, its claims by their ids; ``studies["NAME"]``, ``leaks.DATASET`` and
``gradcam.DATASET`` are the metrics.json of these, without studies of which a training failed; ``first`` is what an
earlier version measured, by folder: ``first.fergit.residual``; ``persons.NETWORK`` is what a network loses on CK+ when
the persons are new; ``trained(DATASET, NETWORK)`` is what a report says of a network, or None.
"""

from fergit.analysis import studies
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_json
from fergit.core.params import read
from fergit.pages import tables_pages, tables_studies
from fergit.pages.present import TITLES, confidence, markdown
from fergit.pages.tables_pages import FRAMES, SUBJECTS
from fergit.paper import published

LEVEL = 0.95  # of the intervals, as the templates say
REPORT = ("models", "claims", "comparison", "confidence_level")  # keys that are read
STUDY = ("question", "dataset", "paper", "variants", "draws", "networks", "against_first", "claims", "confidence_level")


def collect():
    """All values, as a dict of dicts; FergitError names a damaged file, and the command that writes it again."""
    reports, found, defined = read_reports(), read_studies(), read(paths.STUDIES)["studies"]
    if "ckplus" in reports and (by_splits := found.get(FRAMES, {"claims": []})["claims"]):
        reports["ckplus"]["claims"] = _by_id(by_splits)  # ten splits say more than one
    claims = {name: claim for report in reports.values() for name, claim in report["claims"].items()}
    known = {claim.id for claim in published.CLAIMS}

    def ours(*ids):
        """Our numbers of some claims, in percent; a dash where there are none yet."""
        if unknown := set(ids) - known:
            raise FergitError(f"the paper has no claim {min(unknown)!r}")
        return ", ".join(tables_pages.number(claims[name], "ours") for name in ids if name in claims) or "–"

    fergit = reports.get("fergit")
    sound = {name: study for name, study in found.items() if not any(row["failed"] for row in study["variants"])}
    replicated = {name: report for name, report in reports.items() if name in TITLES}  # without the user's own data

    def trained(dataset, model):
        """What the report of a data set says of a network; None where there is none, or a training of it failed."""
        entry = reports.get(dataset, {"models": {}})["models"].get(model)
        return None if entry is None or entry["failed_seeds"] else entry

    return {
        "reports": reports,
        "trained": trained,
        "fergit": fergit if fergit and fergit["comparison"] else None,  # with both networks
        "studies": sound,
        "measured": list(found),  # their names, with those of which a training failed
        "defined": defined,
        "leaks": _read("leaks/*/metrics.json", ("confidence_level",), "`dvc repro -f studies/dvc.yaml:leaks@{}`"),
        "gradcam": _read("gradcam/*/metrics.json", ("confidence_level",), "`dvc repro -f studies/dvc.yaml:gradcam@{}`"),
        "first": _first_reading(),
        "persons": _persons(sound, read(paths.PARAMS)["evaluate"] | {"confidence_level": LEVEL}),
        "ours": ours,
        "table": {
            "headline": tables_pages.headline(replicated, found),
            "claims": tables_pages.claims(reports),
            "compute": tables_pages.compute(defined),
            "studies": markdown(tables_studies.overview(found)),
        },
    }


def read_studies():
    """metrics.json of each study that has one, by name, in the order of studies/params.yaml."""
    remedy = "`dvc repro -f studies/dvc.yaml:report@{}`"
    return _read("studies/*/metrics.json", STUDY, remedy, read(paths.STUDIES)["studies"])


def read_reports():
    """report.json by data set, in the order of `TITLES` and then those of the user's own, with claims by id."""
    reports = _read("reports/*/report.json", REPORT, "`dvc repro -f report@{}`", TITLES)
    return {dataset: report | {"claims": _by_id(report["claims"])} for dataset, report in reports.items()}


def _by_id(claims):
    return {claim["id"]: claim for claim in claims}


def _read(pattern, keys, remedy, first=()):
    """The files of results with this pattern, by the name of their folder: those of `first` before the others."""
    files = {path.parent.name: path for path in sorted(paths.RESULTS.glob(pattern))}
    names = sorted(files, key=lambda name: [*first, name].index(name))
    found = {name: read_json(files[name], keys, remedy.format(name)) for name in names}
    for name, entry in found.items():
        if "confidence_level" in keys and entry["confidence_level"] != LEVEL:
            own, wanted = confidence(entry["confidence_level"]), confidence(LEVEL)
            has = f"its intervals are of {own}, and the pages speak of {wanted}"
            remedy = f"set evaluate.confidence_level: {LEVEL} in params.yaml, and {remedy.format(name)}"
            raise FergitError(f"{paths.relative(files[name])}: {has}; {remedy}")
    return found


def _first_reading():
    """metrics.json of an earlier version, by the two folders it lies in; ``training`` is training.json beside it."""
    found = {}
    for path in sorted((paths.RESULTS / "first-reading").glob("*/*/metrics.json")):
        remedy = "`git checkout results/first-reading` brings it back"
        training = path.with_name("training.json")
        about = {"training": read_json(training, (), remedy)} if training.exists() else {}
        found.setdefault(path.parts[-3], {})[path.parts[-2]] = read_json(path, (), remedy) | about
    return found


def _persons(found, evaluate):
    """By network the difference of its accuracies on new and on known persons, with its interval over persons."""
    frames, subjects = (found.get(name, {"draws": {}})["draws"] for name in (FRAMES, SUBJECTS))
    both = {name: (frames[name], subjects[name]) for name in frames.keys() & subjects.keys()}
    return {
        name: dict(zip(("difference", "low", "high"), studies.between(*pair, evaluate), strict=True))
        for name, pair in both.items()
    }
