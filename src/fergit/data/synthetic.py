"""Drawn faces with the seven expressions, the data set that needs no download.

A face is a list of strokes in the coordinates of the head: x to the right, y down, the chin at y = 1, the crown at
y = -1. Three things shape the strokes: who it is (``_identity``), what the face does (``EXPRESSIONS``, after the action
units of the Facial Action Coding System, FACS), and what stands between it and the camera (pose, light, glasses, a
hand, blur). Every image is a pure function of (seed, index): a larger draw begins with the images of a smaller one.
"""

import functools
from types import SimpleNamespace

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.data import fer2013

CLASSES = fer2013.CLASSES
FREQUENCIES = np.sum(list(fer2013.COUNTS.values()), axis=0)  # FER2013's: the imbalance to copy
PEOPLE = 400  # identities that a draw picks from

# What the muscles do, by expression: {action unit: intensity at full strength}, each variant with its share of images.
# 1 inner brow up, 2 outer brow up, 4 brows down and together, 5 upper lid up, 6 cheeks up, 7 lids tight, 9 nose
# wrinkled, 10 upper lip up, 12 lip corners up, 15 lip corners down, 17 chin up, 20 lips stretched, 23 lips thin,
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
    "happy": (
        (0.65, {6: 0.9, 12: 1.0, 25: 1.0, 26: 0.3}),
        (0.35, {6: 0.6, 12: 0.9}),
    ),
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

SIDE = 48  # pixels of a finished image
OVERSAMPLING = 3  # drawn so many times larger, then reduced: smooth edges
SOFT_OVERSAMPLING = 2  # the same for shades, which are blurred anyway
SHIFT = 4  # OpenCV's fractional bits of a coordinate


def draw_faces(count, seed):
    """Draw faces with the seven expressions, as frequent as in FER2013.

    Parameters
    ----------
    count : int
        Number of images, at least 1.
    seed : int
        At least 0. The same seed draws the same people and images.

    Returns
    -------
    images : uint8 (count, 48, 48)
    labels : uint8 (count,)
        Indices into ``CLASSES``.
    group : str (count,)
        Who is drawn, "P0000" to "P0399".

    Raises
    ------
    FergitError
        ``count`` or ``seed`` is outside what is said above.
    """
    for name, value, least in (("images", count, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise FergitError(f"synthetic: {name} is {value!r}; it must be a whole number, at least {least}")
    person = functools.cache(lambda number: _identity(seed, number))  # each is met about ten times
    images = np.empty((count, SIDE, SIDE), np.uint8)
    labels = np.empty(count, np.uint8)
    group = np.empty(count, "<U5")
    bounds = np.cumsum(FREQUENCIES) / sum(FREQUENCIES)
    start = np.random.default_rng([seed, 0]).random()
    for index in range(count):
        # Steps of the golden ratio keep the shares right in any first part, where draws at random would stray.
        label = int(np.searchsorted(bounds, (start + index * 0.6180339887498949) % 1, side="right"))
        rng = np.random.default_rng([seed, 1, index])
        number = int(rng.integers(PEOPLE))
        images[index] = _photograph(person(number), _action_units(CLASSES[label], rng), rng)
        labels[index] = label
        group[index] = f"P{number:04d}"
    return images, labels, group


def linear_baseline(images, labels, train_mask, test_mask, seed=0):
    """Test accuracy of a linear classifier on the pixels: what can be had without looking at shapes.

    Multinomial logistic regression on the standardised pixels at 24x24, by way of their first 150 principal components;
    its regularisation is the best of three on a fifth of the training part. One thread: the same bits everywhere.

    Parameters
    ----------
    images : uint8 (n, 48, 48)
    labels : int (n,)
    train_mask, test_mask : bool (n,)
    seed : int
        Of the fifth that is set aside.

    Returns
    -------
    float
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    small = np.stack([cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA) for image in images])
    pixels = small.reshape(len(small), -1).astype(np.float64)
    rows = np.flatnonzero(train_mask)
    inner, held_out = train_test_split(rows, test_size=0.2, random_state=seed)

    def fitted(regularisation, rows):
        components = PCA(min(150, len(rows) - 1), svd_solver="covariance_eigh", whiten=True)
        regression = LogisticRegression(C=regularisation, max_iter=300, tol=1e-3)
        return make_pipeline(StandardScaler(), components, regression).fit(pixels[rows], labels[rows])

    with threadpool_limits(1):
        scores = {c: fitted(c, inner).score(pixels[held_out], labels[held_out]) for c in (1e-3, 1e-2, 1e-1)}
        return float(fitted(max(scores, key=scores.get), rows).score(pixels[test_mask], labels[test_mask]))


def _action_units(expression, rng):
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


def _identity(seed, number):
    """Draw who a person is: everything that stays the same from image to image."""
    rng = np.random.default_rng([seed, 2, number])
    age = rng.beta(1.6, 2.2)  # 0 young, 1 old
    woman = rng.random() < 0.5
    skin = rng.uniform(105, 215)
    dark_hair = rng.uniform(18, 90)
    hair = dark_hair + (rng.random() < 0.25) * 70 + max(0, age - 0.6) * 220
    if woman:
        style = rng.choice(["long", "long", "bob", "short"])
    else:
        style = rng.choice(["short", "short", "short", "bald", "receding"])
    beard = 0.0 if woman or rng.random() < 0.65 else rng.uniform(0.25, 0.9)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    width, jaw = rng.uniform(0.70, 0.84), rng.uniform(0.80, 0.98) + (0 if woman else 0.05)
    square = rng.uniform(0.80, 1.0)  # exponent of the superellipse: smaller is more angular
    x, y = np.sin(angle), -np.cos(angle)
    x = np.sign(x) * np.abs(x) ** square * np.where(y > 0, 1 - (1 - jaw) * y, 1)
    return SimpleNamespace(
        age=age,
        skin=skin,
        hair=min(hair, 225),
        style=str(style),
        outline=np.stack([x * width, y], axis=1),
        width=width,
        hairline=rng.uniform(-0.72, -0.56) - (0.12 if style == "receding" else 0),
        parting=rng.uniform(-0.4, 0.4),
        fringe=bool(woman and rng.random() < 0.35),
        volume=rng.uniform(0.06, 0.2),
        eye_x=rng.uniform(0.30, 0.36),
        eye_y=rng.uniform(-0.10, -0.03),
        eye_width=rng.uniform(0.135, 0.175),
        eye_height=rng.uniform(0.85, 1.15),
        eye_slant=rng.normal(0, 0.015),
        iris=rng.uniform(20, 100),
        lashes=rng.uniform(0.035, 0.055) if woman else rng.uniform(0.02, 0.035),
        brow_y=rng.normal(0, 0.02),
        brow_arch=rng.uniform(0.03, 0.10),
        brow_thickness=rng.uniform(0.03, 0.055) if woman else rng.uniform(0.045, 0.085),
        brow_gray=min(hair * 0.8 + 10, skin * 0.75),
        nose_width=rng.uniform(0.11, 0.17),
        nose_y=rng.uniform(0.24, 0.32),
        mouth_y=rng.uniform(0.54, 0.62),
        mouth_width=rng.uniform(0.23, 0.30),
        mouth_droop=rng.normal(0, 0.012),
        lip=rng.uniform(0.035, 0.06) if woman else rng.uniform(0.025, 0.045),
        lip_gray=skin * (rng.uniform(0.55, 0.75) if woman else rng.uniform(0.68, 0.82)),
        beard=beard,
        beard_gray=min(hair + 15, skin * 0.7),
        moustache=beard > 0.5 or bool(not woman and rng.random() < 0.12),
        glasses=bool(rng.random() < 0.16),
        clothes=rng.uniform(20, 220),
    )


_T = np.linspace(0, 1, 7)
_BEZIER = np.stack([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)
_UPPER_HALF = np.r_[30:40, 0:11]  # of the 40 points of a head's outline, from left to right
_CIRCLE = np.stack([np.cos(2 * np.pi * np.arange(16) / 16), np.sin(2 * np.pi * np.arange(16) / 16)], axis=1)
_TAPER = np.stack([0 * _T, 1.2 - _T], axis=1)


def _arc(start, middle, end):
    """Seven points of the parabola from ``start`` through ``middle`` to ``end``, (7, 2)."""
    (x0, y0), (x1, y1), (x2, y2) = start, middle, end
    return _BEZIER @ np.array([(x0, y0), (2 * x1 - (x0 + x2) / 2, 2 * y1 - (y0 + y2) / 2), (x2, y2)])


def _between(upper, lower):
    """The closed region between two curves that run the same way."""
    return np.concatenate([upper, lower[::-1]])


class _Sketch:
    """Strokes in head coordinates, drawn on one large canvas when all are known."""

    def __init__(self):
        self.strokes = []  # (kind, points, gray, width, lift)

    def fill(self, points, gray, lift=0.0):
        self.strokes.append(("fill", points, gray, 0, lift))

    def line(self, points, gray, width, lift=0.0):
        self.strokes.append(("line", points, gray, width, lift))

    def shade(self, points, amount, width=0.0, lift=0.0):
        """A soft stroke that darkens (or, negative, lightens) what it covers: an area, or a line of some width."""
        self.strokes.append(("soft line" if width else "soft fill", points, 128 - amount, width, lift))

    def render(self, background, pose):
        """Draw the strokes over the background, uint8 (144, 144); return the image, float32 (48, 48)."""
        lift = np.repeat([stroke[4] for stroke in self.strokes], [len(stroke[1]) for stroke in self.strokes])
        points = pose.project(np.concatenate([stroke[1] for stroke in self.strokes]), lift)
        sharp = np.round(points * (OVERSAMPLING << SHIFT)).astype(np.int32)
        coarse = np.round(points * (SOFT_OVERSAMPLING << SHIFT)).astype(np.int32)
        soft = np.full((SIDE * SOFT_OVERSAMPLING, SIDE * SOFT_OVERSAMPLING), 128, np.uint8)
        start = 0
        for kind, shape, gray, width, _ in self.strokes:
            rows = slice(start, start := start + len(shape))
            if kind.startswith("soft"):
                canvas, piece, unit = soft, coarse[rows], pose.scale * SOFT_OVERSAMPLING
            else:
                canvas, piece, unit = background, sharp[rows], pose.scale * OVERSAMPLING
            gray = min(max(int(gray), 0), 255)
            if kind.endswith("fill"):
                cv2.fillPoly(canvas, [piece], gray, cv2.LINE_AA, SHIFT)
            else:
                cv2.polylines(canvas, [piece], False, gray, max(1, round(width * unit)), cv2.LINE_AA, SHIFT)
        reduced = [cv2.resize(layer, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for layer in (background, soft)]
        shades = reduced[1].astype(np.float32) - 128
        return reduced[0] + cv2.GaussianBlur(shades, (5, 5), 0.035 * pose.scale)


class _Pose:
    """How the head is turned and where it stands in the frame."""

    def __init__(self, rng):
        self.yaw, self.pitch, roll = np.clip(rng.normal(0, 1, 3), -2, 2) * (0.16, 0.10, 0.11)
        self.scale = rng.uniform(23, 27.5)  # pixels of a finished image for one unit
        self.centre = (SIDE - 1) / 2 + rng.normal(0, 1.2, 2) + (0, 0.5)
        self.light = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)  # where from, how much
        self.rotation = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])

    def project(self, points, lift):
        """Head coordinates (n, 2) to pixels (n, 2): the features lie on an ellipsoid that turns."""
        x, y = points[:, 0], points[:, 1]
        depth = 0.75 * np.sqrt(np.maximum(0, 1 - (x / 0.85) ** 2 - (y / 1.1) ** 2)) + lift
        turned = np.stack(
            [
                x * np.cos(self.yaw) + depth * np.sin(self.yaw),
                y * np.cos(self.pitch) + depth * np.sin(self.pitch),
            ],
            axis=1,
        )
        return turned @ self.rotation * self.scale + self.centre


def _photograph(person, units, rng):
    """One finished image, uint8 (48, 48)."""
    pose = _Pose(rng)
    canvas = _background(rng)
    sketch = _Sketch()
    drop = 0.05 * units[25] + 0.13 * units[26] + 0.26 * units[27]  # how far the lower lip leaves the upper one
    _head(sketch, person, drop)
    _beard(sketch, person, drop)
    _folds(sketch, person, units, drop)
    _eyes(sketch, person, units, rng.normal(0, 0.02, 2))
    _brows(sketch, person, units)
    _mouth(sketch, person, units, drop)
    _nose(sketch, person, units, np.cos(pose.light[0]))
    _hair(sketch, person)
    if person.glasses and rng.random() < 0.8:
        _glasses(sketch, person, rng)
    if rng.random() < 0.12:
        _occlusion(sketch, person, rng)
    return _camera(sketch.render(canvas, pose), pose, rng)


def _background(rng):
    """A wall with a few large soft shapes, uint8 (144, 144)."""
    side = SIDE * OVERSAMPLING
    canvas = np.full((12, 12), rng.uniform(30, 225), np.float32)
    canvas += rng.normal(0, rng.uniform(0, 30), (12, 1)) + rng.normal(0, rng.uniform(0, 30), (1, 12))
    return cv2.resize(np.clip(canvas, 0, 255).astype(np.uint8), (side, side), interpolation=cv2.INTER_LINEAR)


def _head(sketch, person, drop):
    """Hair behind, shoulders, neck, ears, and the face without features; the jaw follows the mouth."""
    skin, width = person.skin, person.width
    back = person.outline * (1 + person.volume, 1 + person.volume * 0.7)
    back = back[_UPPER_HALF]
    if person.style in ("long", "bob"):  # the sides fall straight
        length = 1.5 if person.style == "long" else 0.75
        edge = width * 1.1 + person.volume * 0.6
        back = np.concatenate([back, [(edge, length), (-edge, length)]])
    if person.style != "bald":
        sketch.fill(back, person.hair * 0.85)
    neck = np.array([(-0.42, 0.6), (0.42, 0.6), (0.46, 1.5), (-0.46, 1.5)])
    sketch.fill(neck, skin * 0.65)
    shoulders = np.array([(-1.5, 1.6), (-1.1, 1.28), (-0.45, 1.14), (0, 1.36), (0.45, 1.14), (1.1, 1.28), (1.5, 1.6)])
    sketch.fill(shoulders, person.clothes)
    if person.style not in ("long", "bob"):
        for side in (-1, 1):
            ear = _CIRCLE * (0.09, 0.17) + (side * (width + 0.02), 0.06)
            sketch.fill(ear, skin * 0.85)
    y = person.outline[:, 1]
    face = person.outline + np.stack([0 * y, np.clip(y - 0.2, 0, None) * drop * 0.6], axis=1)
    sketch.fill(face, skin)


def _beard(sketch, person, drop):
    """A beard along the jaw, and a moustache."""
    if person.beard:
        edge = person.outline[10:31]  # ear, chin, ear
        inner = edge * (0.80, 0.58) + (0, 0.17 + drop * 0.7)
        outer = edge + np.stack([0 * edge[:, 0], np.clip(edge[:, 1] - 0.2, 0, None) * drop * 0.6], axis=1)
        gray = person.skin + (person.beard_gray - person.skin) * person.beard
        sketch.fill(_between(outer, inner), gray)


def _folds(sketch, person, units, drop):
    """What skin does under moving muscles, and under age: folds, wrinkles, cheeks."""
    age, deep = person.age, person.skin * 0.5
    smile = units[12]
    for side in (1, -1):
        flip = (side, 1)
        fold = 0.25 * age + 0.55 * smile + 0.5 * units[10] + 0.4 * units[9] + 0.1 * units[20]
        wide = 0.08 * smile + 0.03 * units[10]
        nose = (person.nose_width + 0.02, person.nose_y - 0.06 - 0.04 * units[9])
        corner = (person.mouth_width + 0.09 + wide, person.mouth_y - 0.05 * smile + drop * 0.3)
        middle = ((nose[0] + corner[0]) / 2 + 0.03 + 0.05 * smile, (nose[1] + corner[1]) / 2 - 0.02)
        sketch.shade(_arc(nose, middle, corner) * flip, deep * min(fold, 1.2), 0.05)
        x, y = person.eye_x, person.eye_y
        cheek = units[6]
        sketch.shade(_CIRCLE * (0.17, 0.11) * flip + (side * (x + 0.04), y + 0.33 - 0.06 * cheek), -14 * (0.4 + cheek))
        bag = _arc((x - 0.14, y + 0.10), (x, y + 0.16 - 0.02 * cheek), (x + 0.15, y + 0.09))
        sketch.shade(bag * flip, deep * (0.15 + 0.3 * age + 0.55 * cheek + 0.25 * units[9]), 0.035)
        foot = x + person.eye_width
        for rise in (-0.07, 0.03):  # crow's feet
            line = np.array([(foot + 0.04, y + rise * 0.4), (foot + 0.13, y + rise)])
            sketch.shade(line * flip, deep * (0.25 * age + 0.5 * cheek), 0.03)
        frown = np.array([(0.05, y - 0.10), (0.06 - 0.01 * units[4], y - 0.26)])  # between the brows
        sketch.shade(frown * flip, deep * (0.15 * age + 0.9 * units[4] + 0.3 * units[9]), 0.04)
        for k in range(2):  # across the root of the nose, when it wrinkles
            line = np.array([(0.02, y + 0.01 + 0.09 * k), (0.11, y - 0.03 + 0.09 * k)])
            sketch.shade(line * flip, deep * 1.1 * units[9], 0.035, 0.05)
    raised = (units[1] + units[2]) / 2
    for k in range(2):  # forehead
        y = -0.50 - 0.1 * k - 0.02 * raised
        line = _arc((-0.35, y + 0.02), (0, y - 0.02 + 0.03 * (units[1] - units[2])), (0.35, y + 0.02))
        sketch.shade(line, deep * (0.3 * age + 0.45 * raised), 0.035)
    chin = _arc(
        (-0.13, person.mouth_y + 0.20 + drop), (0, person.mouth_y + 0.15 + drop), (0.13, person.mouth_y + 0.20 + drop)
    )
    sketch.shade(chin, deep * (0.3 + 0.5 * units[17]), 0.06)


def _eyes(sketch, person, units, gaze):
    """Lids, white, iris and pupil; the lids cut the iris."""
    width = person.eye_width
    wide = 1 + 0.6 * units[5] - 0.45 * units[7] - 0.25 * units[6] - 0.2 * units[9]
    upper = 0.082 * person.eye_height * max(wide, 0.2)
    wide = 1 + 0.15 * units[5] - 0.5 * units[7] - 0.6 * units[6] - 0.3 * units[9]
    lower = 0.055 * person.eye_height * max(wide, -0.2)
    slant = person.eye_slant + 0.02 * max(
        units[1] - units[2], 0
    )  # the outer corner sinks when only the inner brow rises
    for side in (1, -1):
        flip, centre = (side, 1), (side * person.eye_x, person.eye_y)
        top = _arc((-width, 0), (0.01, -upper), (width, slant))
        bottom = _arc((-width, 0), (0, lower), (width, slant))
        sketch.shade(_CIRCLE * (width * 1.35, 0.16) * flip + centre - (0, 0.03), person.skin * 0.13)
        sketch.fill(_between(top, bottom) * flip + centre, 120 + person.skin * 0.5)
        for radius, gray in ((0.068, person.iris), (0.032, 8)):
            disc = _CIRCLE * radius + (gaze[0] * side, gaze[1] - 0.012)
            across = disc[:, 0] / width
            opening, tilt = 1 - across**2, slant / 2 * (across + 1)
            disc[:, 1] = np.minimum(np.maximum(disc[:, 1], tilt - upper * opening), tilt + lower * opening)
            sketch.fill(disc * flip + centre, gray)
        sketch.line(top * flip + centre, min(person.skin * 0.3, 40), person.lashes)
        sketch.shade(bottom * flip + centre, person.skin * 0.25, 0.02)
        crease = top * (1.05, 1) - (0, 0.045 - 0.02 * units[5])
        sketch.shade(crease * flip + centre, person.skin * 0.25, 0.025)


def _brows(sketch, person, units):
    """Tapered, thick inside; units 1, 2 and 4 move their ends apart from each other."""
    y = person.eye_y - 0.22 + person.brow_y
    down = 0.05 * units[4] + 0.03 * units[9] + 0.02 * units[7]
    inner = (0.14 - 0.04 * units[4], y - 0.13 * units[1] + 0.06 * units[4] + 0.05 * units[9] + down)
    middle = (0.36, y - person.brow_arch - 0.05 * units[1] - 0.12 * units[2] + down)
    outer = (0.58, y + 0.01 - 0.11 * units[2] + 0.02 * max(units[1] - units[2], 0) + down * 0.3)
    half = person.brow_thickness / 2
    for side in (1, -1):
        curve = _arc(inner, middle, outer)
        sketch.fill(_between(curve - half * _TAPER, curve + half * _TAPER) * (side, 1), person.brow_gray)


def _mouth(sketch, person, units, drop):
    """Lips, the gap between them, teeth; a moustache above."""
    thin = max(0.15, 1 - 0.45 * units[23] - 0.35 * units[24] - 0.25 * units[12] - 0.15 * units[20])
    width = person.mouth_width + 0.10 * units[12] + 0.09 * units[20] - 0.04 * units[24] - 0.02 * units[23]
    width -= 0.09 * units[27] + 0.02 * units[17]
    y = person.mouth_y - 0.025 * units[17] - 0.02 * units[12]
    corner = y - 0.11 * units[12] + 0.09 * units[15] + 0.02 * units[20] + person.mouth_droop
    corner += drop * (0.35 + 0.12 * units[27])
    upper = y - 0.06 * units[10] - 0.02 * units[9] + 0.02 * units[12] - 0.015 * units[15]
    lower = max(y + drop, upper)
    top = _arc((-width, corner), (0, upper), (width, corner))
    bottom = _arc((-width, corner), (0, lower), (width, corner))
    lip = person.lip * thin
    lip_top = _arc((-width - 0.015, corner), (0, upper - lip - 0.012 * units[10]), (width + 0.015, corner))
    lip_top[3, 1] += lip * 0.35  # Cupid's bow
    lip_bottom = _arc((-width - 0.015, corner), (0, lower + lip * 1.5 + 0.01 * units[17]), (width + 0.015, corner))
    if person.moustache:
        edge = _arc((-width * 0.95, corner - 0.02), (0, upper - lip - 0.11), (width * 0.95, corner - 0.02))
        sketch.fill(_between(edge, lip_top), (person.beard_gray + person.skin * 0.3) / 1.3)
    sketch.fill(_between(lip_top, lip_bottom), person.lip_gray)
    if drop > 0.015:
        sketch.fill(_between(top, bottom), 22)
        bared = min(1, 0.25 + units[10] + units[12] + units[20])  # a dropped jaw alone shows few teeth
        teeth = min(0.75 * drop, 0.075) * bared
        row = np.minimum(top + (0, teeth), bottom + (0, 0.0))
        sketch.fill(_between(top[1:-1], row[1:-1]), 205)
    else:
        sketch.line(bottom, person.lip_gray * 0.35, 0.03 + 0.01 * units[24])
    for side in (1, -1):  # the corners are the darkest part of a closed mouth
        sketch.shade(np.array([(0, 0), (0.03, 0.02 * units[15])]) * (side, 1) + (side * width, corner), 50, 0.05)
    shadow = lip_bottom[1:-1] + (0, 0.05)
    sketch.shade(shadow, person.skin * 0.2, 0.05)


def _nose(sketch, person, units, light):
    """Bridge, wings and nostrils; flanks shaded away from the light (-1 left, 1 right); units 9, 10 lift the wings."""
    width, lift = person.nose_width + 0.02 * units[9] + 0.015 * units[12], 0.12
    y = person.nose_y - 0.05 * units[9] - 0.015 * units[10]
    sketch.shade(np.array([(0, person.eye_y), (0, y - 0.06)]), -25, 0.05, lift / 2)
    for side in (1, -1):
        flank = _arc((0.09, person.eye_y - 0.06), (0.05, 0.08), (width, y))
        sketch.shade(flank * (side, 1), person.skin * (0.20 - 0.14 * side * light + 0.15 * units[9]), 0.05, lift / 2)
        wing = _arc((width - 0.01, y - 0.07), (width + 0.02, y - 0.01), (width - 0.03, y + 0.025))
        sketch.shade(wing * (side, 1), person.skin * (0.3 + 0.2 * units[9]), 0.03, lift / 2)
        nostril = _CIRCLE * (0.032, 0.016) + (width * 0.5, y + 0.03)
        sketch.fill(nostril * (side, 1), person.skin * 0.32, lift)
    sketch.shade(_arc((-width, y + 0.03), (0, y + 0.06), (width, y + 0.03)), person.skin * 0.28, 0.035, lift)


def _hair(sketch, person):
    """What hair covers of the forehead."""
    if person.style == "bald":
        return
    line, width = person.hairline, person.width
    crown = person.outline[_UPPER_HALF[1:-1]] * (1 + person.volume * 0.5, 1 + person.volume * 0.7)
    temple = 0.10 if person.style != "receding" else -0.25
    left, right = (-width * 0.97, -0.25 + temple), (width * 0.97, -0.25 + temple)
    if person.fringe:
        edge = np.concatenate([_arc(left, (-0.4, -0.42), (0, -0.40)), _arc((0, -0.40), (0.4, -0.42), right)])
    else:
        part = (person.parting * 0.6, line - 0.08)
        edge = np.concatenate(
            [_arc(left, (-width * 0.72, line + 0.06), part), _arc(part, (width * 0.72, line + 0.06), right)]
        )
    sketch.fill(_between(crown, edge), person.hair)
    for k in range(1, min(len(crown), len(edge)) - 1, 2):  # strands
        sketch.shade(np.array([crown[k], edge[k]]), 22 if k % 4 == 1 else -22, 0.035)


def _glasses(sketch, person, rng):
    gray, thick = rng.choice([15, 15, 60, 200]), rng.uniform(0.025, 0.05)
    radius = np.array([rng.uniform(0.21, 0.25), rng.uniform(0.15, 0.2)])
    square = rng.uniform(0.5, 1.0)
    rim = np.sign(_CIRCLE) * np.abs(_CIRCLE) ** square * radius
    rim = np.concatenate([rim, rim[:1]])
    y = person.eye_y + 0.01
    for side in (1, -1):
        sketch.line(rim + (side * person.eye_x, y), gray, thick, 0.08)
        arm = np.array([(person.eye_x + radius[0], y - 0.05), (person.width, y - 0.07)])
        sketch.line(arm * (side, 1), gray, thick)
    gap = person.eye_x - radius[0]
    sketch.line(_arc((-gap, y - 0.04), (0, y - 0.07), (gap, y - 0.04)), gray, thick, 0.1)


def _occlusion(sketch, person, rng):
    """A hand on the cheek, a scarf over the chin, or a lock over one brow."""
    kind, side = rng.choice(["hand", "scarf", "lock"]), rng.choice([-1, 1])
    if kind == "hand":
        skin = person.skin * 0.93
        for k in range(4):
            tip = np.array([0.62 - 0.13 * k, 0.30 + 0.12 * k + rng.normal(0, 0.03)])
            finger = np.array([tip, (0.75 - 0.10 * k, 1.3)]) * (side, 1)
            sketch.line(finger, skin * 0.6, 0.15)
            sketch.line(finger, skin, 0.12)
    elif kind == "scarf":
        top = 0.72 + rng.uniform(0, 0.15)
        scarf = _between(_arc((-1.0, top - 0.1), (0, top + 0.1), (1.0, top - 0.1)), np.array([(-1.2, 1.6), (1.2, 1.6)]))
        sketch.fill(scarf, person.clothes)
        for k in range(3):
            fold = _arc((-0.9, top + 0.1 + 0.12 * k), (0, top + 0.25 + 0.12 * k), (0.9, top + 0.1 + 0.12 * k))
            sketch.shade(fold, rng.choice([-25, 25]), 0.05)
    else:
        tip = (rng.uniform(0.45, 0.65), rng.uniform(-0.05, 0.25))
        outer = _arc((0.0, -0.95), (0.62, -0.5), tip)
        inner = _arc((-0.2, -0.95), (0.32, -0.5), tip)
        sketch.fill(_between(outer, inner) * (side, 1), person.hair * 0.95)


# Pixel coordinates of a finished image, for light.
_Y, _X = np.mgrid[:SIDE, :SIDE].astype(np.float32)


def _camera(image, pose, rng):
    """Light from one side, contrast, blur and noise, then 8 bits."""
    x = (_X - np.float32(pose.centre[0])) / np.float32(pose.scale)
    y = (_Y - np.float32(pose.centre[1])) / np.float32(pose.scale)
    direction, strength = pose.light
    depth = np.sqrt(np.maximum(0.05, 1 - (x / 0.9) ** 2 - (y / 1.15) ** 2))  # the head as an ellipsoid, lit
    light = 0.72 + 0.28 * depth + strength * (np.cos(direction) * x + np.sin(direction) * y)
    image = image * np.maximum(light, 0.15)
    contrast, level = rng.uniform(40, 72), rng.uniform(105, 150)
    image = (image - image.mean()) * np.float32(contrast / (image.std() + 4)) + np.float32(level)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.75))
    image = image + rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.5, 6.5))
    return np.clip(np.round(image), 0, 255).astype(np.uint8)
