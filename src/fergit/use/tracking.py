"""Who is who in a video: each person keeps a number, also through short gaps."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from fergit.core.faces import SIDE
from fergit.use.recognizer import Face

# benchmarks/films.py measures how often a number changes with these.
GAP = 2.0  # seconds that a person may be out of sight and keeps the number, or one and a half steps if that is longer
APART, DRIFT = 1.0, 1.5  # sides that a face may be away from where it was expected, and more for each second unseen
LARGER = 1.6  # times that it may be larger or smaller
UNLIKE = 3.0  # the cost of looks: this times 1 less the correlation of two faces; being away by a side costs 1
MISSED = 0.3  # what it costs not to have been seen in the frame before, or two tracks of one person would take turns
STRANGER = 3.0  # what a new number costs
NEVER = 99.0  # the cost of who it cannot be
KEPT, REMEMBERED = 0.85, 0.95  # of a person's speed and looks from frame to frame; the rest is what is new
LOOK = 16  # pixels a side of a face as it is remembered


@dataclass
class Track:
    """Where someone was seen last and when, how fast they went, in pixels a second, and how they look."""

    place: np.ndarray
    seconds: float
    speed: np.ndarray
    look: np.ndarray


class Tracker:
    """Numbers persons by where their faces are and how these look. One tracker a film.

    Each person is expected to go on about as fast as before. Looks tell apart who comes back from a gap or crosses
    another's way: the correlation of the blurred crop with the mean of the person's earlier ones. Faces without a crop
    all look alike.
    """

    def __init__(self):
        self.count, self.persons = 0, {}  # {number: Track}
        self.seconds, self.step = -np.inf, np.inf  # of the frame before, and from the one before that to it

    def follow(self, faces: list[Face], seconds: float) -> list[int]:
        """The numbers of a frame's faces, from 1 on; frames come in the order of their time."""
        last, self.seconds = self.seconds, seconds
        self.step, before = seconds - last, self.step
        gap = max(GAP, 1.5 * min(self.step, before))  # the shorter, for a camera may stand still for a while
        self.persons = {number: one for number, one in self.persons.items() if seconds - one.seconds <= gap}
        seen = [Track(_place(face.box), seconds, np.zeros(2), _look(face.crop)) for face in faces]
        known = [*self.persons.items()]
        costs = np.full((len(seen), len(known) + len(seen)), STRANGER)
        for row, one in enumerate(seen):
            costs[row, : len(known)] = [_cost(earlier, one) + MISSED * (earlier.seconds < last) for _, earlier in known]
        numbers = []
        for one, column in zip(seen, linear_sum_assignment(costs)[1], strict=True):
            if column < len(known):
                number, earlier = known[column]
                lasting, one.speed = seconds - earlier.seconds, earlier.speed
                if lasting > 0:
                    one.speed = KEPT * earlier.speed + (1 - KEPT) * (one.place - earlier.place)[:2] / lasting
                one.look = REMEMBERED * earlier.look + (1 - REMEMBERED) * one.look
            else:
                self.count = number = self.count + 1
            self.persons[number] = one
            numbers.append(number)
        return numbers


def _cost(earlier, one):
    """The cost of taking a face for that of a person who was seen earlier."""
    unseen = one.seconds - earlier.seconds
    expected = earlier.place[:2] + earlier.speed * min(unseen, 1)
    apart = np.hypot(*(one.place[:2] - expected)) / np.exp(max(earlier.place[2], one.place[2]))
    larger = abs(one.place[2] - earlier.place[2]) / np.log(LARGER)
    if apart > APART + DRIFT * min(unseen, GAP) or larger > 1:
        return NEVER
    unlike = 1 - earlier.look @ one.look / np.linalg.norm(earlier.look)
    return apart / (1 + unseen) + larger + UNLIKE * unlike


def _place(box):
    """The middle of a box, and the logarithm of its side."""
    x, y, width, height = box
    return np.array([x + width / 2, y + height / 2, np.log(max(width, height))])


def _look(crop):
    """A face of uint8 (48, 48), blurred and small, the same at any brightness and contrast: float (257,), length 1."""
    crop = np.zeros((SIDE, SIDE), np.uint8) if crop is None else crop
    small = cv2.resize(cv2.GaussianBlur(crop, (0, 0), 3), (LOOK, LOOK), interpolation=cv2.INTER_AREA).astype(float)
    look = np.append(small - small.mean(), 4 * LOOK)  # which makes areas alike that hardly have any contrast
    return look / np.linalg.norm(look)
