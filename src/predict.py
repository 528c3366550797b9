"""Name the expressions in photographs, films and what a camera sees: ``python src/predict.py photo.jpg``."""

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

try:
    import cv2
    from tqdm import tqdm

    from fergit.core.errors import FergitError
    from fergit.core.files import write_atomically
    from fergit.use import photographs
    from fergit.use.recognizer import ExpressionRecognizer
    from fergit.use.predictions import Course, CsvFile, JsonFile, annotate, plot_courses
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"error: this Python ({sys.executable}) has no package {missing.name}; `make setup` makes an environment that "
        "has, and `.venv/bin/python src/predict.py` runs in it"
    ) from None

EXAMPLES = """examples:
  python src/predict.py photo.jpg
  python src/predict.py holiday/ --csv faces.csv --annotated marked/
  python src/predict.py talk.mp4 --json faces.json --timeline talk.png
  python src/predict.py --camera 0          (until Ctrl-C)
  python src/predict.py group.jpg --smallest 0.03

The exit status is 0 if every file could be read, faces or not; 1 if one could not; 2 for a wrong command.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="predict.py",
        description="Find the faces in photographs, films or what a camera sees, and name each one's expression.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a photograph, a film, or a folder of both")
    parser.add_argument("--camera", type=int, metavar="N", help="a camera, 0 for the first")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each face (and frame of a film)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each picture (or frame) with its faces")
    parser.add_argument("--annotated", type=Path, metavar="FOLDER", help="write copies with the faces marked")
    parser.add_argument("--timeline", type=Path, metavar="FILE", help="plot a film's expressions over time, as PNG")
    parser.add_argument(
        "--smallest",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="smallest face sought, as a share of the picture's shorter side (0.1); half of it: four times as long",
    )
    options = parser.parse_args(arguments)
    if not options.paths and options.camera is None:
        parser.error("name a photograph, a film or a folder, or --camera 0")
    if not 0.01 <= options.smallest <= 1:
        parser.error(f"--smallest is {options.smallest:g}; allowed: 0.01 to 1")
    return options


class Job:
    """One run of the command: what is read, where results go, what failed."""

    def __init__(self, options, recognizer):
        self.recognizer, self.annotated = recognizer, options.annotated
        self.failed, self.writers, self.courses = 0, [], []
        self.inputs = []  # (path or camera, name of the annotated copy)
        for path in options.paths:
            self.collect(path)
        if options.camera is not None:
            self.inputs.append((options.camera, Path(f"camera-{options.camera}.mp4")))
        self.refuse_clashes()
        if options.timeline and not any(self.is_film(source) for source, _ in self.inputs):
            raise FergitError("--timeline: there is no film among what is to be read, and no camera")
        self.width = max((len(str(path)) for path, _ in self.inputs), default=0)

    def collect(self, path):
        try:
            if not path.is_dir():
                self.inputs.append((path, Path(path.name)))
                return
            copies = self.annotated.resolve() if self.annotated else None
            for file in photographs.find(path):
                # Copies of an earlier run, in a folder within this one, are not read.
                if copies is None or path.resolve() not in copies.parents or copies not in file.resolve().parents:
                    self.inputs.append((file, file.relative_to(path)))
        except FergitError as error:
            self.fail(error)

    def refuse_clashes(self):
        """No copy may overwrite another, nor a picture that is read."""
        if self.annotated is None:
            return
        taken = {}
        for number, (source, name) in enumerate(self.inputs):
            if self.is_film(source):
                name = name.with_suffix(".mp4")
            elif name.suffix.lower() not in photographs.PHOTOGRAPHS:
                name = Path(f"{name}.png")
            target = self.annotated / name
            self.inputs[number] = (source, name)
            if target in taken or (isinstance(source, Path) and target.resolve() == source.resolve()):
                raise FergitError(
                    f"--annotated: {target} would overwrite {taken.get(target, source)}; choose otherwise"
                )
            taken[target] = source

    @staticmethod
    def is_film(source):
        return not isinstance(source, Path) or photographs.is_film(source)

    def fail(self, error):
        self.failed += 1
        tqdm.write(f"error: {error}", file=sys.stderr)

    @staticmethod
    def say(line):
        tqdm.write(line, file=sys.stdout)

    def row(self, *cells):
        name, number, label, probability, box, confidence = cells
        self.say(
            f"{name:<{self.width}}  {number:>4}  {label:<10}  {probability:>11}  {box:>24}  {confidence:>9}".rstrip()
        )

    def run(self):
        if not all(self.is_film(source) for source, _ in self.inputs):
            self.row("file", "face", "expression", "probability", "x, y, width, height", "detection")
        # On a terminal only; a bar with the remaining time.
        for source, name in tqdm(self.inputs, unit="file", disable=None if len(self.inputs) > 1 else True, leave=False):
            try:
                (self.film if self.is_film(source) else self.photograph)(source, name)
            except FergitError as error:
                self.fail(error)

    def photograph(self, path, name):
        picture = photographs.read(path)
        faces = self.recognizer.predict(picture, "bgr", name=path)
        for writer in self.writers:
            writer.add(str(path), faces)
        for number, face in enumerate(faces, start=1):
            box = ", ".join(map(str, face.box))
            self.row(str(path), number, face.label, f"{face.probability:.0%}", box, f"{face.confidence:.2f}")
        if not faces:
            self.row(str(path), "", "no face", "", "", "")
        if self.annotated:
            done = False
            with photographs.quiet(), contextlib.suppress(cv2.error):
                done, data = cv2.imencode(name.suffix, annotate(picture, faces))
            if not done:  # a WebP has no more than 16,383 pixels a side
                size = f"{picture.shape[1]}x{picture.shape[0]}"
                raise FergitError(f"{self.annotated / name}: {size} pixels are too many for this format")
            with write_atomically(self.annotated / name) as file:
                file.write(data.tobytes())

    def film(self, source, name):
        film = photographs.Film(source)
        course = Course(film.name)
        self.courses.append(course)
        said, start = None, time.monotonic()
        with contextlib.ExitStack() as stack:
            marked = None
            bar = tqdm(film, film.name, film.frames or None, leave=False, unit="frame", disable=None)
            try:
                for number, frame in enumerate(bar):
                    seconds = time.monotonic() - start if film.camera else number / film.rate
                    faces = self.recognizer.predict(frame, "bgr", thorough=False, name=film.name)
                    course.add(faces, seconds)
                    for writer in self.writers:
                        writer.add(film.name, faces, number, seconds)
                    if self.annotated:
                        marked = marked or stack.enter_context(
                            write_film(self.annotated / name, film.rate, frame.shape)
                        )
                        marked.write(annotate(frame, faces))
                    if film.camera and faces and faces[0].label != said:
                        said = faces[0].label
                        self.say(f"{seconds:8.1f} s  {said:<10} {faces[0].probability:>4.0%}")
            except KeyboardInterrupt:
                if not film.camera:  # whose only end it is
                    raise
            except FergitError as error:  # cut short: what there was counts
                self.fail(error)
        self.say(course.summary())


@contextlib.contextmanager
def write_film(path, rate, shape):
    """Yield a writer of frames to an MP4 that takes its place under `path` only when all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.mp4")  # OpenCV goes by the suffix
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter_fourcc(*"mp4v"), rate, shape[1::-1])
    try:
        if not writer.isOpened():
            raise FergitError(f"{path}: cannot be written")
        yield writer
        writer.release()
        os.replace(partial, path)
    finally:
        writer.release()
        partial.unlink(missing_ok=True)


def main(arguments=None, recognizer=None):
    """Run the command; its exit status. `recognizer` stands in for the shipped one."""
    options = parse(arguments)
    try:
        job = Job(options, recognizer or ExpressionRecognizer(smallest=options.smallest))
        with contextlib.ExitStack() as files:
            # Opened first, so that what cannot be written is known before the work.
            for kind, path in ((CsvFile, options.csv), (JsonFile, options.json)):
                if path:
                    job.writers.append(kind(files.enter_context(write_atomically(path))))
            job.run()
            for writer in job.writers:
                writer.close()
        if options.timeline and job.courses:
            with write_atomically(options.timeline) as file:
                plot_courses(job.courses, file)
    except KeyboardInterrupt:
        print("interrupted; no table is written", file=sys.stderr)
        return 130
    except FergitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 1 if job.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
