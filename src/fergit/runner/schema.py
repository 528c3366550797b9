"""What params.yaml and studies/params.yaml may hold; a wrong value is refused in one line, before any stage runs."""

import copy
import difflib
import math
import re
import reprlib
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.params import LONGEST, merge, plain, read, tracked_params

SHOWN = reprlib.Repr()  # of a value in a message: aliases of aliases can make a few lines of YAML gigabytes long
SHOWN.maxstring = SHOWN.maxother = 80


def _each_once(entries):
    for entry in entries:
        if entries.count(entry) > 1:
            raise ValueError(f"{_shown(entry)} stands there twice; allowed: each once")
    return entries


def _rates(rates):
    several = rates if isinstance(rates, list) else [rates] * 5
    if len(several) != 5 or not all(type(rate) in (int, float) and 0 <= rate < 1 for rate in several):
        raise ValueError(f"{_shown(rates)} is no dropout; allowed: 0 to below 1, or a list of five of that")
    return rates


Dataset = Literal["synthetic", "fer2013", "fergit", "ckplus"]
Network = Literal["basic", "residual"]
Seed = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
EachOnce = AfterValidator(_each_once)
Several = Field(min_length=1, max_length=1000)

TRAINING = ("network", "augmentation", "train")  # the sections that decide a training, beside the data set's own
UNKNOWN = ("extra_forbidden", "invalid_key")  # pydantic's words for a key that it does not know
ALLOWED = {  # where pydantic's words are those of Python
    "list_type": "a list, such as [a, b]",
    "dict_type": "a section of lines `key: value`",
    "model_type": "a section of lines `key: value`",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "finite_number": "a number",
}
RAREST = 547 / 35_887  # share of disgust among drawn faces, as in FER2013
FIXED = ("train.device", "train.distribution")  # of a process, once it computes


class Section(BaseModel):
    """A block of params.yaml: every key is known and every value has its type, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DrawParams(Section):
    images: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: Seed


class FetchParams(Section):
    download: bool
    draw: DrawParams


class NetworkParams(Section):
    batch_normalization: Literal["reconstructed", "per_conv", "literal"]
    first_kernels: Annotated[list[Literal[3, 5, 7]], Field(min_length=2, max_length=2)]
    poolings: Annotated[int, Field(ge=0, le=6)]
    dropout: Annotated[object, AfterValidator(_rates)]
    dropout_last: Rate
    batch_norm_momentum: Share


class AugmentationParams(Section):
    horizontal_flip: bool
    rotation: Annotated[float, Field(ge=0, le=180)]
    shear: Annotated[float, Field(ge=0, le=45)]
    shift: Rate
    zoom: Rate
    interpolation: Literal["linear", "cubic"]
    sharp: Annotated[float, Field(ge=0, le=1)]
    erasing: Annotated[float, Field(ge=0, le=1)]
    light: Rate
    contrast: Rate
    blur: Annotated[float, Field(ge=0, le=10)]
    noise: Rate


class ReduceLrParams(Section):
    patience: Count
    factor: Share
    min_lr: Annotated[float, Field(ge=0)]


class TrainParams(Section):
    epochs: Count
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    beta_1: Rate
    beta_2: Rate
    class_weights: Literal["none", "log", "balanced"]
    schedule: Literal["plateau", "cosine"]
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)]
    reduce_lr: ReduceLrParams
    early_stopping_patience: Count
    label_smoothing: Rate
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    ema: Rate
    clean_statistics: Annotated[int, Field(ge=0, le=10_000)]
    copies_per_epoch: Annotated[int, Field(ge=1, le=1000)]
    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["float32", "mixed_bfloat16", "auto"]
    distribution: Literal["none", "data_parallel"]


class PredictParams(Section):
    mirror: bool


class EvaluateParams(Section):
    confidence_level: Annotated[float, Field(ge=0.5, lt=1)]
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)]
    calibration_bins: Annotated[int, Field(ge=2, le=100)]


class OfficialSplit(Section):
    seed: Seed
    leave_out_copies: bool


class StratifiedSplit(Section):
    held_out: Share
    seed: Seed


class FergitSplit(StratifiedSplit):
    rule: Literal["sklearn-0.24", "sklearn"]
    leave_out_copies: bool


class CkplusSplit(StratifiedSplit):
    protocol: Literal["frames", "subjects"]
    validation: Share
    folds: Annotated[int, Field(ge=3, le=100)]
    fold: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _fold_exists(self):
        if self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold}; allowed: 0 to folds - 1, that is {self.folds - 1}")
        return self


class DatasetParams(Section):
    split: StratifiedSplit
    overrides: dict[Literal["network", "augmentation", "train"], dict]


class Fer2013Params(DatasetParams):
    split: OfficialSplit


class FergitParams(DatasetParams):
    split: FergitSplit


class CkplusParams(DatasetParams):
    split: CkplusSplit


class Params(Section):
    """All of params.yaml."""

    datasets: Annotated[list[Dataset], Field(min_length=1), EachOnce]
    models: Annotated[list[Network], Field(min_length=1), EachOnce]
    seeds: Annotated[list[Seed], Several, EachOnce]
    fetch: FetchParams
    network: NetworkParams
    augmentation: AugmentationParams
    train: TrainParams
    predict: PredictParams
    evaluate: EvaluateParams
    synthetic: DatasetParams
    fer2013: Fer2013Params
    fergit: FergitParams
    ckplus: CkplusParams

    @model_validator(mode="after")
    def _enough_is_drawn(self):
        """Or stage preprocess might refuse, once DVC has deleted its results."""
        images, share = self.fetch.draw.images, self.synthetic.split.held_out
        if "synthetic" in self.datasets and images * RAREST * min(share / 2, 1 - share) < 1:
            raise ValueError(
                f"fetch.draw.images is {images} and synthetic.split.held_out is {share}, which may leave a part with "
                f"no image of disgust; allowed: a share of 0.2 from {math.ceil(2 / RAREST / 0.2)} images, for example"
            )
        return self


def _is_plain(value):
    """Not deeper: comparing lists of lists of lists may never end."""
    if isinstance(value, dict) or isinstance(value, list) and any(isinstance(entry, (list, dict)) for entry in value):
        raise ValueError(f"{_shown(value)} is nested; allowed: a number, a word or a list of them")
    return value


Value = Annotated[Any, AfterValidator(_is_plain)]


class StudyParams(Section):
    question: str
    dataset: Dataset
    models: Annotated[list[Network], Field(min_length=1), EachOnce]
    seeds: Annotated[list[Seed], Several, EachOnce]
    set: dict[str, Value]
    vary: str
    values: Annotated[list[Value], Several, EachOnce]

    @model_validator(mode="after")
    def _varies(self):
        if self.vary in self.set:
            raise ValueError(f"{self.vary} stands in both set and vary; allowed: one of them")
        return self


def _names_a_folder(name):
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise ValueError("no name of a study; allowed: up to 64 of a-z, 0-9, _ and -")
    return name


class StudiesParams(Section):
    """All of studies/params.yaml."""

    studies: dict[Annotated[str, AfterValidator(_names_a_folder)], StudyParams]


def load_params(path=None):
    """Read and check params.yaml (or `path`): all of it, each data set's overrides too.

    Raises
    ------
    FergitError
        No such file, no YAML, or a value that is not allowed: names the key, the value and what is allowed.
    """
    path = path or paths.PARAMS
    values = read(path)
    _check(values, paths.relative(path))
    return values


def load_studies():
    """Read and check studies/params.yaml: studies by name, each a dict of `StudyParams`. Raises as `load_params`."""
    values, name = read(paths.STUDIES), paths.relative(paths.STUDIES)
    try:
        StudiesParams.model_validate(values)
    except ValidationError as error:
        first = _first(error)
        model = StudyParams if len(first["loc"]) > 1 else StudiesParams
        raise FergitError(f"{name}: {_explain(first, first['loc'], model)}") from None
    return values["studies"]


def load_study(name):
    """A study of studies/params.yaml: the dict of `StudyParams`, and the parameters of its trainings by value.

    The parameters are what DVC tracks for the study, with the study's values in their place; by ``str(value)``.

    Raises
    ------
    FergitError
        There is no such study, or a key or value is not one that params.yaml allows.
    """
    known, params = load_studies(), load_params()
    if name not in known:
        raise FergitError(f"study: no {name!r} in studies/params.yaml; there are {', '.join(known)}")
    study = known[name]
    tracked = tracked_params("studies/dvc.yaml:train", name=name)
    variants = {}
    for value in study["values"]:
        changed = _with(params, study["set"] | {study["vary"]: value}, study["dataset"], f"studies/params.yaml: {name}")
        variants[str(value)] = {section: changed[section] for section in tracked if section != "studies"}
    return study, variants


def check_studies():
    """Check every study with every value; raises as `load_study`."""
    for name in load_studies():
        load_study(name)


def _with(params, changes, dataset, name):
    """All of params.yaml with some values changed that decide a training, checked; `name` is for the message."""
    values = copy.deepcopy(params)
    for key, value in changes.items():
        *parents, last = key.split(".")
        section, own = values, values[dataset]["overrides"]
        for parent in parents:
            section, own = (level.get(parent) if isinstance(level, dict) else None for level in (section, own))
        known = isinstance(section, dict) and last in section and parents and parents[0] in (*TRAINING, dataset)
        if not known:
            allowed = f"those of {', '.join(TRAINING)} and {dataset}"
            raise FergitError(f"{name}: unknown key {plain(key)}; allowed: {allowed}")
        if key in FIXED:
            raise FergitError(f"{name}: {key} cannot differ within a study; set it in params.yaml")
        section[last] = value
        if isinstance(own, dict) and last in own:
            own[last] = value  # or the data set's own block would win
    _check(values, name)
    return values


def _check(values, name):
    where = ()
    try:
        params = Params.model_validate(values)
        for dataset in Dataset.__args__:
            for section, changes in getattr(params, dataset).overrides.items():
                where = (dataset, "overrides", section)
                Params.model_fields[section].annotation.model_validate(merge(values[section], changes))
    except ValidationError as error:
        first = _first(error)
        raise FergitError(f"{name}: {_explain(first, (*where, *first['loc']))}") from None


def _first(error):
    """The error to tell of: a misspelt key is an unknown one and a missing one; the unknown one names the culprit."""
    return min(error.errors(), key=lambda found: found["type"] not in UNKNOWN)


def _explain(error, where, model=None):
    """One line for a pydantic error: the key, the value, what is allowed."""
    unknown = error["type"] in UNKNOWN or error["type"] == "literal_error" and where[-1] == "[key]"
    where = [part for part in where if part != "[key]"]
    key = plain(".".join(map(str, where)))
    if unknown:
        known = list(model.model_fields) if model else _known_keys(where[:-1])
        near = difflib.get_close_matches(str(where[-1])[:LONGEST], known, 1, 0.5)
        return f"unknown key {key}; " + (f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known)}")
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "value_error":
        said = plain(str(error["ctx"]["error"]))
        return f"{key}: {said}" if key else said
    if error["type"] in ("too_short", "too_long"):
        bound = error["ctx"].get("min_length") or error["ctx"]["max_length"]
        allowed = f"at {'least' if error['type'] == 'too_short' else 'most'} {bound} of them"
    else:
        allowed = ALLOWED.get(error["type"], error["msg"].removeprefix("Input should be "))
    return f"{key} is {_shown(error['input'])}; allowed: {allowed}"


def _shown(value):
    """A value as YAML has it, short."""
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    try:
        return plain(SHOWN.repr(value))
    except ValueError:  # Python writes out no number of more than 4,300 digits
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"


def _known_keys(where):
    model = Params
    for part in where:
        model = Params if part == "overrides" else model.model_fields[part].annotation
    return list(TRAINING if where and where[-1] == "overrides" else model.model_fields)
