"""Which image is for training, which for validation, which for the test.

All splits are stratified, and a pure function of the labels (and persons), the shares and the seed. scikit-learn draws
them, except by its older rule, which the authors most likely used and which is written out here.

Each takes ``labels``, int (n,), and, for the messages, the ``classes``' names; each returns str (n,): "train",
"validation" or "test". A class too small to be in every part is an error that names it.
"""

import math
import warnings

import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import PARTS


def stratified_two_step(labels, held_out, seed, classes=None, rule="sklearn"):
    """Hold out a share, class by class, then halve it into validation and test.

    With 49,300 images and 0.1 the sizes are the paper's 44,370, 2,465 and 2,465 (p. 79). With rule "sklearn-0.24" and
    seed 42 the seven test supports are the paper's too (p. 82): eight in a hundred seeds do that, and 42 is the seed of
    the template that the paper probably grew from. So it may be the authors' split; it is not, if they stratified by
    one-hot labels as the template does, or had the images in another order.

    Parameters
    ----------
    held_out : float
        Share of all images, between 0 and 1.
    rule : str
        How rounding shares out the images of each class: "sklearn" as today's scikit-learn, the second half is the
        test; "sklearn-0.24" as scikit-learn up to 0.24.2, the first half is the test.
    """
    _check_sizes(labels, classes)
    _, rest = _two(np.arange(len(labels)), labels, max(2, round(held_out * len(labels))), seed, classes, rule)
    validation, test = _halves(rest, labels, seed, classes, rule)
    return _parts(labels, classes, *((test, validation) if rule == "sklearn-0.24" else (validation, test)))


def frames(labels, held_out, validation, seed, classes=None):
    """CK+ as the paper splits it: a stratified share of all frames for the test, whoever is on them.

    981 frames and 0.1 give 99 test images with the supports of Table 4 (p. 85), each within 1. The paper names no
    validation part for CK+; ours is a stratified share, ``validation``, of the remaining 882.
    """
    _check_sizes(labels, classes)
    # Rounded up, as scikit-learn does with a share: 98.1 frames are the paper's 99. The epsilon forgives 0.1 * 980 =
    # 98.00001.
    rest, test = _two(np.arange(len(labels)), labels, math.ceil(held_out * len(labels) - 1e-9), seed, classes)
    _, validation = _two(rest, labels, math.ceil(validation * len(rest) - 1e-9), seed, classes)
    return _parts(labels, classes, validation, test)


def subjects(labels, group, folds, fold, seed, classes=None):
    """No person in two parts: one fold of the persons is the test part, the next one the validation part.

    Parameters
    ----------
    group : str (n,)
        The person on each image.
    folds : int
        Into how many the persons are dealt, at least 3, so that each class is spread as evenly as can be.
    fold : int
        Which fold is the test part, 0 to ``folds`` - 1; over all of them, each image is tested once.
    """
    if (group == "").any():
        raise FergitError("split.protocol: subjects needs to know the person on every image")
    people = len(np.unique(group))
    if not 3 <= folds <= people:
        raise FergitError(f"split.folds is {folds}, there are {people} persons; allowed: 3 to as many as there are")
    if not 0 <= fold < folds:
        raise FergitError(f"split.fold is {fold}; allowed: 0 to {folds - 1}")
    _check_sizes(labels, classes)
    from sklearn.model_selection import StratifiedGroupKFold  # here, for it takes seconds that few need

    shuffled = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings(action="ignore"):  # "least populated class": looked at below, by part
        try:
            dealt = [held for _, held in shuffled.split(np.zeros(len(labels)), labels, group)]
        except ValueError as error:
            raise FergitError(f"split.folds is {folds}, which cannot be dealt ({error}); allowed: fewer") from None
    return _parts(labels, classes, dealt[(fold + 1) % folds], dealt[fold])


def official(split, labels, seed, classes=None):
    """The source's own split, str (n,); images that it leaves open ("") are halved into validation and test."""
    result = np.array(split, dtype="U10")
    left = np.flatnonzero(result == "")
    validation, test = _halves(left, labels, seed, classes) if len(left) else (left, left)
    validation = np.append(validation, np.flatnonzero(result == "validation"))
    return _parts(labels, classes, validation, np.append(test, np.flatnonzero(result == "test")))


def with_validation(split, labels, held_out, seed, classes=None):
    """The source's own split into training and test; a share of training is held out where it has no validation part.

    Without a test part, the source's validation part is the test.
    """
    split = np.array(split, dtype="U10")
    if not (split == "test").any():
        split[split == "validation"] = "test"
    rows = np.flatnonzero(split == "train")
    if len(rows) in (0, len(split)):
        return stratified_two_step(labels, held_out, seed, classes)
    for part in np.unique(split):
        for label, name, size in _sizes(labels, classes):
            if size and not (labels[split == part] == label).any():
                raise FergitError(
                    f"split: the folder {part} has no image of class {name}, and others have {size}; add some, leave "
                    "the class out by images.classes, or split all folders again by split.protocol"
                )
    if not (split == "validation").any():
        _, held = _two(rows, labels, max(1, round(held_out * len(rows))), seed, classes)
        split[held] = "validation"
    return _parts(labels, classes, np.flatnonzero(split == "validation"), np.flatnonzero(split == "test"))


def _two(rows, labels, second, seed, classes, rule="sklearn"):
    """Split rows in two, the second part with so many of them."""
    sizes = np.bincount(labels[rows])
    for label in np.flatnonzero(sizes == 1):
        name = classes[label] if classes else label
        raise FergitError(
            f"split: class {name} has 1 image left for two parts, which need one each; add images, or make the "
            "shares of validation and test larger"
        )
    first, needed = len(rows) - second, np.count_nonzero(sizes)
    if min(first, second) < needed:
        raise FergitError(f"split: parts of {first} and {second} images; {needed} classes need as many in each")
    if rule == "sklearn-0.24":
        return _older_two(rows, labels, second, seed)
    from sklearn.model_selection import train_test_split  # here, for it takes seconds that few need

    return train_test_split(rows, test_size=second, stratify=labels[rows], random_state=seed)


def _older_two(rows, labels, second, seed):
    """What `train_test_split` of scikit-learn 0.24.2 gives, whatever scikit-learn is installed.

    After StratifiedShuffleSplit._iter_indices, sklearn/model_selection/_split.py (BSD-3-Clause).
    """
    random = np.random.RandomState(seed)
    _, own = np.unique(labels[rows], return_inverse=True)
    sizes = np.bincount(own)
    by_class = np.split(np.argsort(own, kind="stable"), np.cumsum(sizes)[:-1])
    of_first = _older_shares(sizes, len(rows) - second, random)
    of_second = _older_shares(sizes - of_first, second, random)
    first, last = [], []
    for members, many, others in zip(by_class, of_first, of_second, strict=True):
        shuffled = members[random.permutation(len(members))]
        first.extend(shuffled[:many])
        last.extend(shuffled[many : many + others])
    return rows[random.permutation(first)], rows[random.permutation(last)]


def _older_shares(sizes, number, random):
    """How many of `number` images each class gives.

    After _approximate_mode, sklearn/utils/__init__.py of scikit-learn 0.24.2 (BSD-3-Clause). Later releases divide
    before they multiply, and their rounding decides ties that are left to `random` here.
    """
    exact = number * sizes / sizes.sum()
    shares = np.floor(exact)
    rest, missing = exact - shares, int(number - shares.sum())
    for value in np.unique(rest)[::-1]:  # the largest rest first, ties by lot
        if not missing:
            break
        (equal,) = np.where(rest == value)
        drawn = random.choice(equal, size=min(len(equal), missing), replace=False)
        shares[drawn] += 1
        missing -= len(drawn)
    return shares.astype(int)


def _halves(rows, labels, seed, classes, rule="sklearn"):
    return _two(rows, labels, len(rows) - len(rows) // 2, seed, classes, rule)


def _sizes(labels, classes):
    """(label, name, number of images) of each class."""
    numbers = np.bincount(labels, minlength=len(classes or ()))
    return zip(range(len(numbers)), classes or range(len(numbers)), numbers.tolist(), strict=True)


def _check_sizes(labels, classes):
    for _, name, size in _sizes(labels, classes):
        if size < 3:
            images = f"{size} image{'' if size == 1 else 's'}"
            raise FergitError(f"split: class {name} has {images}; it needs 3, one each for {', '.join(PARTS)}")


def _parts(labels, classes, validation, test):
    """The part of each image, with each class in each part."""
    split = np.full(len(labels), "train", dtype="U10")
    split[validation], split[test] = "validation", "test"
    for part in PARTS:
        for label, name, size in _sizes(labels, classes):
            if not (labels[split == part] == label).any():
                raise FergitError(
                    f"split: the {part} part gets no image of class {name}, which has {size}; it needs more images, "
                    "or a split with larger parts"
                )
    return split
