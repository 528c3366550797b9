"""How the expressions of the persons in a video change: a summary and a plot, in memory that does not grow."""

from collections import Counter

import numpy as np

from fergit.use.outputs import MARK
from fergit.use.recognizer import CLASSES, Face

BINS = 1024  # at most; then each two become one
PERSONS = 40  # kept at most: of those out of sight, whoever was seen for the shortest time goes
NAMED, DRAWN = 3, 8  # persons in a summary, and in a video's plot: who was seen longest
PANELS = 40  # of a plot at most, for a picture has no more than 65,535 pixels a side


class Person:
    """What is known of a person: ``seconds`` in sight, ``labels`` those of each expression, and sums for each bin."""

    def __init__(self, classes):
        self.seconds, self.labels = 0.0, Counter()
        self.sums, self.lasting = np.zeros((BINS, classes)), np.zeros(BINS)  # of seconds x probabilities, seconds

    def add(self, face, place, lasting):
        self.seconds += lasting
        self.labels[face.label] += lasting
        self.sums[place] += lasting * np.array(list(face.probabilities.values()))
        self.lasting[place] += lasting

    def shares(self):
        """Its expressions by time, as text."""
        return ", ".join(f"{label} {time / self.seconds:.0%}" for label, time in self.labels.most_common() if time)


class Course:
    """How the expression of each person in a video changes, weighed by time, in constant memory.

    ``persons`` has them by their numbers, ``highest`` is the highest number so far.
    """

    def __init__(self, name: str, classes: tuple[str, ...] = CLASSES):
        self.name, self.classes, self.frames, self.with_face, self.seconds, self.persons = name, classes, 0, 0, 0.0, {}
        self.width, self.waiting, self.lasting, self.highest = 1 / 30, None, 1 / 25, 0
        self.counts, self.times = np.zeros(BINS), np.zeros(BINS)  # for each bin: frames, and their times

    def add(self, faces: list[Face], seconds: float):
        """Take in a frame's faces; it lasts until the next one."""
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
        while start >= BINS * self.width:
            sums = [array for person in self.persons.values() for array in (person.sums, person.lasting)]
            for array in (self.counts, self.times, *sums):
                array[: BINS // 2] = array[::2] + array[1::2]
                array[BINS // 2 :] = 0
            self.width *= 2
        place = int(start / self.width)
        self.counts[place] += 1
        self.times[place] += start
        self.seconds += lasting
        for face in faces:
            self.persons.setdefault(face.person, Person(len(self.classes))).add(face, place, lasting)
            self.highest = max(self.highest, face.person)
        here = {face.person for face in faces}
        while len(self.persons) > PERSONS:
            away = self.persons.keys() - here or self.persons
            del self.persons[min(away, key=lambda number: (self.persons[number].seconds, number))]

    def longest(self):
        """The persons by the time in sight, the longest first: list of (number, Person)."""
        return sorted(self.persons.items(), key=lambda one: -one[1].seconds)

    def summary(self) -> str:
        """A line that says who was seen."""
        seen = [f"; person {number}, {one.seconds:.1f} s: {one.shares()}" for number, one in self.longest()]
        more = self.highest - NAMED
        tail = f"; {more} more" if more > 0 else ""
        return f"{self.seconds:.1f} s, {self.frames} frames, {self.with_face} with a face{''.join(seen[:NAMED])}{tail}"

    def draw(self, axes, number, person):
        """Draw a person's probabilities over the seconds; gaps are times out of sight."""
        from matplotlib import colormaps

        seen = self.counts > 0
        with np.errstate(invalid="ignore"):
            means = person.sums[seen] / person.lasting[seen, np.newaxis]
        if len(self.classes) > 10:  # more than colours follow one another
            axes.set_prop_cycle(color=colormaps["turbo"](np.linspace(0, 1, len(self.classes))))
        for label, values in zip(self.classes, means.T, strict=True):
            axes.plot(
                self.times[seen] / self.counts[seen], values, label=label, marker="." if seen.sum() < 50 else None
            )
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, ncols=1 + len(self.classes) // 14)
        axes.set(title=f"{self.name}, person {number}")


def plot_courses(courses, file):
    """Write a PNG with a panel for each person of each course, `PANELS` at most, to an open binary file."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # without a window system, and only who asks for a plot waits for it

    panels = [(course, *one) for course in courses for one in course.longest()[:DRAWN] or [(None, None)]]
    shown = panels[:PANELS]
    with rc_context({"text.parse_math": False}):  # a video's name may have two $
        figure = Figure(figsize=(11, 3.2 * len(shown)), layout="constrained")
        if len(panels) > PANELS:
            figure.suptitle(f"The first {PANELS} of {len(panels)} panels")
        for axes, (course, number, person) in zip(figure.subplots(len(shown), squeeze=False).flat, shown, strict=True):
            if person:
                course.draw(axes, number, person)
            else:
                axes.set(title=f"{course.name}: no face")
            axes.set(xlabel="seconds", ylabel="probability", ylim=(0, 1), xlim=(0, max(course.seconds, 0.1)))
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    file.write(MARK)
