"""The parameters of a study's trainings: params.yaml with the study's values in their place."""

import copy

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.params import plain, tracked_params
from fergit.runner.schema import TRAINING, check, load_params, load_studies

FIXED = ("train.device", "train.distribution")  # of a process, once it computes
SAME_TESTS = ("validation", "leave_out_copies")  # of a split, they leave the test images what they are


def load_study(name):
    """A study of studies/params.yaml: the dict of `StudyParams`, and the parameters of its trainings by ``str(value)``.

    The parameters are what DVC tracks for the study, with the study's values in their place. An error is an unknown
    study, or a key or value that params.yaml does not allow.
    """
    known = load_studies()
    if name not in known:
        raise FergitError(f"study: no {name!r} in studies/params.yaml; there are {', '.join(known)}")
    given = load_params()
    read = {paths.PARAMS: given, paths.STUDIES: {"studies": known}}
    tracked = tracked_params("studies/dvc.yaml:train", read, name=name)
    variants = {
        value: {section: params[section] for section in tracked if section != "studies"}
        for value, params in _variants(given, name, known[name]).items()
    }
    return known[name], variants


def check_studies():
    """Check params.yaml, and every study with every value; raises as `load_study`."""
    params = load_params()
    for name, study in load_studies().items():
        _variants(params, name, study)


def _variants(params, name, study):
    """All of params.yaml as a study changes it, by ``str(value)`` of its values, each checked."""
    named, where, variants = isinstance(study["values"], dict), f"studies/params.yaml: {name}", {}
    harmless = SAME_TESTS if named else (*SAME_TESTS, "seed", "fold")  # a study of splits averages over the latter
    for value in study["values"]:
        varied = study["values"][value] if named else {study["vary"]: value}
        for key in varied:
            section, _, last = key.rpartition(".")
            if section == f"{study['dataset']}.split" and last not in harmless:
                raise FergitError(f"{where}: {key} cannot vary, for the variants would be tested on different images")
        variants[str(value)] = _changed(params, study["set"] | varied, study["dataset"], where)
    return variants


def _changed(params, changes, dataset, name):
    """A copy of params.yaml with other values, by their names such as ``train.epochs``; `name` begins the message."""
    values, sections = copy.deepcopy(params), (*TRAINING, "predict", dataset)
    for key, value in changes.items():
        *parents, last = key.split(".")
        section, own = values, values[dataset]["overrides"]
        for parent in parents:
            section, own = (level.get(parent) if isinstance(level, dict) else None for level in (section, own))
        if not (isinstance(section, dict) and last in section and parents and parents[0] in sections):
            allowed = f"those of {', '.join(sections[:-1])} and {dataset}"
            raise FergitError(f"{name}: unknown key {plain(key)}; allowed: {allowed}")
        if key in FIXED or parents[:2] == [dataset, "images"]:  # images are what `fetch` has brought
            raise FergitError(f"{name}: {key} cannot be set by a study; set it in params.yaml")
        section[last] = value
        if isinstance(own, dict) and last in own:
            own[last] = value  # or the data set's own block would win
    check(values, name)
    return values
