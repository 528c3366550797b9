"""Name the expressions in pictures and of what a camera sees, on a page in the browser: ``python src/app.py``."""

import argparse
import asyncio
import os
import sys

try:
    from fergit.core.errors import FergitError
    from fergit.use import app
    from fergit.use.recognizer import ExpressionRecognizer
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"error: this Python ({sys.executable}) has no package {missing.name}; `make app` makes an environment that "
        "has, and runs the app in it"
    ) from None


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="A page for the browser that names the expressions in pictures and of what a camera sees.",
        epilog="It answers to this machine alone, and pictures stay on it: nothing is stored or sent. Ctrl-C ends it.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8765, metavar="N", help="8765 unless told; 0: any that is free")
    smallest = "smallest face sought, as a share of the picture's shorter side (0.1); half of it: four times as long"
    add("--smallest", type=float, default=0.1, metavar="SHARE", help=smallest)
    network = "a network in models/ that `src/run.py ship` wrote (fergit-residual), or its ONNX file"
    add("--network", default="fergit-residual", metavar="NAME", help=network)
    options = parser.parse_args(arguments)
    if options.port and not 1024 <= options.port <= 65535:
        parser.error(f"--port is {options.port}; allowed: 0, or 1024 to 65535")
    if not 0.01 <= options.smallest <= 1:
        parser.error(f"--smallest is {options.smallest:g}; allowed: 0.01 to 1")
    return options


def main(arguments=None, recognizer=None):
    """Run the app until Ctrl-C; the exit status. `recognizer` stands in for the network's."""
    options = parse(arguments)
    try:
        recognizer = recognizer or ExpressionRecognizer(options.network, options.smallest)
        asyncio.run(app.serve(recognizer, options.port))
    except KeyboardInterrupt:
        sys.stdout.flush()
        os._exit(0)  # a decoder that is still at work in its thread would hold up Python's own end, or break it
    except FergitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
