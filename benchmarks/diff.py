"""How long ``harness diff`` takes for 3,000 pairs, and how much memory: ``python benchmarks/diff.py [PAIRS]``.

A third of the pairs is equal but for noise, a third has other texts, a third other requests too (a changed prompt).
"""

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from harness.comparing import Asked, compare_all
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Request
from harness.stores.reading import in_directory

_WORDS = 120


def main() -> None:
    """Write both sides, compare them, print seconds, megabytes and the summary."""
    amount = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    with tempfile.TemporaryDirectory() as folder:
        sides = [Path(folder, side) for side in ("old", "new")]
        for at in range(amount):
            for number, side in enumerate(sides):
                _write(side, at, number)
        start = time.perf_counter()
        found = compare_all(*map(in_directory, sides), Asked(Canonicalizer, dialogues=True))
        seconds = time.perf_counter() - start
    megabytes = (
        sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    )
    sys.stdout.write(f"{amount} pairs: {seconds:.1f} s, {megabytes:.0f} MB, {json.dumps(found.summary)}\n")


def _write(folder: Path, at: int, side: int) -> None:
    folder.mkdir(exist_ok=True)
    draw = random.Random(at if at % 3 == 0 else at * 2 + side)
    answer = " ".join(f"word{draw.randrange(500)}" for _ in range(_WORDS))
    prompt = "Be kind." if at % 3 < 2 or not side else "Be brief."
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": f"Question {at}"}]
    body = {"model": "m", "stream": True, "messages": messages}
    request = Request("POST", "/v1/chat/completions", body, f"tests/test_{at % 20}.py::test_{at // 3}")
    (folder / f"{key(request)}.json").write_text(dumps(to_document(author(request, answer))))


if __name__ == "__main__":
    main()
