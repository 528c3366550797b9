"""What params.yaml and studies/params.yaml may hold; a wrong value is refused in one line, before any stage runs."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.params import merge
from fergit.runner.blocks import Rate, Section, Seed, Share, kind_of, require_known
from fergit.runner.messages import explain, read, shown


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


Network = Literal["basic", "residual"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
EachOnce = AfterValidator(_each_once)
Several = Field(min_length=1, max_length=1000)

TRAINING = ("network", "augmentation", "train")  # the sections that decide a training, beside the data set's own
BLOCK = {"images", "split", "overrides"}  # what shows that a section is that of a data set
RAREST = 547 / 35_887  # share of disgust among drawn faces, as in FER2013


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


class Params(Section):
    """All of params.yaml."""

    datasets: Annotated[list[str], Field(min_length=1), EachOnce]
    models: Annotated[list[Network], Field(min_length=1), EachOnce]
    seeds: Annotated[list[Seed], Several, EachOnce]
    fetch: FetchParams
    network: NetworkParams
    augmentation: AugmentationParams
    train: TrainParams
    predict: PredictParams
    evaluate: EvaluateParams


def _is_plain(value):
    """Not deeper: comparing lists of lists of lists may never end."""
    if isinstance(value, dict) or isinstance(value, list) and any(isinstance(entry, (list, dict)) for entry in value):
        raise ValueError(f"{shown(value)} is nested; allowed: a number, a word or a list of them")
    return value


def _values(values):
    """Of a study: a list, or by the name of each variant the values that it changes."""
    named = isinstance(values, dict)
    by_name = named and all(isinstance(key, str) and isinstance(value, dict) for key, value in values.items())
    if not isinstance(values, (dict, list)) or not 1 <= len(values) <= 1000 or named and not by_name:
        allowed = "1 to 1000 values, or names of variants, each with `key: value` lines"
        raise ValueError(f"{shown(values)}; allowed: {allowed}")
    for value in (value for variant in values.values() for value in variant.values()) if named else values:
        _is_plain(value)
    return values if named else _each_once(values)


Value = Annotated[Any, AfterValidator(_is_plain)]


class StudyParams(Section):
    question: str
    dataset: str
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

    An error is a missing file, no YAML, or a value that is not allowed: it names the key, the value and what is.
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
    for study, entry in values["studies"].items():
        require_known(entry["dataset"], datasets(), f"{name}: studies.{study}.dataset")
    return values["studies"]


def datasets(values=None):
    """The names of all data sets that params.yaml, or what was read of it, has a block for."""
    values = read(paths.PARAMS) if values is None else values
    return [name for name, block in values.items() if isinstance(block, dict) and BLOCK & set(block)]


def check(values, name):
    """Check all of params.yaml, wherever it comes from; `name` begins the message. Raises as `load_params`."""
    where, blocks = (), {key: values[key] for key in datasets(values)}
    try:
        Params.model_validate({key: value for key, value in values.items() if key not in blocks})
        for dataset, block in blocks.items():
            where = (dataset,)
            kind = kind_of(dataset, block, name)
            for section, changes in kind.model_validate(block).overrides.items():
                where = (dataset, "overrides", section)
                Params.model_fields[section].annotation.model_validate(merge(values[section], changes))
    except ValidationError as error:
        raise FergitError(f"{name}: {explain(error, lambda where: _section_at(where, blocks), where)}") from None
    for place, dataset in enumerate(values["datasets"]):
        require_known(dataset, blocks, f"{name}: datasets.{place}")
        if blocks[dataset]["images"]["source"] == "synthetic":
            _enough_is_drawn(values["fetch"]["draw"]["images"], blocks[dataset]["split"]["held_out"], dataset, name)


def _enough_is_drawn(images, share, dataset, name):
    """Or stage preprocess might refuse, once DVC has deleted its results."""
    if images * RAREST * min(share / 2, 1 - share) < 1:
        raise FergitError(
            f"{name}: fetch.draw.images is {images} and {dataset}.split.held_out is {share}, which may leave a part "
            f"with no image of disgust; allowed: a share of 0.2 from {math.ceil(2 / RAREST / 0.2)} images, for example"
        )


def _section_at(where, blocks):
    """The model at a place in params.yaml; of overrides, the names allowed."""
    section = Params
    for number, part in enumerate(where):
        if part == "overrides":
            section = Params
        elif number == 0 and part in blocks:
            section = kind_of(part, blocks[part], "")
        else:
            section = section.model_fields[part].annotation
    return TRAINING if where and where[-1] == "overrides" else section
