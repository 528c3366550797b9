"""How the expressions of a film change: a summary and a plot, in memory that does not grow with the film."""

from collections import Counter

import numpy as np

from fergit.use.outputs import MARK
from fergit.use.recognizer import CLASSES, Face


class Course:
    """How the expression of a film's largest face changes, weighed by time, in constant memory.

    ``labels`` has the seconds of each expression, ``seconds`` and ``face_seconds`` all of them and those with a face.
    """

    BINS = 1024  # at most; then each two become one

    def __init__(self, name: str, classes: tuple[str, ...] = CLASSES):
        self.name, self.classes, self.frames, self.with_face, self.labels = name, classes, 0, 0, Counter()
        self.seconds, self.face_seconds, self.width = 0.0, 0.0, 1 / 30
        self.waiting, self.lasting = None, 1 / 25
        # For each bin: seconds x probabilities, seconds with a face, frames, and the frames' times.
        self.sums, self.faces = np.zeros((self.BINS, len(classes))), np.zeros(self.BINS)
        self.counts, self.times = np.zeros(self.BINS), np.zeros(self.BINS)

    def add(self, faces: list[Face], seconds: float):
        """Take in a frame's faces, the largest first; it lasts until the next one."""
        if self.waiting:
            self.lasting = max(0.0, seconds - self.waiting[1])
            self._count(*self.waiting, self.lasting)
        self.waiting = faces, seconds
        self.frames += 1
        self.with_face += bool(faces)

    def close(self, end: float = 0.0):
        """Take in the last frame, which lasts to the `end`, or where that is unknown as long as the one before it."""
        if self.waiting:
            self._count(*self.waiting, max(0.0, end - self.waiting[1]) or self.lasting)
            self.waiting = None

    def _count(self, faces, start, lasting):
        while start >= self.BINS * self.width:
            half = self.BINS // 2
            for array in (self.sums, self.faces, self.counts, self.times):
                array[:half] = array[::2] + array[1::2]
                array[half:] = 0
            self.width *= 2
        place = int(start / self.width)
        self.counts[place] += 1
        self.times[place] += start
        self.seconds += lasting
        if faces:
            self.sums[place] += lasting * np.array(list(faces[0].probabilities.values()))
            self.faces[place] += lasting
            self.face_seconds += lasting
            self.labels[faces[0].label] += lasting

    def summary(self) -> str:
        """A line that says what was seen."""
        shares = [f"{label} {time / self.face_seconds:.0%}" for label, time in self.labels.most_common() if time]
        of_largest = f"; the largest face, by time: {', '.join(shares)}" if shares else ""
        return f"{self.seconds:.1f} s, {self.frames} frames, {self.with_face} with a face{of_largest}"

    def draw(self, axes):
        """Draw the probabilities over the seconds; gaps are times without a face."""
        from matplotlib import colormaps

        seen = self.counts > 0
        if seen.any():
            with np.errstate(invalid="ignore"):
                means = self.sums[seen] / self.faces[seen, np.newaxis]
            seconds = self.times[seen] / self.counts[seen]
            if len(self.classes) > 10:  # more than colours follow one another
                axes.set_prop_cycle(color=colormaps["turbo"](np.linspace(0, 1, len(self.classes))))
            for label, values in zip(self.classes, means.T, strict=True):
                axes.plot(seconds, values, label=label, marker="." if seen.sum() < 50 else None)
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, ncols=1 + len(self.classes) // 14)
        axes.set(title=self.name, xlabel="seconds", ylabel="probability", ylim=(0, 1))


def plot_courses(courses, file):
    """Write a PNG with a panel for each course, with the probabilities of the largest face, to an open binary file."""
    from matplotlib.figure import Figure  # without a window system, and only who asks for a plot waits for it

    figure = Figure(figsize=(11, 3.2 * len(courses)), layout="constrained")
    for axes, course in zip(np.ravel(figure.subplots(len(courses), squeeze=False)), courses, strict=True):
        course.draw(axes)
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    file.write(MARK)
