"""Name the expressions in photographs, videos and what a camera sees: ``python src/predict.py photo.jpg``."""

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
from pathlib import Path

try:
    import cv2
    from tqdm import tqdm

    from fergit.core.errors import FergitError
    from fergit.data.images import quiet
    from fergit.use import photographs
    from fergit.use.course import Course, plot_courses
    from fergit.use.films import ADDRESS, CAMERAS, Film, without_password, write_film
    from fergit.use.outputs import FULL, MARK, NothingRead, Outputs, once, open_output, some_path, unused, unwritable
    from fergit.use.recognizer import ExpressionRecognizer, add_options
    from fergit.use.tracking import Tracker
    from fergit.use.writers import CsvFile, JsonFile, annotate, shown
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"error: this Python ({sys.executable}) has no package {missing.name}; `make setup` makes an environment that "
        "has it; then run `.venv/bin/python src/predict.py`"
    ) from None
except KeyboardInterrupt:
    sys.exit(130)

WRITTEN = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")  # of annotated copies; others become PNG

EXAMPLES = """examples:
  python src/predict.py photo.jpg
  python src/predict.py holiday/ --csv faces.csv --annotated marked/
  python src/predict.py talk.mp4 --json faces.json --timeline talk.png
  python src/predict.py long.mp4 --fps 5 --csv faces.csv
  python src/predict.py --camera 0          (until Ctrl-C)
  python src/predict.py --url rtsp://camera.local/stream --csv faces.csv
  python src/predict.py group.jpg --smallest 0.02

The exit status is 0 if every photograph and video could be read, with faces or without; 1 if one could not; 2 for a
wrong command; 130 after Ctrl-C. An interrupted run keeps what it found so far.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="predict.py",
        description="Find the faces in photographs, videos or what a camera sees, and name each one's expression.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="*", type=some_path, metavar="PATH", help="a photograph, a video, or a folder of both"
    )
    parser.add_argument("--camera", type=int, metavar="N", help="a camera, 0 for the first")
    parser.add_argument("--url", help="a video or a camera in the network: rtsp, rtsps, http or https")
    parser.add_argument(
        "--csv", type=some_path, metavar="FILE", help="write a row for each face (and frame of a video)"
    )
    parser.add_argument("--json", type=some_path, metavar="FILE", help="write each picture (or frame) with its faces")
    parser.add_argument("--annotated", type=some_path, metavar="FOLDER", help="write copies with the faces marked")
    parser.add_argument("--timeline", type=some_path, metavar="FILE", help="plot a video's expressions over time (PNG)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="search every Nth frame of a video only")
    parser.add_argument("--fps", type=float, default=0, metavar="F", help="search at most F frames a second of a video")
    parser.add_argument("--overwrite", action="store_true", help="also replace files that predict.py did not write")
    add_options(parser)
    options = parser.parse_args(arguments)
    options.paths = once(options.paths)
    if not options.paths and options.camera is None and not options.url:
        parser.error("name a photograph, a video or a folder, or --camera 0, or --url ADDRESS")
    if options.camera is not None and not 0 <= options.camera < CAMERAS:
        parser.error(f"--camera is {options.camera}; allowed: 0 to {CAMERAS - 1}")
    if options.url and not ADDRESS.match(options.url):
        parser.error("--url must begin with rtsp://, rtsps://, http:// or https://")
    if options.every < 1:
        parser.error(f"--every is {options.every}; it must be at least 1")
    if not 0 <= options.fps < float("inf"):
        parser.error(f"--fps is {options.fps:g}; it must be a positive number")
    if options.timeline and options.timeline.suffix.lower() not in ("", ".png"):
        parser.error(f"--timeline is {options.timeline}; it becomes a PNG, so its name must end in .png")
    return options


class Job:
    """One run of the command: what is read, where results go, what failed."""

    def __init__(self, options, recognizer):
        self.recognizer, self.options = recognizer, options
        self.annotated, self.timeline = options.annotated, options.timeline
        self.failed, self.pictures, self.writers, self.courses = 0, 0, [], []  # pictures: photographs and frames read
        self.inputs = []  # (path, camera or address; name of the annotated copy)
        self.folders = []  # names of the copies' folders, where several are read
        for path in options.paths:
            self.collect(path)
        if options.camera is not None:
            self.inputs.append((options.camera, Path(f"camera-{options.camera}.mp4")))
        if options.url:
            self.inputs.append((options.url, Path("url.mp4")))
        sources = {source for source, _ in self.inputs}
        self.films = {one for one in sources if not isinstance(one, Path) or photographs.is_film(one)}
        self.claim(options)
        self.longest = max(10, *(len(shown(name)) for name in recognizer.classes))  # of the labels
        self.width = max((len(shown(path)) for path, _ in self.inputs), default=0)

    def collect(self, path):
        try:
            if not os.path.isdir(path):  # Path.is_dir raises where it may not look
                self.inputs.append((path, Path(path.name)))
                return
            within, failed = "", self.failed
            if sum(map(os.path.isdir, self.options.paths)) > 1:  # both may have IMG_1.jpg
                name = path.resolve().name
                within = f"{name}-{self.folders.count(name) + 1}" if name in self.folders else name
                self.folders.append(name)
            files, others = photographs.find(path, self.fail)
            copies = self.annotated.resolve() if self.annotated else None
            for file in files:
                # Copies of an earlier run, in a folder within this one, are not read.
                if copies is None or path.resolve() not in copies.parents or copies not in file.resolve().parents:
                    self.inputs.append((file, within / file.relative_to(path)))
            left = f"files that are not read: {', '.join(f'{n} {suffix}' for suffix, n in sorted(others.items()))}"
            if not files and failed == self.failed:
                raise FergitError(f"{path}: holds no photograph or video{f'; {left}' if others else ''}")
            if others:
                tqdm.write(shown(f"note: {path} holds {left}"), file=sys.stderr)
        except FergitError as error:
            self.fail(error)

    def claim(self, options):
        """Check every path that will be written, before the work."""
        outputs = Outputs([source for source, _ in self.inputs if isinstance(source, Path)], options.overwrite)
        for name in ("csv", "json", "timeline"):
            if path := getattr(options, name):
                setattr(self, name, outputs.claim(f"--{name}", path))
        if self.timeline and not self.films:
            raise FergitError("--timeline: needs a video or a camera to read")
        if self.annotated:
            names, taken = set(), set()
            for number, (source, name) in enumerate(self.inputs):
                if source in self.films:
                    plain = name.with_suffix(".mp4")
                    name = Path(f"{name}.mp4") if plain in names else plain
                    names.add(plain)
                elif name.suffix.lower() not in WRITTEN:
                    name = Path(f"{name}.png")
                self.inputs[number] = source, outputs.claim("--annotated", self.annotated / unused(name, taken))
            if self.annotated.exists() and not self.annotated.is_dir():
                raise FergitError(f"--annotated: {self.annotated} is no folder")
            self.annotated.mkdir(parents=True, exist_ok=True)
            if not os.access(self.annotated, os.W_OK):
                raise FergitError(f"--annotated: {self.annotated} may not be written to; check its permissions")

    def fail(self, error):
        self.failed += 1
        tqdm.write(shown(f"error: {error}"), file=sys.stderr)

    def row(self, *cells):
        widths = f"<{self.width}", ">4", f"<{self.longest}", ">11", ">24", ">9"
        tqdm.write("  ".join(map(format, cells, widths)).rstrip())

    def run(self):
        if len(self.films) < len({source for source, _ in self.inputs}):
            self.row("file", "face", "expression", "probability", "x, y, width, height", "detection")
        # On a terminal only; a bar with the remaining time.
        for source, target in tqdm(
            self.inputs, unit="file", disable=None if len(self.inputs) > 1 else True, leave=False
        ):
            try:
                (self.film if source in self.films else self.photograph)(source, target)
            except (BrokenPipeError, KeyboardInterrupt):
                raise
            except FergitError as error:
                self.fail(error)
            except OSError as error:
                self.fail(unwritable(error, self.options))
                if error.errno in FULL:
                    return
            except Exception as error:  # whatever one file does, the others are done
                self.fail(f"{without_password(source)}: {type(error).__name__}: {error}")

    def photograph(self, path, target):
        picture = photographs.read(path)
        faces = self.recognizer.predict(picture, "bgr", name=path)
        self.pictures += 1
        for writer in self.writers:
            writer.add(str(path), faces)
        for number, face in enumerate(faces, start=1):
            box = ", ".join(map(str, face.box))
            self.row(shown(path), number, shown(face.label), f"{face.probability:.0%}", box, f"{face.confidence:.2f}")
        if not faces:
            self.row(shown(path), "", "no face", "", "", "")
        if self.annotated:
            done = False
            with quiet(), contextlib.suppress(cv2.error):
                done, data = cv2.imencode(target.suffix, annotate(picture, faces))
            if not done:  # a WebP has no more than 16,383 pixels a side
                size = f"{picture.shape[1]}x{picture.shape[0]}"
                raise FergitError(f"{target}: {size} pixels are too many for this format")
            with open_output(target) as file:
                file.write(data.tobytes() + MARK)

    def film(self, source, target):
        film = Film(source, self.options.every, self.options.fps)
        course, tracker, said = Course(shown(film.name), self.recognizer.classes), Tracker(), None
        self.courses.append(course)
        with contextlib.ExitStack() as stack:
            copy = None
            total = 0 if self.options.fps else film.frames // self.options.every
            bar = tqdm(film, course.name, total or None, leave=False, unit="frame", disable=None)
            try:
                for number, seconds, frame in bar:
                    faces = self.recognizer.predict(frame, "bgr", film.name)
                    self.pictures += 1
                    persons = tracker.follow(faces, seconds)
                    faces = [dataclasses.replace(face, person=n) for face, n in zip(faces, persons, strict=True)]
                    course.add(faces, seconds)
                    for writer in self.writers:
                        writer.add(film.name, faces, number, seconds)
                    if self.annotated:
                        copy = copy or stack.enter_context(write_film(target, frame.shape, self.annotated))
                        copy.add(annotate(frame, faces), seconds)
                    if film.live and faces and faces[0].label != said:
                        said = faces[0].label
                        tqdm.write(f"{seconds:8.1f} s  {shown(said):<10} {faces[0].probability:>4.0%}")
                course.close(film.end)
                if copy:
                    copy.end = film.end
            except KeyboardInterrupt:
                if not film.live:  # whose only end it is
                    raise
            except FergitError as error:  # cut short: what there was counts
                self.fail(error)
            finally:
                course.close()
        tqdm.write(f"{course.name}: {course.summary()}")


def run(options, recognizer):
    """Run the command; its exit status. However it ends, tables hold what was found; one that read nothing has none."""
    job, status = Job(options, recognizer or ExpressionRecognizer(options.network, options.smallest)), 0
    # Opened first, so that what cannot be written is known before the work.
    timeline = open_output(job.timeline) if job.timeline else contextlib.nullcontext()
    with contextlib.suppress(NothingRead), timeline as timeline:
        with contextlib.ExitStack() as tables:
            if options.csv:
                job.writers.append(CsvFile(tables.enter_context(open_output(job.csv)), job.recognizer.classes))
            if options.json:
                job.writers.append(JsonFile(tables.enter_context(open_output(job.json))))
                tables.callback(job.writers[-1].close)  # before the file itself is closed
            try:
                job.run()
            except KeyboardInterrupt:
                left = "tables hold what was found until then" if job.pictures else "nothing was read"
                print(f"interrupted; {left}", file=sys.stderr)
                status = 130
            except BrokenPipeError:  # as of `| head`
                drop_output()
                status = 1
            if not job.pictures:
                status = status or 1
                raise NothingRead
        if timeline:  # after the tables, which are whole then, whatever becomes of the plot
            plot_courses(job.courses or [Course("nothing was read")], timeline)
    return status or (1 if job.failed else 0)


def drop_output():
    """Let Python write the rest nowhere, where it would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments=None, recognizer=None):
    """Run the command; its exit status. `recognizer` stands in for the shipped one."""
    options = parse(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(options, recognizer)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except FergitError as error:
        print(f"error: {shown(error)}", file=sys.stderr)
    except BrokenPipeError:
        drop_output()
    except OSError as error:
        print(f"error: {shown(unwritable(error, options))}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):  # Windows has no SIGHUP
        if signal.getsignal(number := getattr(signal, name)) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, signal.default_int_handler)
    raise SystemExit(main())
