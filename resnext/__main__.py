"""The command `resnext`, and `python -m resnext`."""

import os
import signal
import sys
from typing import NoReturn


def main() -> None:
    """Run the command line; an interrupt during its import prints one line, too."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupted)
    if sys.flags.optimize > 1 and os.environ.pop("PYTHONOPTIMIZE", None):
        os.execv(sys.executable, sys.orig_argv)  # without docstrings there is no help
    from resnext.cli.main import main

    main()


def _interrupted(number, frame) -> NoReturn:
    os.write(2, b"resnext: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
