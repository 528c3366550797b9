"""Faces in memory, and the one file that holds a data set after preprocessing."""

import dataclasses
import zipfile
from dataclasses import dataclass

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_arrays

SIDE = 48  # pixels (p. 77)
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # FER2013's labels 0-6, and FERGIT's
PARTS = ("train", "validation", "test")
COLUMNS = ("labels", "split", "source", "group", "sample_id")


@dataclass(frozen=True, eq=False)
class Faces:
    """Gray images of faces, with what is known of each.

    Attributes
    ----------
    images : uint8 (n, 48, 48)
    labels : uint8 (n,)
        Indices into ``classes``.
    classes : tuple of str
    source : str (n,)
        "fer2013", "muxspace", "ckplus" or "synthetic".
    group : str (n,)
        The person, where it is known, else "".
    sample_id : str (n,)
        Names each image, the same in every run; unique.
    split : str (n,)
        "train", "validation" or "test"; "" where the source does not say.

    Raises
    ------
    FergitError
        The arrays do not fit each other.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple
    source: np.ndarray
    group: np.ndarray
    sample_id: np.ndarray
    split: np.ndarray

    def __post_init__(self):
        if self.images.ndim != 3 or self.images.shape[1:] != (SIDE, SIDE) or self.images.dtype != np.uint8:
            found = f"{self.images.dtype} {self.images.shape}"
            raise FergitError(f"faces: images are {found}; they must be uint8 (n, {SIDE}, {SIDE})")
        for name in COLUMNS:
            values = getattr(self, name)
            kind = "u" if name == "labels" else "U"
            if values.shape != (len(self.images),) or values.dtype.kind != kind:
                wanted = f"{'uint8' if kind == 'u' else 'text'} ({len(self.images)},)"
                raise FergitError(f"faces: {name} is {values.dtype} {values.shape}; it must be {wanted}")
        if len(self.labels) and self.labels.max() >= len(self.classes):
            raise FergitError(f"faces: label {self.labels.max()} has no class; there are {len(self.classes)}")

    def __len__(self):
        return len(self.images)

    def take(self, rows):
        """The faces of these rows: a mask or indices."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return dataclasses.replace(self, images=self.images[rows], **columns)

    def with_split(self, split):
        """The same faces in other parts."""
        return dataclasses.replace(self, split=np.asarray(split, dtype="U10"))

    def save(self, path):
        """Write the faces to one uncompressed ``.npz``: the same faces give the same bytes."""
        lost = ~np.isin(self.split, PARTS)
        if lost.any():
            raise FergitError(f"{paths.relative(path)}: {self.sample_id[lost][0]} is in none of the parts")
        arrays = {name: getattr(self, name) for name in ("images", *COLUMNS)}
        write_arrays(path, **arrays, classes=np.array(self.classes))

    def counts(self):
        """Number of images of each class, in class order: {class: number}."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(number) for name, number in zip(self.classes, numbers, strict=True)}


def make_faces(images, labels, classes, source, sample_id, group=None, split=None, files=None):
    """Faces of one source from lists or arrays; ``group`` and ``split`` are "" where not given.

    Where two images have one name, the error names their ``files`` too.
    """
    n = len(images)
    ids = np.asarray(sample_id, dtype=np.str_)
    names, times = np.unique(ids, return_counts=True)
    if len(names) != n:
        twice = names[times > 1][0]
        which = "" if files is None else f" ({' and '.join(files[row] for row in np.flatnonzero(ids == twice))})"
        raise FergitError(f"{source}: {twice} is there twice{which}; each image needs a name of its own")
    return Faces(
        images=images,
        labels=np.asarray(labels, dtype=np.uint8),
        classes=tuple(classes),
        source=np.full(n, source),
        group=np.full(n, "") if group is None else np.asarray(group, dtype=np.str_),
        sample_id=ids,
        split=np.full(n, "", dtype="U10") if split is None else np.asarray(split, dtype="U10"),
    )


def concatenate(*several):
    """One after another; they must have the same classes."""
    if len({faces.classes for faces in several}) != 1:
        raise FergitError("faces: data sets with different classes cannot be joined")
    columns = {name: np.concatenate([getattr(faces, name) for faces in several]) for name in ("images", *COLUMNS)}
    return Faces(classes=several[0].classes, **columns)


def load_processed(dataset, parts=PARTS, path=None):
    """Read ``data/processed/<dataset>.npz``, or just some parts of it.

    Parameters
    ----------
    dataset : str
    parts : sequence of str
        Which of "train", "validation" and "test"; the images keep their order.
    path : path, optional
        Another file than the data set's own.

    Raises
    ------
    FergitError
        There is no such file, it is no such file, or what it holds does not fit together.
    """
    path = path or paths.processed(dataset)
    name = paths.relative(path)
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise FergitError(f"{name}: no part {min(unknown)!r}; there are {', '.join(PARTS)}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ("images", *COLUMNS, "classes")}
        faces = Faces(**arrays | {"classes": tuple(arrays["classes"].tolist())})
    except FileNotFoundError:
        raise FergitError(f"{name}: no such file; `dvc repro preprocess@{dataset}` makes it") from None
    except KeyError as error:
        raise FergitError(f"{name}: has no array {error.args[0].split()[0]!r}; make it again by preprocess") from None
    except FergitError as error:
        raise FergitError(f"{name}: {error}") from None
    except (OSError, EOFError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise FergitError(f"{name}: not a file that preprocess wrote ({_first_line(error)})") from None
    if not np.isin(faces.split, PARTS).all():
        raise FergitError(f"{name}: split holds other values than {', '.join(PARTS)}; make it again by preprocess")
    return faces if set(parts) == set(PARTS) else faces.take(np.isin(faces.split, tuple(parts)))


def _first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0]
