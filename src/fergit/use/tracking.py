"""Who is who in a film: each person keeps a number, also through short gaps."""

import numpy as np
from scipy.optimize import linear_sum_assignment

GAP = 2.0  # seconds that a person may be out of sight and keeps the number, or one and a half steps if that is longer
APART, DRIFT = 1.0, 1.5  # sides that a face may be away from where it was expected, and more for each second unseen
LARGER = 1.6  # times that it may be larger or smaller
FAR = 99.0  # the cost of who it cannot be
KEPT = 0.85  # of a person's speed from frame to frame; the rest is what is new


class Tracker:
    """Numbers persons by where their faces are: each goes on about as fast as before. One tracker a film."""

    def __init__(self):
        self.count, self.persons = 0, {}  # {number: (place, seconds, speed)}
        self.seconds, self.step = -np.inf, np.inf  # of the frame before, and from the one before that to it

    def follow(self, boxes: list[tuple[int, int, int, int]], seconds: float) -> list[int]:
        """The numbers of a frame's faces, from 1 on, by their boxes; frames come in the order of their time."""
        self.step, before, self.seconds = seconds - self.seconds, self.step, seconds
        gap = max(GAP, 1.5 * min(self.step, before))  # the shorter, for a camera may stand still for a while
        self.persons = {number: one for number, one in self.persons.items() if seconds - one[1] <= gap}
        known = list(self.persons)
        places = [_place(box) for box in boxes]
        costs = np.array([[self._cost(self.persons[number], place, seconds) for number in known] for place in places])
        numbers = [0] * len(boxes)
        if costs.size:
            for row, column in zip(*linear_sum_assignment(costs), strict=True):
                if costs[row, column] < FAR:
                    numbers[row] = known[column]
        for row, place in enumerate(places):
            speed = np.zeros(2)
            if numbers[row]:
                last, then, speed = self.persons[numbers[row]]
                lasting = seconds - then
                if lasting > 0:
                    speed = KEPT * speed + (1 - KEPT) * (place - last)[:2] / lasting
            else:
                self.count += 1
                numbers[row] = self.count
            self.persons[numbers[row]] = place, seconds, speed
        return numbers

    @staticmethod
    def _cost(person, place, seconds):
        before, then, speed = person
        unseen = seconds - then
        expected = before[:2] + speed * min(unseen, 0.5)
        apart = np.hypot(*(place[:2] - expected)) / np.exp(max(before[2], place[2]))
        larger = abs(place[2] - before[2]) / np.log(LARGER)
        return apart + larger if apart < APART + DRIFT * min(unseen, GAP) and larger < 1 else FAR


def _place(box):
    """The middle of a box, and the logarithm of its side."""
    x, y, width, height = box
    return np.array([x + width / 2, y + height / 2, np.log(max(width, height))])
