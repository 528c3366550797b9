"""The strokes of a face in the coordinates of the head: x to the right, y down, chin at y = 1, crown at y = -1."""

import numpy as np

from fergit.data.sketch import Pose, Sketch, background, camera

_T = np.linspace(0, 1, 7)
_BEZIER = np.stack([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)
_UPPER_HALF = np.r_[30:40, 0:11]  # of the 40 points of a head's outline, from left to right
_CIRCLE = np.stack([np.cos(2 * np.pi * np.arange(16) / 16), np.sin(2 * np.pi * np.arange(16) / 16)], axis=1)
_TAPER = np.stack([0 * _T, 1.2 - _T], axis=1)
SIDES = ((1, 1), (-1, 1))  # right and left, as factors of coordinates


def photograph(person, units, rng):
    """One finished image, uint8 (48, 48), of `synthetic.identity` with `synthetic.action_units`."""
    pose = Pose(rng)
    canvas = background(rng)
    sketch = Sketch()
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
    return camera(sketch.render(canvas, pose), pose, rng)


def _arc(start, middle, end):
    """Seven points of the parabola from ``start`` through ``middle`` to ``end``, (7, 2)."""
    (x0, y0), (x1, y1), (x2, y2) = start, middle, end
    return _BEZIER @ np.array([(x0, y0), (2 * x1 - (x0 + x2) / 2, 2 * y1 - (y0 + y2) / 2), (x2, y2)])


def _arch(width, y, middle):
    """The arc from (-width, y) through (0, middle) to (width, y)."""
    return _arc((-width, y), (0, middle), (width, y))


def _between(upper, lower):
    """The closed region between two curves that run the same way."""
    return np.concatenate([upper, lower[::-1]])


def _jaw(outline, drop):
    """An outline whose lower part follows the mouth."""
    y = outline[:, 1]
    return outline + np.stack([0 * y, np.clip(y - 0.2, 0, None) * drop * 0.6], axis=1)


def _head(sketch, person, drop):
    """Hair behind, shoulders, neck, ears, and the face without features."""
    skin, width = person.skin, person.width
    falls = person.style in ("long", "bob")  # straight, at the sides
    back = (person.outline * (1 + person.volume, 1 + person.volume * 0.7))[_UPPER_HALF]
    if falls:
        length, edge = 1.5 if person.style == "long" else 0.75, width * 1.1 + person.volume * 0.6
        back = np.concatenate([back, [(edge, length), (-edge, length)]])
    if person.style != "bald":
        sketch.fill(back, person.hair * 0.85)
    sketch.fill(np.array([(-0.42, 0.6), (0.42, 0.6), (0.46, 1.5), (-0.46, 1.5)]), skin * 0.65)
    shoulders = [(-1.5, 1.6), (-1.1, 1.28), (-0.45, 1.14), (0, 1.36), (0.45, 1.14), (1.1, 1.28), (1.5, 1.6)]
    sketch.fill(np.array(shoulders), person.clothes)
    if not falls:
        for side in (-1, 1):
            sketch.fill(_CIRCLE * (0.09, 0.17) + (side * (width + 0.02), 0.06), skin * 0.85)
    sketch.fill(_jaw(person.outline, drop), skin)


def _beard(sketch, person, drop):
    """A beard along the jaw."""
    if person.beard:
        edge = person.outline[10:31]  # ear, chin, ear
        inner = edge * (0.80, 0.58) + (0, 0.17 + drop * 0.7)
        gray = person.skin + (person.beard_gray - person.skin) * person.beard
        sketch.fill(_between(_jaw(edge, drop), inner), gray)


def _folds(sketch, person, units, drop):
    """What skin does under moving muscles, and under age: folds, wrinkles, cheeks."""
    age, deep, smile, cheek = person.age, person.skin * 0.5, units[12], units[6]
    x, y = person.eye_x, person.eye_y
    for flip in SIDES:
        side = flip[0]
        fold = 0.25 * age + 0.55 * smile + 0.5 * units[10] + 0.4 * units[9] + 0.1 * units[20]
        wide = 0.08 * smile + 0.03 * units[10]
        nose = (person.nose_width + 0.02, person.nose_y - 0.06 - 0.04 * units[9])
        corner = (person.mouth_width + 0.09 + wide, person.mouth_y - 0.05 * smile + drop * 0.3)
        middle = ((nose[0] + corner[0]) / 2 + 0.03 + 0.05 * smile, (nose[1] + corner[1]) / 2 - 0.02)
        sketch.shade(_arc(nose, middle, corner) * flip, deep * min(fold, 1.2), 0.05)
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
        line = _arch(0.35, y + 0.02, y - 0.02 + 0.03 * (units[1] - units[2]))
        sketch.shade(line, deep * (0.3 * age + 0.45 * raised), 0.035)
    chin = _arch(0.13, person.mouth_y + 0.20 + drop, person.mouth_y + 0.15 + drop)
    sketch.shade(chin, deep * (0.3 + 0.5 * units[17]), 0.06)


def _eyes(sketch, person, units, gaze):
    """Lids, white, iris and pupil; the lids cut the iris."""
    width = person.eye_width
    wide = 1 + 0.6 * units[5] - 0.45 * units[7] - 0.25 * units[6] - 0.2 * units[9]
    upper = 0.082 * person.eye_height * max(wide, 0.2)
    wide = 1 + 0.15 * units[5] - 0.5 * units[7] - 0.6 * units[6] - 0.3 * units[9]
    lower = 0.055 * person.eye_height * max(wide, -0.2)
    # The outer corner sinks when only the inner brow rises.
    slant = person.eye_slant + 0.02 * max(units[1] - units[2], 0)
    top, bottom = _arc((-width, 0), (0.01, -upper), (width, slant)), _arc((-width, 0), (0, lower), (width, slant))
    for flip in SIDES:
        side, centre = flip[0], (flip[0] * person.eye_x, person.eye_y)
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
    half, curve = person.brow_thickness / 2, _arc(inner, middle, outer)
    for flip in SIDES:
        sketch.fill(_between(curve - half * _TAPER, curve + half * _TAPER) * flip, person.brow_gray)


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
    top, bottom = _arch(width, corner, upper), _arch(width, corner, lower)
    lip = person.lip * thin
    lip_top = _arch(width + 0.015, corner, upper - lip - 0.012 * units[10])
    lip_top[3, 1] += lip * 0.35  # Cupid's bow
    lip_bottom = _arch(width + 0.015, corner, lower + lip * 1.5 + 0.01 * units[17])
    if person.moustache:
        edge = _arch(width * 0.95, corner - 0.02, upper - lip - 0.11)
        sketch.fill(_between(edge, lip_top), (person.beard_gray + person.skin * 0.3) / 1.3)
    sketch.fill(_between(lip_top, lip_bottom), person.lip_gray)
    if drop > 0.015:
        sketch.fill(_between(top, bottom), 22)
        bared = min(1, 0.25 + units[10] + units[12] + units[20])  # a dropped jaw alone shows few teeth
        row = np.minimum(top + (0, min(0.75 * drop, 0.075) * bared), bottom + (0, 0.0))
        sketch.fill(_between(top[1:-1], row[1:-1]), 205)
    else:
        sketch.line(bottom, person.lip_gray * 0.35, 0.03 + 0.01 * units[24])
    for flip in SIDES:  # the corners are the darkest part of a closed mouth
        sketch.shade(np.array([(0, 0), (0.03, 0.02 * units[15])]) * flip + (flip[0] * width, corner), 50, 0.05)
    sketch.shade(lip_bottom[1:-1] + (0, 0.05), person.skin * 0.2, 0.05)


def _nose(sketch, person, units, light):
    """Bridge, wings and nostrils; flanks shaded away from the light (-1 left, 1 right); units 9, 10 lift the wings."""
    width, lift = person.nose_width + 0.02 * units[9] + 0.015 * units[12], 0.12
    y = person.nose_y - 0.05 * units[9] - 0.015 * units[10]
    sketch.shade(np.array([(0, person.eye_y), (0, y - 0.06)]), -25, 0.05, lift / 2)
    for flip in SIDES:
        flank = _arc((0.09, person.eye_y - 0.06), (0.05, 0.08), (width, y))
        sketch.shade(flank * flip, person.skin * (0.20 - 0.14 * flip[0] * light + 0.15 * units[9]), 0.05, lift / 2)
        wing = _arc((width - 0.01, y - 0.07), (width + 0.02, y - 0.01), (width - 0.03, y + 0.025))
        sketch.shade(wing * flip, person.skin * (0.3 + 0.2 * units[9]), 0.03, lift / 2)
        nostril = _CIRCLE * (0.032, 0.016) + (width * 0.5, y + 0.03)
        sketch.fill(nostril * flip, person.skin * 0.32, lift)
    sketch.shade(_arch(width, y + 0.03, y + 0.06), person.skin * 0.28, 0.035, lift)


def _hair(sketch, person):
    """What hair covers of the forehead."""
    if person.style == "bald":
        return
    line, width = person.hairline, person.width
    crown = person.outline[_UPPER_HALF[1:-1]] * (1 + person.volume * 0.5, 1 + person.volume * 0.7)
    temple = 0.10 if person.style != "receding" else -0.25
    left, right = (-width * 0.97, -0.25 + temple), (width * 0.97, -0.25 + temple)
    parts = (-0.4, -0.42), (0, -0.40), (0.4, -0.42)
    if not person.fringe:
        parts = (-width * 0.72, line + 0.06), (person.parting * 0.6, line - 0.08), (width * 0.72, line + 0.06)
    edge = np.concatenate([_arc(left, parts[0], parts[1]), _arc(parts[1], parts[2], right)])
    sketch.fill(_between(crown, edge), person.hair)
    for k in range(1, min(len(crown), len(edge)) - 1, 2):  # strands
        sketch.shade(np.array([crown[k], edge[k]]), 22 if k % 4 == 1 else -22, 0.035)


def _glasses(sketch, person, rng):
    gray, thick = rng.choice([15, 15, 60, 200]), rng.uniform(0.025, 0.05)
    radius = np.array([rng.uniform(0.21, 0.25), rng.uniform(0.15, 0.2)])
    rim = np.sign(_CIRCLE) * np.abs(_CIRCLE) ** rng.uniform(0.5, 1.0) * radius
    rim = np.concatenate([rim, rim[:1]])
    y = person.eye_y + 0.01
    for flip in SIDES:
        sketch.line(rim + (flip[0] * person.eye_x, y), gray, thick, 0.08)
        sketch.line(np.array([(person.eye_x + radius[0], y - 0.05), (person.width, y - 0.07)]) * flip, gray, thick)
    sketch.line(_arch(person.eye_x - radius[0], y - 0.04, y - 0.07), gray, thick, 0.1)


def _occlusion(sketch, person, rng):
    """A hand on the cheek, a scarf over the chin, or a lock over one brow."""
    kind, side = rng.choice(["hand", "scarf", "lock"]), rng.choice([-1, 1])
    if kind == "hand":
        skin = person.skin * 0.93
        for k in range(4):
            tip = (0.62 - 0.13 * k, 0.30 + 0.12 * k + rng.normal(0, 0.03))
            finger = np.array([tip, (0.75 - 0.10 * k, 1.3)]) * (side, 1)
            sketch.line(finger, skin * 0.6, 0.15)
            sketch.line(finger, skin, 0.12)
    elif kind == "scarf":
        top = 0.72 + rng.uniform(0, 0.15)
        scarf = _between(_arch(1.0, top - 0.1, top + 0.1), np.array([(-1.2, 1.6), (1.2, 1.6)]))
        sketch.fill(scarf, person.clothes)
        for k in range(3):
            fold = _arch(0.9, top + 0.1 + 0.12 * k, top + 0.25 + 0.12 * k)
            sketch.shade(fold, rng.choice([-25, 25]), 0.05)
    else:
        tip = (rng.uniform(0.45, 0.65), rng.uniform(-0.05, 0.25))
        outer, inner = _arc((0.0, -0.95), (0.62, -0.5), tip), _arc((-0.2, -0.95), (0.32, -0.5), tip)
        sketch.fill(_between(outer, inner) * (side, 1), person.hair * 0.95)
