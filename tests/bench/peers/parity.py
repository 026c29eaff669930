"""The preset `fineweb_2` beside datatrove over real texts: are signatures equal, and how near are those by its own tokenisers?"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.families import UNSPACED_RANGES
from provenance.minhash import MinHash, agreeing, matrix, minhash
from tests.bench.inputs import SHARED, Inputs
from tests.bench.measure import Row

ANSWER = Path(__file__).parent / "signatures.py"
TABLES = {
    "eng": ("git-certified-prose", "nltk", "gum-en", "reuters21578-en"),
    "deu": ("eltec-de",),
    "": ("aozora-ja", "fewclue-zh", "xquad-12langs", "eltec-fr", "eltec-pl", "eltec-sr"),
}
"""Tables of pre-2022 texts by datatrove's code of the language whose tokeniser they are given too, if any."""
EACH, LENGTH = 60, 3000


def texts(name: str) -> list[str]:
    """Some texts from all over a table, cut to `LENGTH` characters."""
    column = pq.read_table(SHARED / "human_pre2022" / f"{name}.parquet", columns=["text"])["text"]
    places = np.linspace(0, len(column) - 1, min(EACH, len(column))).astype(np.int64)
    return pc.utf8_slice_codeunits(column.take(pa.array(places)), 0, LENGTH).to_pylist()


def theirs(interpreter: str, request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """datatrove's answer. Raises `RuntimeError` with what it said if it fails."""
    path = folder / "signatures.json"
    path.write_text(json.dumps(request))
    done = subprocess.run([interpreter, str(ANSWER), str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"datatrove's signatures exited with {done.returncode}: {done.stderr[-600:].strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def compared(ours: np.ndarray, found: list[list[int] | None]) -> tuple[float, float]:
    """Shares of equal signatures and of equal minima."""
    other = np.array([one or [2**64 - 1] * ours.shape[1] for one in found], np.uint64)
    equal = agreeing(ours, other)
    return float((equal == ours.shape[1]).mean()), float(equal.mean() / ours.shape[1])


def run(interpreter: str, inputs: Inputs) -> list[Row]:
    options = MinHash(preset="fineweb_2")
    rows: list[Row] = []
    total, equal = 0, 0.0
    for language, names in TABLES.items():
        some = [text for name in names for text in texts(name)]
        languages = [language] if language else []
        request = {"texts": some, "unspaced": UNSPACED_RANGES, "languages": languages}
        found = theirs(interpreter, request, inputs.folder)
        ours = matrix(minhash(pa.array(some), options).column("signature"))
        total += len(some)
        equal += len(some) * compared(ours, found["words"])[0]
        for name in languages:
            whole, minima = compared(ours, found[name])
            rows.append(Row(f"equal to those by its tokeniser, {name}", whole, "share", note=f"{minima:.1%} of the minima"))
    share = equal / total
    first = Row("equal to datatrove's, by white space", share, "share", share, 1, f"{total:,} texts of many languages")
    return [first, *rows]
