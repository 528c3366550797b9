"""Drawn faces with the seven expressions, the data set that needs no download.

Three things shape a face: who it is (`identity`), what the face does (`EXPRESSIONS`, after the action units of the
Facial Action Coding System, FACS), and what is between it and the camera (pose, light, glasses, a hand, blur). Every
image is a pure function of (seed, index): a larger draw begins with the images of a smaller one.
"""

import functools
from types import SimpleNamespace

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS as CLASSES
from fergit.core.faces import SIDE
from fergit.data import drawing, fer2013

FREQUENCIES = np.sum(list(fer2013.COUNTS.values()), axis=0)  # FER2013's: the imbalance to copy
PEOPLE = 400  # identities that a draw picks from
GOLDEN = 0.6180339887498949

# What the muscles do, by expression: its variants, each with its share of images and {action unit: intensity at full
# strength}. 1 inner brow up, 2 outer brow up, 4 brows down and together, 5 upper lid up, 6 cheeks up, 7 lids tight,
# 9 nose wrinkled, 10 upper lip up, 12 lip corners up, 15 lip corners down, 17 chin up, 20 lips stretched, 23 lips thin,
# 24 lips pressed, 25 lips parted, 26 jaw dropped, 27 mouth wide open.
EXPRESSIONS = {
    "angry": (
        (0.65, {4: 1.0, 5: 0.4, 7: 0.8, 17: 0.4, 23: 0.9, 24: 0.8}),
        (0.35, {4: 1.0, 5: 0.5, 7: 0.6, 9: 0.2, 10: 0.5, 20: 0.2, 25: 1.0, 26: 0.5}),
    ),
    "disgust": (
        (0.60, {4: 0.5, 6: 0.3, 7: 0.7, 9: 1.0, 10: 0.9, 15: 0.4, 17: 0.6}),
        (0.40, {4: 0.5, 6: 0.4, 7: 0.8, 9: 1.0, 10: 1.0, 15: 0.3, 25: 0.9, 26: 0.2}),
    ),
    "fear": (
        (0.60, {1: 1.0, 2: 0.3, 4: 0.8, 5: 1.0, 20: 1.0, 25: 1.0, 26: 0.3}),
        (0.40, {1: 0.9, 2: 0.2, 4: 0.9, 5: 1.0, 20: 1.0, 25: 0.7}),
    ),
    "happy": ((0.65, {6: 0.9, 12: 1.0, 25: 1.0, 26: 0.3}), (0.35, {6: 0.6, 12: 0.9})),
    "sad": (
        (0.75, {1: 1.0, 4: 0.5, 7: 0.3, 15: 1.0, 17: 0.6}),
        (0.25, {1: 0.9, 4: 0.7, 6: 0.5, 7: 0.7, 15: 1.0, 25: 0.6}),
    ),
    "surprise": (
        (0.75, {1: 1.0, 2: 1.0, 5: 0.8, 25: 0.5, 27: 1.0}),
        (0.25, {1: 0.9, 2: 1.0, 5: 0.6, 25: 0.5, 26: 0.6, 27: 0.4}),
    ),
    "neutral": ((1.0, {}),),
}
STRENGTH = (0.65, 1.15)  # of an expression as a whole, from weak to exaggerated
TWITCH = 0.05  # standard deviation of what each action unit does on its own


def draw_faces(count, seed):
    """Draw faces with the seven expressions, as frequent as in FER2013.

    The images, uint8 (count, 48, 48), the labels, uint8 (count,), indices into ``CLASSES``, and who is drawn, str
    (count,), "P0000" to "P0399": with the same seed the same people.
    """
    for name, value, least in (("images", count, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise FergitError(f"synthetic: {name} is {value!r}; it must be a whole number, at least {least}")
    person = functools.cache(lambda number: identity(seed, number))  # each is met about ten times
    images, labels, group = np.empty((count, SIDE, SIDE), np.uint8), np.empty(count, np.uint8), np.empty(count, "<U5")
    bounds = np.cumsum(FREQUENCIES) / sum(FREQUENCIES)
    start = np.random.default_rng([seed, 0]).random()
    for index in range(count):
        # Steps of the golden ratio keep the shares right in any first part, where draws at random would stray.
        label = labels[index] = np.searchsorted(bounds, (start + index * GOLDEN) % 1, side="right")
        rng = np.random.default_rng([seed, 1, index])
        number = int(rng.integers(PEOPLE))
        images[index] = drawing.photograph(person(number), action_units(CLASSES[label], rng), rng)
        group[index] = f"P{number:04d}"
    return images, labels, group


def action_units(expression, rng):
    """Intensities of the action units of one image, a list of 28, indexed by the unit's FACS number."""
    shares, variants = zip(*EXPRESSIONS[expression], strict=True)
    intensities = variants[np.searchsorted(np.cumsum(shares), rng.random(), side="right")]
    units = np.zeros(28)
    strength = rng.uniform(*STRENGTH)
    for unit, intensity in intensities.items():
        units[unit] = intensity * strength
    units *= rng.uniform(0.65, 1.2, units.size)
    twitch = np.abs(rng.normal(0, TWITCH, units.size))
    twitch[25:] = 0  # a mouth that opens a little by chance would look open: it shows at once
    return np.clip(units + twitch, 0, 1.3).tolist()  # plain numbers: several times faster one by one


def identity(seed, number):
    """Draw who a person is: everything that stays the same from image to image."""
    rng = np.random.default_rng([seed, 2, number])
    uniform, normal, chance = rng.uniform, rng.normal, rng.random
    age = rng.beta(1.6, 2.2)  # 0 young, 1 old
    woman = chance() < 0.5
    skin = uniform(105, 215)
    hair = uniform(18, 90) + (chance() < 0.25) * 70 + max(0, age - 0.6) * 220
    styles = ["long", "long", "bob", "short"] if woman else ["short", "short", "short", "bald", "receding"]
    style = str(rng.choice(styles))
    beard = 0.0 if woman or chance() < 0.65 else uniform(0.25, 0.9)
    person = SimpleNamespace(age=age, skin=skin, hair=min(hair, 225), style=style, beard=beard)
    width, jaw = uniform(0.70, 0.84), uniform(0.80, 0.98) + (0 if woman else 0.05)
    square = uniform(0.80, 1.0)  # exponent of the superellipse: smaller is more angular
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x, y = np.sin(angle), -np.cos(angle)
    x = np.sign(x) * np.abs(x) ** square * np.where(y > 0, 1 - (1 - jaw) * y, 1)
    person.outline, person.width = np.stack([x * width, y], axis=1), width
    person.hairline = uniform(-0.72, -0.56) - (0.12 if style == "receding" else 0)
    person.parting, person.fringe = uniform(-0.4, 0.4), bool(woman and chance() < 0.35)
    person.volume = uniform(0.06, 0.2)
    person.eye_x, person.eye_y = uniform(0.30, 0.36), uniform(-0.10, -0.03)
    person.eye_width, person.eye_height = uniform(0.135, 0.175), uniform(0.85, 1.15)
    person.eye_slant, person.iris = normal(0, 0.015), uniform(20, 100)
    person.lashes = uniform(0.035, 0.055) if woman else uniform(0.02, 0.035)
    person.brow_y, person.brow_arch = normal(0, 0.02), uniform(0.03, 0.10)
    person.brow_thickness = uniform(0.03, 0.055) if woman else uniform(0.045, 0.085)
    person.brow_gray = min(hair * 0.8 + 10, skin * 0.75)
    person.nose_width, person.nose_y = uniform(0.11, 0.17), uniform(0.24, 0.32)
    person.mouth_y, person.mouth_width = uniform(0.54, 0.62), uniform(0.23, 0.30)
    person.mouth_droop = normal(0, 0.012)
    person.lip = uniform(0.035, 0.06) if woman else uniform(0.025, 0.045)
    person.lip_gray = skin * (uniform(0.55, 0.75) if woman else uniform(0.68, 0.82))
    person.beard_gray = min(hair + 15, skin * 0.7)
    person.moustache = beard > 0.5 or bool(not woman and chance() < 0.12)
    person.glasses, person.clothes = bool(chance() < 0.16), uniform(20, 220)
    return person


def linear_baseline(faces):
    """Test accuracy of a linear classifier on the pixels of Faces: what is possible without looking at shapes.

    Multinomial logistic regression on the first 150 principal components of the standardized pixels at 24x24. Its
    regularization is the best of three on a fifth of the training set. One thread: the same bits everywhere.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    small = np.stack([cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA) for image in faces.images])
    pixels, labels = small.reshape(len(small), -1).astype(np.float64), faces.labels
    rows, tested = (np.flatnonzero(faces.split == part) for part in ("train", "test"))
    inner, held_out = train_test_split(rows, test_size=0.2, random_state=0)

    def fitted(strength, rows):
        components = PCA(min(150, len(rows) - 1), svd_solver="covariance_eigh", whiten=True)
        regression = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        return make_pipeline(StandardScaler(), components, regression).fit(pixels[rows], labels[rows])

    with threadpool_limits(1):
        scores = {c: fitted(c, inner).score(pixels[held_out], labels[held_out]) for c in (1e-3, 1e-2, 1e-1)}
        return float(fitted(max(scores, key=scores.get), rows).score(pixels[tested], labels[tested]))
