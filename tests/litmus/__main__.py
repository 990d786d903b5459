"""python -m litmus [--herd COMMAND] [--jobs N] [--keep FOLDER] [NAME...]: runs the tests, or those named.

A name is a test's (exit-read), or a weakened one's (exit-read: release -> relaxed).
"""

import argparse
import contextlib
import sys
import tempfile
import time

from .herd import HerdFailed, run
from .models import MODELS, STRONG_ONLY
from .source import Malformed, tests

HEADER = ("label", "test", "model", "expected", "seen")


def chosen(names):
    variants = {str(variant): variant for test in tests() for variant in test.variants}
    if not names:
        return list(variants.values())
    found = []
    for name in names:
        some = [one for known, one in variants.items() if name in (known, one.test.name)]
        if not some:
            raise Malformed(f"there is no test {name!r}; there are {', '.join(test.name for test in tests())}")
        found += some
    return list(dict.fromkeys(found))


def table(results):
    rows = [HEADER] + [
        (
            " ".join(f"[{label}]" for label in result.variant.test.labels),
            str(result.variant),
            result.model,
            result.expected,
            result.seen + ("" if result.good else "  <-- not as expected"),
        )
        for result in results
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main():
    parser = argparse.ArgumentParser(prog="litmus", description="Runs the litmus tests of the memory orders.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a test, or 'test: weakening'; all if none is given")
    parser.add_argument("--herd", default="herd7", help="the herd7 to run (herd7)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (2)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the translated tests there")
    options = parser.parse_args()
    began = time.monotonic()
    folder = contextlib.nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory(prefix="litmus-")
    try:
        variants = chosen(options.names)
        with folder as place:
            results = list(run(variants, [options.herd], place, options.jobs))
    except (HerdFailed, Malformed, OSError) as error:
        sys.exit(f"litmus: {error}")
    print(table(results))
    bad = [result for result in results if not result.good]
    for result in bad:
        for complaint in result.complaints:
            print(complaint)
    strong = sum(not variant.name for variant in variants)
    print(
        f"{strong} tests, {len(variants) - strong} weakened, on {len(MODELS) + len(STRONG_ONLY)} models: "
        f"{len(results) - len(bad)} of {len(results)} as expected ({time.monotonic() - began:.0f} s)"
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
