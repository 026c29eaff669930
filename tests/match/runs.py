"""The command line as tests of the match use it: rows in, what became of each row out."""

import contextlib
import io
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import cli
from provenance import schema
from store import files
from store.manifest import WORK
from tests.match import oracle

DECLARE = ("--declare", "made up by the tests of the match")
MEASURED = 5000
"""Rows of matches, evenly spread over the run, whose numbers the oracle measures again."""
DATED = "--read.date_column=date"


class Outcome(NamedTuple):
    code: int
    summary: dict[str, Any]
    said: str


def command(*arguments: object) -> Outcome:
    """Runs a verb in this process: exit code, summary and what went to standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([*map(str, arguments), "--json", "--quiet"])
    return Outcome(code, json.loads(out.getvalue() or "{}"), err.getvalue())


def done(*arguments: object) -> dict[str, Any]:
    """As `command`, of which the summary is wanted. Fails with what was said if the verb does."""
    outcome = command(*arguments)
    assert outcome.code == 0, outcome.said
    return outcome.summary


def freeze(source: Path, into: Path, *options: object) -> dict[str, Any]:
    return done("freeze", source, "--into", into, "--cutoff", "2022-01-01", *options)


def curate(source: Path, into: Path, against: Sequence[Path] = (), *options: object) -> dict[str, Any]:
    return done("curate", source, "--into", into, *(word for other in against for word in ("--against", other)), *options)


def write_rows(path: Path, texts: dict[str, str], dates: dict[str, str] | None = None, **more: dict[str, str]) -> Path:
    """A table of texts by id, with dates and other columns by id."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [values.get(key) for key in texts] for name, values in more.items()}
    if dates is not None:
        columns["date"] = [dates.get(key) for key in texts]
    strings = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    pq.write_table(pa.table({"id": list(texts), "text": pa.array(texts.values(), pa.large_string()), **strings}), path)
    return path


def table(folder: Path, dataset: str) -> pa.Table:
    """All rows of a dataset of a run or snapshot, files in path order."""
    paths = sorted(path for path in files.list_files(str(folder)) if path.startswith(f"{dataset}/"))
    tables = [pq.read_table(folder / path) for path in paths]
    return pa.concat_tables(tables) if tables else schema.DATASETS[dataset].empty_table()


def rows(folder: Path, dataset: str) -> list[dict[str, Any]]:
    return table(folder, dataset).to_pylist()


def same(left: Path, right: Path, working: bool = False) -> bool:
    """Whether two folders hold the same files with the same bytes; with `working`, what is left of work in the first does not count."""
    paths = [path for path in files.list_files(str(left)) if not working or path.split("/")[0] != WORK]
    return paths == files.list_files(str(right)) and all((left / p).read_bytes() == (right / p).read_bytes() for p in paths)


class Curated:
    """A finished run with what it was matched against, looked up by names: what the sources give as `id`, or in another column."""

    def __init__(self, run: Path, against: Sequence[Path] = (), named_by: str = "id"):
        self.run = run
        self.documents = {row["key"]: row for row in rows(run, "documents")}
        self.references = {row["key"]: row for folder in against for row in rows(folder, "documents")}
        everything = self.references | self.documents
        self.names = {key: row[named_by] for key, row in everything.items()}
        self.texts = {key: row["text"] or "" for key, row in everything.items()}
        self.tags = {row["key"]: row for row in rows(run, "tags")}
        self.matches = rows(run, "matches")
        self._shingles: dict[str, frozenset[oracle.Shingle]] = {}

    def truth(self, key: str, other: str) -> oracle.Pair:
        """What two documents have in common by the oracle."""
        return oracle.pair(self.shingles(key), self.shingles(other))

    def shingles(self, key: str) -> frozenset[oracle.Shingle]:
        if key not in self._shingles:
            self._shingles[key] = oracle.shingles(self.texts[key])
        return self._shingles[key]

    def canonicals(self) -> dict[str, str | None]:
        """By name: the name of what a document copies, None where it is kept."""
        return {self.names[key]: self.names[tag["canonical"]] if tag["canonical"] else None for key, tag in self.tags.items()}

    def kept(self) -> set[str]:
        return {name for name, canonical in self.canonicals().items() if canonical is None}

    def tag(self, name: str) -> dict[str, Any]:
        """The tag of the one document of this name."""
        (found,) = [tag for key, tag in self.tags.items() if self.names[key] == name]
        return found

    def pairs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The rows of `matches` by the names of both."""
        return {(self.names[row["key"]], self.names[row["other"]]): row for row in self.matches}

    def by_content(self) -> tuple[set[str], set[tuple[Any, ...]]]:
        """Content ids of what is kept, and all matches without keys: what another order of the input must not change."""
        content = {key: row["content_id"] for key, row in (self.references | self.documents).items()}
        measured = [name for name in schema.MATCHES.names if name not in ("key", "other")]
        found = {(content[row["key"]], content[row["other"]], *(row[name] for name in measured)) for row in self.matches}
        return {content[key] for key, tag in self.tags.items() if tag["canonical"] is None}, found

    def place(self, key: str, protected: Collection[str] = ()) -> tuple[Any, ...]:
        """Where a document stands in the order of DESIGN P5; references stand before all, then what has a protected name."""
        if key in self.references:
            return (0,)
        row = self.documents[key]
        end, payload = row["date_end"], row["payload_digest"]
        level = len(schema.ATTESTATIONS) - schema.ATTESTATIONS.index(row["attestation"])
        return 1, self.names[key] not in protected, level, end is None, str(end or ""), payload is None, payload or "", key


def faults(found: Curated, protected: Collection[str] = ()) -> list[str]:
    """What the oracle finds wrong with who was dropped and for whom; pairs that nobody proposed are not looked for here."""
    wrong = []
    pairs = {(row["key"], row["other"]): row for row in found.matches}
    for key, tag in found.tags.items():
        other = tag["canonical"]
        if other is None:
            continue
        name = f"{found.names[key]} for {found.names.get(other, other)}"
        if found.names[key] in protected:
            wrong.append(f"{name}: protected and dropped")
        if other in found.tags and found.tags[other]["canonical"] is not None:
            wrong.append(f"{name}: which is dropped itself")
        if found.place(other, protected) >= found.place(key, protected):
            wrong.append(f"{name}: which comes later")
        identical = oracle.identity(found.texts[key]) == oracle.identity(found.texts[other])
        truth = found.truth(key, other)
        if not identical and not truth.duplicate and not (pairs.get((key, other)) or {}).get("address"):
            wrong.append(f"{name}: similarity {truth.similarity:.3f}, containments {truth.containment:.3f}, {truth.contained:.3f}")
        row = pairs.get((key, other))
        if row is None:
            wrong.append(f"{name}: no row of matches says so")
        elif not row["duplicate"] or row["identical"] != identical:
            wrong.append(f"{name}: the row of matches says otherwise: {row}")
    return wrong + _measures(found)


def _measures(found: Curated) -> list[str]:
    """Rows of matches whose numbers are called exact and are not those of the texts."""
    wrong = []
    for row in found.matches[:: max(1, len(found.matches) // MEASURED)]:
        if row["exact"] and not row["identical"]:
            truth = found.truth(row["key"], row["other"])
            said = row["similarity"], row["containment"], row["contained"]
            if max(abs(a - b) for a, b in zip(said, (truth.similarity, truth.containment, truth.contained), strict=True)) > 1e-9:
                wrong.append(f"{found.names[row['key']]} and {found.names[row['other']]}: {said}, and the texts give {truth}")
    return wrong


def leaks(found: Curated, similarity: float = 0.85) -> list[tuple[str, str, oracle.Pair]]:
    """Kept documents that by the oracle reach that similarity to a reference or an earlier kept document; with a similarity of 0
    those that are a duplicate in any way. With the other's name and the truth."""
    kept = sorted((key for key, tag in found.tags.items() if tag["canonical"] is None), key=found.place)
    sets, references = [found.shingles(key) for key in kept], list(found.references)
    known = [found.shingles(key) for key in references]
    pairs = [(kept[i], references[j], pair) for i, j, pair in oracle.sharing(sets, known)]
    pairs += [(kept[i], kept[j], pair) for i, j, pair in oracle.sharing(sets)]
    return [
        (found.names[a], found.names[b], pair)
        for a, b, pair in pairs
        if (pair.similarity >= similarity if similarity else pair.duplicate)
    ]
