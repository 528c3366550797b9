"""Name the expressions in pictures and of what a camera sees, on a page in the browser: ``python src/app.py``."""

import argparse
import asyncio
import os
import sys

try:
    from fergit.core.errors import FergitError
    from fergit.use import app
    from fergit.use.recognizer import ExpressionRecognizer, add_options
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"error: this Python ({sys.executable}) has no package {missing.name}; `make app` makes an environment that "
        "has it, and runs the app there"
    ) from None
except KeyboardInterrupt:
    sys.exit(130)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="Serve a page in the browser that names the expressions in pictures and in what a camera sees.",
        epilog="The camera's frames have 480 pixels on their shorter side: a --smallest below 0.05 is for pictures. "
        "The app answers to this machine alone, and pictures stay on it: nothing is stored or sent. Ctrl-C ends it.",
    )
    parser.add_argument("--port", type=int, default=8765, metavar="N", help="port of the page (8765); 0: any free one")
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.port and not 1024 <= options.port <= 65535:
        parser.error(f"--port is {options.port}; allowed: 0, or 1024 to 65535")
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
    except (FergitError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
