"""The parameters of a study's trainings: params.yaml with the study's values in their place."""

import copy

from fergit.core.errors import FergitError
from fergit.core.params import plain, tracked_params
from fergit.runner.schema import TRAINING, check, load_params, load_studies

FIXED = ("train.device", "train.distribution")  # of a process, once it computes


def load_study(name):
    """A study of studies/params.yaml: the dict of `StudyParams`, and the parameters of its trainings by ``str(value)``.

    The parameters are what DVC tracks for the study, with the study's values in their place.

    Raises
    ------
    FergitError
        There is no such study, or a key or value is not one that params.yaml allows.
    """
    known = load_studies()
    if name not in known:
        raise FergitError(f"study: no {name!r} in studies/params.yaml; there are {', '.join(known)}")
    tracked = tracked_params("studies/dvc.yaml:train", name=name)
    variants = {
        value: {section: params[section] for section in tracked if section != "studies"}
        for value, params in _variants(load_params(), name, known[name]).items()
    }
    return known[name], variants


def check_studies():
    """Check params.yaml, and every study with every value; raises as `load_study`."""
    params = load_params()
    for name, study in load_studies().items():
        _variants(params, name, study)


def _variants(params, name, study):
    """All of params.yaml as a study changes it, by ``str(value)`` of its values, each checked."""
    name, dataset = f"studies/params.yaml: {name}", study["dataset"]
    variants = {}
    for value in study["values"]:
        values = variants[str(value)] = copy.deepcopy(params)
        own = study["values"][value] if isinstance(study["values"], dict) else {study["vary"]: value}
        for key, changed in (study["set"] | own).items():
            *parents, last = key.split(".")
            section, overrides = values, values[dataset]["overrides"]
            for parent in parents:
                section, overrides = (
                    level.get(parent) if isinstance(level, dict) else None for level in (section, overrides)
                )
            known = (
                isinstance(section, dict)
                and last in section
                and parents
                and parents[0] in (*TRAINING, "predict", dataset)
            )
            if not known:
                allowed = f"those of {', '.join(TRAINING)}, predict and {dataset}"
                raise FergitError(f"{name}: unknown key {plain(key)}; allowed: {allowed}")
            if key in FIXED:
                raise FergitError(f"{name}: {key} cannot differ within a study; set it in params.yaml")
            section[last] = changed
            if isinstance(overrides, dict) and last in overrides:
                overrides[last] = changed  # or the data set's own block would win
        check(values, name)
    return variants
