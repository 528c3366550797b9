"""Strokes on a turned head, and the camera that takes its picture."""

import cv2
import numpy as np

from fergit.core.faces import SIDE

OVERSAMPLING = 3  # drawn so many times larger, then reduced: smooth edges
SOFT = 2  # the same for shades, which are blurred anyway
SHIFT = 4  # OpenCV's fractional bits of a coordinate
_Y, _X = np.mgrid[:SIDE, :SIDE].astype(np.float32)  # pixel coordinates of a finished image


class Sketch:
    """Strokes in head coordinates, drawn on one large canvas when all are known."""

    def __init__(self):
        self.strokes = []  # (kind, points, gray, width, lift)

    def fill(self, points, gray, lift=0.0):
        """An area."""
        self.strokes.append(("fill", points, gray, 0, lift))

    def line(self, points, gray, width, lift=0.0):
        """A line."""
        self.strokes.append(("line", points, gray, width, lift))

    def shade(self, points, amount, width=0.0, lift=0.0):
        """A soft stroke that darkens (or, negative, lightens) what it covers: an area, or a line of some width."""
        self.strokes.append(("soft line" if width else "soft fill", points, 128 - amount, width, lift))

    def render(self, background, pose):
        """Draw the strokes over the background, uint8 (144, 144); return the image, float32 (48, 48)."""
        lift = np.repeat([stroke[4] for stroke in self.strokes], [len(stroke[1]) for stroke in self.strokes])
        points = pose.project(np.concatenate([stroke[1] for stroke in self.strokes]), lift)
        sharp, coarse = (np.round(points * (times << SHIFT)).astype(np.int32) for times in (OVERSAMPLING, SOFT))
        soft = np.full((SIDE * SOFT, SIDE * SOFT), 128, np.uint8)
        start = 0
        for kind, shape, gray, width, _ in self.strokes:
            rows = slice(start, start := start + len(shape))
            is_soft = kind.startswith("soft")
            canvas, piece, times = (soft, coarse, SOFT) if is_soft else (background, sharp, OVERSAMPLING)
            gray = min(max(int(gray), 0), 255)
            if kind.endswith("fill"):
                cv2.fillPoly(canvas, [piece[rows]], gray, cv2.LINE_AA, SHIFT)
            else:
                thickness = max(1, round(width * (pose.scale * times)))
                cv2.polylines(canvas, [piece[rows]], False, gray, thickness, cv2.LINE_AA, SHIFT)
        image, shades = (cv2.resize(layer, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for layer in (background, soft))
        return image + cv2.GaussianBlur(shades.astype(np.float32) - 128, (5, 5), 0.035 * pose.scale)


class Pose:
    """How the head is turned, where it is in the frame, and where the light comes from."""

    def __init__(self, rng):
        self.yaw, self.pitch, roll = np.clip(rng.normal(0, 1, 3), -2, 2) * (0.16, 0.10, 0.11)
        self.scale = rng.uniform(23, 27.5)  # pixels of a finished image for one unit
        self.centre = (SIDE - 1) / 2 + rng.normal(0, 1.2, 2) + (0, 0.5)
        self.light = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)  # where from, how much
        self.rotation = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])

    def project(self, points, lift):
        """Head coordinates (n, 2) to pixels (n, 2): the features are on an ellipsoid that turns."""
        x, y = points[:, 0], points[:, 1]
        depth = 0.75 * np.sqrt(np.maximum(0, 1 - (x / 0.85) ** 2 - (y / 1.1) ** 2)) + lift
        turned_x = x * np.cos(self.yaw) + depth * np.sin(self.yaw)
        turned_y = y * np.cos(self.pitch) + depth * np.sin(self.pitch)
        return np.stack([turned_x, turned_y], axis=1) @ self.rotation * self.scale + self.centre


def background(rng):
    """A wall with a few large soft shapes, uint8 (144, 144)."""
    side = SIDE * OVERSAMPLING
    canvas = np.full((12, 12), rng.uniform(30, 225), np.float32)
    canvas += rng.normal(0, rng.uniform(0, 30), (12, 1)) + rng.normal(0, rng.uniform(0, 30), (1, 12))
    return cv2.resize(np.clip(canvas, 0, 255).astype(np.uint8), (side, side), interpolation=cv2.INTER_LINEAR)


def camera(image, pose, rng):
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
