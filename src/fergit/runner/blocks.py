"""What a data set's block in params.yaml may hold, by the source of its images."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from fergit.core.errors import FergitError
from fergit.core.params import plain
from fergit.runner.messages import shown

Seed = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
# The project's own data sets and the source of each.
OURS = {name: name.removesuffix("_best") for name in ("synthetic", "fer2013", "fergit", "ckplus")}
OURS |= {f"{name}_best": name for name in ("fer2013", "fergit")}
TAKEN = ("reports", "studies", "leaks", "gradcam", "card", "reconstruction", "first-reading", "muxspace")  # elsewhere
TAKEN += ("images", "split", "overrides")  # keys of a block


class Section(BaseModel):
    """A block of params.yaml: every key is known and every value has its type, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OfficialSplit(Section):
    seed: Seed
    leave_out_copies: bool


class StratifiedSplit(Section):
    held_out: Share
    seed: Seed


class FergitSplit(StratifiedSplit):
    rule: Literal["sklearn-0.24", "sklearn"]
    leave_out_copies: bool


class ProtocolSplit(Section):
    protocol: Literal["frames", "subjects"]
    held_out: Share | None = None
    validation: Share | None = None
    folds: Annotated[int, Field(ge=3, le=100)] | None = None
    fold: Annotated[int, Field(ge=0)] | None = None
    seed: Seed

    @model_validator(mode="after")
    def _complete(self):
        for key in ("held_out", "validation") if self.protocol == "frames" else ("folds", "fold"):
            if getattr(self, key) is None:
                raise ValueError(f"protocol is {self.protocol}, which needs {key}")
        if self.folds and self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold}; allowed: 0 to folds - 1, that is {self.folds - 1}")
        return self


class Images(Section):
    source: str


class Fer2013Images(Images):
    labels: Literal["original", "majority"]


class CkplusImages(Images):
    neutral: bool


def _finds(rule):
    try:
        re.compile(rule)
    except re.error as error:
        raise ValueError(f"{shown(rule)} is no regular expression ({error})") from None
    return rule


class FoldersImages(Images):
    crop: Literal["none", "face"]
    classes: dict[str | int, Annotated[str, Field(min_length=1)] | None] = {}
    person: Annotated[str, Field(min_length=1), AfterValidator(_finds)] | None = None


class DatasetParams(Section):
    images: Images
    split: StratifiedSplit
    overrides: dict[Literal["network", "augmentation", "train"], dict]


class Fer2013Params(DatasetParams):
    images: Fer2013Images
    split: OfficialSplit


class FergitParams(DatasetParams):
    split: FergitSplit


class CkplusParams(DatasetParams):
    images: CkplusImages
    split: ProtocolSplit


class FoldersParams(DatasetParams):
    images: FoldersImages


class FoldersByProtocol(FoldersParams):
    split: ProtocolSplit

    @model_validator(mode="after")
    def _persons_are_known(self):
        if self.split.protocol == "subjects" and not self.images.person:
            raise ValueError("split.protocol is subjects, which needs images.person")
        return self


BLOCKS = {"synthetic": DatasetParams, "fer2013": Fer2013Params, "fergit": FergitParams, "ckplus": CkplusParams}
BLOCKS |= {"folders": FoldersParams}


def require_known(dataset, names, where):
    if dataset not in names:
        allowed = ", ".join(map(repr, names))
        raise FergitError(f"{where} is {shown(dataset)}; allowed: {allowed}, or a block with a name of your own")


def kind_of(dataset, block, name):
    """The model of a data set's block, by its source."""
    taken = [*TAKEN, *OURS.keys() - {dataset}]
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", dataset if isinstance(dataset, str) else "")
        or dataset.lower() in taken
    ):
        allowed = f"up to 64 of letters, digits, _ and -, and none of these: {', '.join(taken)}"
        raise FergitError(f"{name}: {plain(str(dataset))} is no name of a data set; allowed: {allowed}")
    images = block.get("images")
    source = images.get("source") if isinstance(images, dict) else None
    allowed = [OURS[dataset]] if dataset in OURS else [*BLOCKS]
    if source not in allowed:
        raise FergitError(f"{name}: {dataset}.images.source is {shown(source)}; allowed: {', '.join(allowed)}")
    if dataset == "ckplus" and images.get("neutral"):
        wrong = "ckplus.images.neutral is true; allowed: false, as in the paper, or true in a block of another name"
        raise FergitError(f"{name}: {wrong}")
    by_protocol = source == "folders" and isinstance(block.get("split"), dict) and "protocol" in block["split"]
    return FoldersByProtocol if by_protocol else BLOCKS[source]
