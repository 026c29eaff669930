"""Measuring pairs against hand-made files: what the signatures settle, what is read, and that blocks change nothing."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines import config, measuring
from pipelines.matching import CRAWL, LOCATED
from pipelines.measuring import CROWD, MEASURED, MeasurePairs, blocks, turns
from provenance import minhash, schema, similarity
from provenance.postings import SAMPLED
from provenance.shingles import shingle_sets
from store import tables

DOCUMENTS = pa.schema([schema.DOCUMENTS.field(name) for name in ("key", "byte_count", "text")])


def words(start: int, stop: int, name: str = "w") -> str:
    return " ".join(f"{name}{i}" for i in range(start, stop))


class World:
    """Files of documents and signatures, and pairs of them as the stage before writes them."""

    def __init__(self, folder: Path, **match: Any):
        self.folder, self.texts = str(folder), {}
        self.config = {"match": match, "minhash": {}}
        self.options = config.restore(self.config, "curate")["minhash"]
        self.context = {"folder": self.folder, "config": self.config, "prefix": "part", "references": []}
        self.context |= {"documents": [], "signatures": []}

    def add(self, *texts: str | None, scope: int = CRAWL) -> None:
        """A file of documents, named by scope, file and row, of the crawl or of a reference."""
        place = self.context if scope == CRAWL else self.context["references"][scope]
        number = len(place["documents"])
        keys = pa.array([f"{scope}-{number}-{row}" for row in range(len(texts))])
        shown = texts if scope == CRAWL or not place["index_only"] else [None] * len(texts)
        table = pa.table([keys, [len(text or "") for text in texts], pa.array(shown, pa.string())], schema=DOCUMENTS)
        sketch = minhash.minhash(pa.array(texts, pa.string()), self.options)
        sketches = pa.table([keys, *sketch.columns], schema=schema.signatures(self.options.permutations))
        for dataset, made in (("documents", table), ("signatures", sketches)):
            path = f"{dataset}/{scope}-{number}.parquet"
            tables.write(self.folder, path, made, made.schema)
            place[dataset].append(f"{self.folder}/{path}")

    def refer(self, kind: str = "snapshot", index_only: bool = False) -> int:
        self.context["references"].append({"kind": kind, "index_only": index_only, "documents": [], "signatures": []})
        return len(self.context["references"]) - 1

    def measure(
        self, *pairs: tuple[int, int, int, int, int], address: bool = False, samples: int = 0
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """(left file, left row, scope, right file, right row) -> rows of MEASURED and the receipt."""
        rows = [
            {"left": 1000 - (a + b), "right": i, "scope": s, "samples": samples, "address": address}
            | {"left_part": a, "left_row": b, "right_part": c, "right_row": d}
            for i, (a, b, s, c, d) in enumerate(pairs)
        ]
        tables.write(self.folder, "pairs.parquet", pa.Table.from_pylist(rows, schema=LOCATED), LOCATED)
        step = MeasurePairs(self.context)
        step.setup()
        receipt = step.part({"name": "00003", "pairs": f"{self.folder}/pairs.parquet"})
        found = tables.read([f"{self.folder}/measured/00003.parquet"])
        assert found.schema.equals(MEASURED) and receipt["files"][0]["path"] == "measured/00003.parquet"
        told = found.select(["left", "right", "scope"]).to_pylist()
        assert [row for row in [{n: r[n] for n in ("left", "right", "scope")} for r in rows] if row in told] == told
        assert len(told) == len(rows) - receipt["settled"]
        return found.to_pylist(), receipt


def test_clear_pairs_are_settled_by_their_signatures_and_open_ones_by_their_texts(tmp_path: Path) -> None:
    world = World(tmp_path)
    base = words(0, 400)
    world.add(base, base + " end", words(0, 300) + " " + words(0, 100, "x"), words(0, 400, "y"))
    world.add(base.upper())
    rows, receipt = world.measure((0, 1, CRAWL, 0, 0), (0, 2, CRAWL, 0, 0), (0, 3, CRAWL, 0, 0), (1, 0, CRAWL, 0, 1))
    assert [(row["key"], row["other"]) for row in rows] == [
        ("-1-0-1", "-1-0-0"),
        ("-1-0-2", "-1-0-0"),
        ("-1-0-3", "-1-0-0"),
        ("-1-1-0", "-1-0-1"),
    ]
    assert [row["exact"] for row in rows] == [False, True, False, False]
    assert [row["duplicate"] for row in rows] == [True, False, False, True] == [row["alike"] for row in rows]
    assert receipt | {"files": 0} == {"files": 0, "pairs": 4, "duplicates": 2, "measured": 1, "estimated": 3, "settled": 0}
    truth = similarity.measure(pa.array([base, words(0, 300) + " " + words(0, 100, "x")]), [1], [0], world.options).to_pylist()[0]
    assert {name: rows[1][name] for name in truth} == truth
    assert abs(rows[1]["estimate"] - truth["similarity"]) < 0.2
    # What was not measured says what the signatures and the sizes say: 396 shingles and 397 have no more than 396 in common.
    assert (rows[0]["estimate"], rows[0]["similarity"]) == (1, 396 / 397) and rows[2]["similarity"] == rows[2]["estimate"] == 0


def test_no_text_is_read_where_no_pair_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.add(words(0, 400), words(0, 401), words(0, 400, "y"))
    world.context["documents"] = ["/not/there"]
    rows, _ = world.measure((0, 1, CRAWL, 0, 0), (0, 2, CRAWL, 0, 0))
    assert [row["duplicate"] for row in rows] == [True, False]


def test_references_without_texts_and_redacted_rows_are_estimated(tmp_path: Path) -> None:
    world = World(tmp_path)
    open_one = words(0, 340) + " " + words(0, 60, "x")  # near the threshold: never beyond doubt
    blind, whole, run = world.refer(index_only=True), world.refer(), world.refer("run")
    world.add(open_one)
    for scope in (blind, whole, run):
        world.add(words(0, 400), scope=scope)
    rows, receipt = world.measure(*((0, 0, scope, 0, 0) for scope in (blind, whole, run)))
    assert [row["exact"] for row in rows] == [False, True, True] and receipt["estimated"] == 1
    assert [row["other"] for row in rows] == ["0-0-0", "1-0-0", "2-0-0"]
    assert rows[0]["similarity"] == rows[0]["estimate"] == rows[1]["estimate"] != rows[1]["similarity"]
    # A row of a snapshot with texts whose own text is gone.
    texts = tables.read(world.context["references"][whole]["documents"])
    emptied = texts.set_column(2, "text", pa.nulls(1, pa.string())).set_column(1, "byte_count", pa.nulls(1, pa.int64()))
    tables.write(world.folder, f"documents/{whole}-0.parquet", emptied, DOCUMENTS)
    assert world.measure((0, 0, whole, 0, 0))[0][0]["exact"] is False


def test_one_url_is_enough_where_the_match_says_so(tmp_path: Path) -> None:
    for url, expected in (("keep", False), ("drop", True)):
        world = World(tmp_path / url, url=url)
        scope = world.refer()
        world.add(words(0, 400), words(0, 400, "y"))
        world.add(words(0, 400), scope=scope)
        rows, _ = world.measure((0, 1, CRAWL, 0, 0), (0, 1, scope, 0, 0), address=True)
        assert [row["duplicate"] for row in rows] == [expected, False] == [row["address"] for row in rows]
        assert [row["alike"] for row in rows] == [False, False] and rows[0]["similarity"] == 0


def test_texts_without_shingles_are_like_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, url="drop")
    world.add("!!", "??", "a b c d e f g")
    rows, _ = world.measure((0, 1, CRAWL, 0, 0), (0, 2, CRAWL, 0, 0), address=True)
    assert [(row["similarity"], row["estimate"], row["alike"], row["duplicate"]) for row in rows] == [(0, None, False, True)] * 2


def test_blocks_and_their_size_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    world = World(tmp_path)
    for _ in range(3):
        world.add(*(words(0, int(rng.integers(200, 400))) + " " + words(0, int(rng.integers(0, 200)), "x") for _ in range(40)))
    pairs = [(a, b, CRAWL, c, d) for a, b, c, d in rng.integers(0, [3, 40, 3, 40], (300, 4)).tolist()]
    whole, receipt = world.measure(*pairs)
    assert 50 < receipt["measured"] < 300
    asked = []
    monkeypatch.setattr(similarity, "measure", lambda texts, *rest, of=similarity.measure: asked.append(texts) or of(texts, *rest))
    monkeypatch.setattr(measuring, "HELD", 16 * 128 * 20)
    monkeypatch.setattr("store.tables.DECODED", 7)
    assert world.measure(*pairs) == (whole, receipt)
    assert len(asked) > 10
    assert all(sum(len(text) for text in texts.to_pylist()) <= measuring.HELD for texts in asked)


def test_blocks_hold_a_limit_of_distinct_documents() -> None:
    lengths = np.array([10, 10, 10, 50, 1])

    def cut(*pairs: tuple[int, int]) -> list[tuple[int, int]]:
        left, right = np.array(pairs, np.int64).reshape(-1, 2).T
        return [(block.start, block.stop) for block in blocks(left, right, lengths, 30)]

    assert cut() == []
    assert cut((0, 1), (0, 2), (1, 2)) == [(0, 3)]
    assert cut((0, 1), (0, 2), (0, 4)) == [(0, 2), (2, 3)]
    assert cut((0, 3), (3, 0), (3, 3), (1, 1)) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_no_pairs(tmp_path: Path) -> None:
    rows, receipt = World(tmp_path).measure()
    assert rows == [] and receipt["pairs"] == receipt["measured"] == receipt["estimated"] == 0


def test_a_file_that_is_not_the_one_of_the_pairs_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a b c d e f")
    with pytest.raises(IndexError, match=re.escape("has 1 rows, and rows 0 to 7 were asked for")):
        world.measure((0, 7, CRAWL, 0, 0))


def test_a_copy_edited_where_its_minima_lie_is_measured_because_its_sampled_shingles_speak(tmp_path: Path) -> None:
    world = World(tmp_path)
    spoken = words(0, 6000).split()
    hashes = shingle_sets(pa.array([" ".join(spoken)]), world.options)[0]
    sampled = hashes % SAMPLED == 0
    for number in range(128):  # the shingle that gives each minimum loses its middle word
        one = minhash.minima(hashes, np.arange(len(hashes) + 1), world.options)[:, number]
        spoken[int(np.argmin(one)) + 2] = f"edit{number}"
    edited = " ".join(spoken)
    changed, _ = shingle_sets(pa.array([edited]), world.options)
    shared = int(np.isin(hashes[sampled], changed).sum())
    world.add(words(0, 6000), edited)
    (row,), _ = world.measure((0, 1, CRAWL, 0, 0), samples=shared)
    assert row["estimate"] < 0.3 and row["similarity"] > 0.8
    assert row["exact"] and row["duplicate"]
    (unseen,), _ = world.measure((0, 1, CRAWL, 0, 0))
    assert not unseen["duplicate"]  # or the signatures alone would have told, and nothing was shown


@pytest.mark.parametrize(("same", "copy"), [(365, True), (325, False)])
def test_a_copy_of_one_reference_is_not_held_against_all_of_a_crowd(tmp_path: Path, same: int, copy: bool) -> None:
    world = World(tmp_path)
    scope = world.refer()
    world.add(words(0, 400))
    world.add(*(words(0, same) + " " + words(0, 400 - same, f"x{i}-") for i in range(3 * CROWD)), scope=scope)
    rows, receipt = world.measure(*((0, 0, scope, 0, i) for i in range(3 * CROWD)))
    exact = [row for row in rows if row["exact"]]
    assert len(exact) == receipt["measured"] == (CROWD if copy else 3 * CROWD - receipt["estimated"]) > 0
    assert receipt["settled"] == 3 * CROWD - len(rows) and (receipt["settled"] > 0) == copy
    assert all(row["duplicate"] == copy for row in exact)


def test_turns_take_each_doubtful_pair_once_and_the_likeliest_first() -> None:
    rng = np.random.default_rng(3)
    left, agree = np.sort(rng.integers(0, 5, 3000)), rng.integers(0, 128, 3000)
    doubtful, outside = np.flatnonzero(rng.random(3000) < 0.9), rng.random(3000) < 0.8
    made = list(turns(left, agree, doubtful, outside))
    assert sorted(np.concatenate([turn.places for turn in made]).tolist()) == doubtful.tolist()
    assert not len(made[0].crowded) and set(doubtful[~outside[doubtful]].tolist()) <= set(made[0].places.tolist())
    for document in range(5):
        own = [agree[[p for p in turn.places if outside[p] and left[p] == document]] for turn in made]
        assert [len(one) for one in own[:3]] == [CROWD, CROWD, 2 * CROWD]
        assert all(a.min() >= b.max() for a, b in pairwise(own) if len(b))
    assert [len(turn.places) for turn in turns(left, agree, doubtful[:0], outside)] == [0]
