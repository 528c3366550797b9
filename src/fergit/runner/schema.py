"""What params.yaml and studies/params.yaml may hold; a wrong value is refused in one line, before any stage runs."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.params import merge, read
from fergit.runner.messages import explain, shown


def _each_once(entries):
    for entry in entries:
        if entries.count(entry) > 1:
            raise ValueError(f"{shown(entry)} stands there twice; allowed: each once")
    return entries


def _rates(rates):
    several = rates if isinstance(rates, list) else [rates] * 5
    if len(several) != 5 or not all(type(rate) in (int, float) and 0 <= rate < 1 for rate in several):
        raise ValueError(f"{shown(rates)} is no dropout; allowed: 0 to below 1, or a list of five of that")
    return rates


Dataset = Literal["synthetic", "fer2013", "fergit", "ckplus", "fer2013_best", "fergit_best"]
Network = Literal["basic", "residual"]
Seed = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
EachOnce = AfterValidator(_each_once)
Several = Field(min_length=1, max_length=1000)

TRAINING = ("network", "augmentation", "train")  # the sections that decide a training, beside the data set's own
RAREST = 547 / 35_887  # share of disgust among drawn faces, as in FER2013


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

    @model_validator(mode="after")
    def _cosine_falls(self):
        if self.schedule == "cosine" and self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}; allowed: fewer than epochs, {self.epochs}")
        return self


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
    fer2013_best: Fer2013Params
    fergit_best: FergitParams
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
        raise ValueError(f"{shown(value)} is nested; allowed: a number, a word or a list of them")
    return value


def _values(values):
    """Of a study: a list, or by the name of each variant the values that it changes."""
    named = isinstance(values, dict)
    if not isinstance(values, (dict, list)) or not 1 <= len(values) <= 1000 or named and not _are_sections(values):
        allowed = "1 to 1000 values, or names of variants, each with `key: value` lines"
        raise ValueError(f"{shown(values)}; allowed: {allowed}")
    for value in (value for variant in values.values() for value in variant.values()) if named else values:
        _is_plain(value)
    return values if named else _each_once(values)


def _are_sections(variants):
    return all(isinstance(name, str) and isinstance(changes, dict) for name, changes in variants.items())


Value = Annotated[Any, AfterValidator(_is_plain)]


class StudyParams(Section):
    question: str
    dataset: Dataset
    models: Annotated[list[Network], Field(min_length=1), EachOnce]
    seeds: Annotated[list[Seed], Several, EachOnce]
    set: dict[str, Value]
    vary: str
    values: Annotated[object, AfterValidator(_values)]

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
    check(values, paths.relative(path))
    return values


def load_studies():
    """Read and check studies/params.yaml: studies by name, each a dict of `StudyParams`. Raises as `load_params`."""
    values, name = read(paths.STUDIES), paths.relative(paths.STUDIES)
    try:
        StudiesParams.model_validate(values)
    except ValidationError as error:
        raise FergitError(f"{name}: {explain(error, lambda where: StudyParams if where else StudiesParams)}") from None
    return values["studies"]


def check(values, name):
    """Check all of params.yaml, wherever it comes from; `name` begins the message. Raises as `load_params`."""
    where = ()
    try:
        params = Params.model_validate(values)
        for dataset in Dataset.__args__:
            for section, changes in getattr(params, dataset).overrides.items():
                where = (dataset, "overrides", section)
                Params.model_fields[section].annotation.model_validate(merge(values[section], changes))
    except ValidationError as error:
        raise FergitError(f"{name}: {explain(error, _section_at, where)}") from None


def _section_at(where):
    """The model at a place in params.yaml; of overrides, the names allowed."""
    section = Params
    for part in where:
        section = Params if part == "overrides" else section.model_fields[part].annotation
    return TRAINING if where and where[-1] == "overrides" else section
