"""Who stays, from hand-made files of ranks, equal documents and measured pairs."""

import itertools
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import resolving
from pipelines.matching import CRAWL
from pipelines.measuring import MEASURED
from pipelines.ranking import EQUAL, RANKED
from pipelines.resolving import RESOLVED, ResolveMatches, resolved_url
from provenance import schema
from store import tables

SNAPSHOT = {"kind": "snapshot", "id": "s" * 64, "cutoff": "2022-01-01T00:00:00.000000Z", "index_only": False}
BLIND = SNAPSHOT | {"id": "b" * 64, "cutoff": "2020-01-01T00:00:00.000000Z", "index_only": True}
RUN = {"kind": "run", "id": "r" * 64, "cutoff": None, "index_only": False}
EARLY, LATE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)


def name(rank: int) -> str:
    return f"d{rank:03d}"


def near(left: int, right: int | str, similarity: float = 0.8, scope: int = CRAWL, **more: Any) -> dict[str, Any]:
    """A row of MEASURED: a rank and an earlier one, or the key of a reference's document."""
    return {
        "left": left,
        "right": right if scope == CRAWL else 0,
        "scope": scope,
        "samples": 0,
        "address": False,
        "key": name(left),
        "other": name(right) if isinstance(right, int) else right,
        "similarity": similarity,
        "containment": similarity,
        "contained": similarity,
        "intersection": 80,
        "left_size": 100,
        "right_size": 100,
        "estimate": similarity + 0.01,
        "exact": True,
        "alike": True,
        "duplicate": True,
    } | more


def address(left: int, right: int, similarity: float = 0.1) -> dict[str, Any]:
    return near(left, right, similarity, address=True, alike=False)


def equals(first: int, reference: str, scope: int = 0, eligible: bool = True, level: str | None = "captured") -> dict[str, Any]:
    return {"first": first, "scope": scope, "reference": reference, "eligible": eligible, "reference_attestation": level}


class Found:
    def __init__(self, folder: str, receipt: dict[str, Any], parts: int):
        self.receipt = receipt
        paths = [entry["path"] for entry in receipt["files"]]
        self.files = [path for path in paths if path.startswith("matches/")]
        self.matches = tables.read([f"{folder}/{path}" for path in self.files]).to_pylist()
        resolved = tables.read([resolved_url(folder, number) for number in range(parts)])
        assert resolved.schema.equals(RESOLVED)
        self.rows = {row["key"]: row for row in resolved.to_pylist()}
        self.order = resolved["key"].to_pylist()
        self.canonical = {key: row["canonical"] for key, row in self.rows.items() if row["canonical"]}

    def pairs(self, key: str) -> list[tuple[str, float, bool]]:
        return [(row["other"], row["similarity"], row["identical"]) for row in self.matches if row["key"] == key]


def resolve(
    folder: Path,
    documents: int,
    measured: list[dict[str, Any]],
    *,
    copies: dict[int, int] | None = None,
    firsts: dict[int, int] | None = None,
    equal: list[dict[str, Any]] | None = None,
    protected: int = 0,
    references: list[dict[str, Any]] | None = None,
    parts: int = 2,
    **match: Any,
) -> Found:
    """Resolves `documents` of ranks 0 on, dealt to parts in turn; `copies` gives a rank the first of its
    form, and `firsts` that of its form and URL where it is another."""
    base, place = str(folder), itertools.count()
    urls: dict[str, list[str]] = {"ranked": [], "measured": []}

    def write(dataset: str, rows: list[dict[str, Any]], kind: pa.Schema) -> str:
        path = f"given/{next(place):03d}.parquet"
        tables.write(base, path, pa.Table.from_pylist(rows, schema=kind), kind)
        return f"{base}/{path}"

    for part in range(parts):
        rows = [
            {
                "part": part,
                "row": i,
                "rank": rank,
                "key": name(rank),
                "form": (copies or {}).get(rank, rank),
                "first": ((copies if firsts is None else firsts) or {}).get(rank, rank),
                "protected": rank < protected,
            }
            for i, rank in enumerate(reversed(range(part, documents, parts)))
        ]
        urls["ranked"].append(write("ranked", rows, RANKED))
    for start in range(0, len(measured), 3):
        urls["measured"].append(write("measured", measured[start : start + 3], MEASURED))
    step = ResolveMatches({"folder": base, "config": {"match": match}, "prefix": "part", "references": references or []})
    step.setup()
    part = {"name": "all", **urls, "equal": write("equal", equal, EQUAL) if equal else None, "parts": parts}
    return Found(base, step.part(part), parts)


def test_documents_keep_their_places_and_a_chain_is_not_closed(tmp_path: Path) -> None:
    found = resolve(tmp_path, 6, [near(2, 1), near(1, 0), near(5, 2)])
    assert found.order == [name(rank) for rank in (4, 2, 0, 5, 3, 1)]
    assert found.canonical == {name(1): name(0), name(5): name(2)}
    assert found.receipt["documents"] == 6 and found.receipt["dropped"] == 2 and found.receipt["matches"] == 3
    assert [(row["key"], row["other"], row["scope"], row["snapshot"]) for row in found.matches] == [
        (name(1), name(0), "crawl", None),
        (name(2), name(1), "crawl", None),
        (name(5), name(2), "crawl", None),
    ]
    row = found.matches[0]
    assert row["estimate"] == 0.81 and row["exact"] and not row["identical"] and not row["address"] and row["duplicate"]


def test_a_chain_of_daily_edits(tmp_path: Path) -> None:
    found = resolve(tmp_path, 500, [near(day, day - back) for day in range(2, 500) for back in (1, 2)] + [near(1, 0)])
    assert set(found.rows) - set(found.canonical) == {name(day) for day in range(0, 500, 3)}


@pytest.mark.parametrize("parts", [1, 3])
def test_the_order_of_the_pairs_and_their_files_do_not_matter(tmp_path: Path, parts: int) -> None:
    pairs = [
        near(2, 0, 0.8),
        near(2, 1, 0.9),
        near(5, 1, 0.8),
        near(5, 0, 0.9),
        near(4, 3, 0.9),
        near(4, 0, 0.8),
        near(3, 1, 0.8),
        near(5, "x", 0.76, 0),
        near(5, "w", 0.76, 0),
    ]
    given = {"references": [SNAPSHOT], "parts": parts}
    one, other = resolve(tmp_path / "a", 6, pairs, **given), resolve(tmp_path / "b", 6, pairs[::-1] + pairs[:2], **given)
    assert one.rows == other.rows
    # A reference goes before what is more alike in the crawl, what is more alike before what is less; then the first key counts.
    assert one.canonical == {name(2): name(1), name(3): name(1), name(4): name(0), name(5): "w"}


def test_pairs_below_the_thresholds_are_recorded_and_drop_nothing(tmp_path: Path) -> None:
    none = {"alike": False, "duplicate": False}
    found = resolve(tmp_path, 3, [near(1, 0, 0.6, **none), near(2, 0, 0.2, **none), near(2, 1, 0.1, **none, containment=0.5)])
    assert not found.canonical
    assert [(row["key"], row["other"], row["duplicate"]) for row in found.matches] == [
        (name(1), name(0), False),
        (name(2), name(1), False),
    ]


def test_exact_copies_follow_their_first(tmp_path: Path) -> None:
    found = resolve(tmp_path, 6, [near(2, 1, 0.9)], copies={3: 0, 4: 2, 5: 2})
    assert found.canonical == {name(3): name(0), name(2): name(1), name(4): name(1), name(5): name(1)}
    assert found.pairs(name(3)) == [(name(0), 1.0, True)]
    assert found.pairs(name(4)) == [(name(1), 0.9, False), (name(2), 1.0, True)]
    inherited = next(row for row in found.matches if row["key"] == name(5) and not row["identical"])
    assert inherited["estimate"] == 0.91 and inherited["duplicate"] and inherited["exact"]
    same = next(row for row in found.matches if row["identical"])
    assert same["exact"] and same["estimate"] is None and same["duplicate"] and same["contained"] == same["containment"] == 1


def test_what_equals_a_reference_is_dropped_for_it(tmp_path: Path) -> None:
    given = [equals(0, "x"), equals(1, "y", 1, eligible=False), equals(2, "z", 2, eligible=False, level="timestamped")]
    found = resolve(tmp_path, 5, [], copies={3: 0}, equal=given, references=[SNAPSHOT, BLIND, RUN])
    assert found.canonical == {name(0): "x", name(3): "x", name(1): "y", name(2): "z"}
    for key in (name(0), name(3)):
        assert found.rows[key] == {
            "key": key,
            "canonical": "x",
            "protected": False,
            "identical": True,
            "reference": "x",
            "reference_attestation": "captured",
            "similarity": 1.0,
            "containment": 1.0,
            "exact": True,
            "snapshot": SNAPSHOT["id"],
            "cutoff": LATE,
        }
    blind = found.rows[name(1)]
    assert (blind["identical"], blind["reference"], blind["exact"], blind["cutoff"]) == (False, "y", False, EARLY)
    # An earlier run certifies nothing.
    row = found.rows[name(2)]
    assert [row[column] for column in ("identical", "reference", "reference_attestation", "similarity", "snapshot")] == [False] + [
        None
    ] * 4
    assert row["cutoff"] == found.rows[name(4)]["cutoff"] == EARLY
    shown = [(row["key"], row["other"], row["scope"], row["snapshot"], row["exact"]) for row in found.matches]
    assert shown == [
        (name(0), "x", "snapshot", SNAPSHOT["id"], True),
        (name(1), "y", "snapshot", BLIND["id"], False),
        (name(2), "z", "run", RUN["id"], True),
        (name(3), "x", "snapshot", SNAPSHOT["id"], True),
    ]
    assert all(row["identical"] and row["duplicate"] for row in found.matches)


def test_the_best_relation_to_a_snapshot_is_told_and_none_to_a_run(tmp_path: Path) -> None:
    none = {"alike": False, "duplicate": False}
    pairs = [near(0, "x", 0.3, 0, **none), near(0, "y", 0.4, 1, **none, exact=False), near(0, "z", 0.9, 2), near(2, "z", 0.9, 2)]
    found = resolve(tmp_path, 3, pairs, copies={1: 0}, references=[SNAPSHOT, BLIND, RUN])
    assert found.canonical == {name(0): "z", name(1): "z", name(2): "z"}
    for key in (name(0), name(1)):
        row = found.rows[key]
        assert (row["reference"], row["similarity"], row["exact"], row["snapshot"]) == ("y", 0.4, False, BLIND["id"])
        assert not row["identical"] and row["reference_attestation"] is None
    assert found.rows[name(2)]["reference"] is None and found.rows[name(2)]["similarity"] is None


def test_protected_documents_stay_and_still_drop_others(tmp_path: Path) -> None:
    found = resolve(
        tmp_path,
        9,
        [near(1, "w", 0.9, 0), near(2, 1, 0.9), near(6, 2, 0.8)],
        copies={3: 1, 5: 1, 7: 0},
        equal=[equals(0, "x")],
        protected=5,
        references=[SNAPSHOT],
    )
    assert found.canonical == {name(5): name(1), name(6): name(2), name(7): "x"}
    assert found.rows[name(0)]["identical"] and found.rows[name(0)]["reference"] == "x"
    assert [found.rows[name(rank)]["protected"] for rank in range(9)] == [True] * 5 + [False] * 4
    # 0 equals a reference, 1 and 2 are near what is kept, 3 is a copy; 4 is nothing of that.
    assert found.receipt["protected_kept"] == 4 and found.receipt["dropped"] == 3
    assert found.pairs(name(3)) == [(name(1), 1.0, True)]
    assert found.pairs(name(1)) == [("w", 0.9, False)]


def test_near_copies_are_kept_where_the_match_says_so(tmp_path: Path) -> None:
    pairs = [near(1, 0), near(2, "x", 0.9, 0), address(4, 3), near(5, 4, 0.9, address=True)]
    given: dict[str, Any] = {"copies": {6: 0}, "references": [SNAPSHOT], "near": "keep", "url": "drop"}
    found = resolve(tmp_path, 7, pairs, **given)
    assert found.canonical == {name(6): name(0), name(4): name(3)}
    assert [(row["key"], row["other"]) for row in found.matches if row["duplicate"]] == [
        (name(1), name(0)),
        (name(2), "x"),
        (name(4), name(3)),
        (name(5), name(4)),
        (name(6), name(0)),
    ]


def test_copies_of_what_was_dropped_for_its_url_alone_have_fates_of_their_own(tmp_path: Path) -> None:
    # 1, 2, 3 and 4 have one text, 2 and 4 one URL, and 3 that of 1, which 0 has too.
    given: dict[str, Any] = {"copies": {2: 1, 3: 1, 4: 1}, "firsts": {3: 1, 4: 2}, "url": "drop"}
    found = resolve(tmp_path, 6, [address(1, 0), near(5, 1, 0.9)], **given)
    assert found.canonical == {name(1): name(0), name(3): name(0), name(4): name(2), name(5): name(2)}
    assert found.pairs(name(2)) == [(name(1), 1.0, True)] and found.pairs(name(4)) == [(name(2), 1.0, True)]
    assert found.pairs(name(1)) == [(name(0), 0.1, False)]
    # What is near their text is near each of them, and the pair with the one that stays is there beside the measured one.
    assert found.pairs(name(5)) == [(name(1), 0.9, False), (name(2), 0.9, False)]
    assert found.pairs(name(3)) == [(name(0), 0.1, False), (name(2), 1.0, True)]
    assert [row["key"] for row in found.matches if row["address"]] == [name(1), name(3)]
    # A pair that is alike counts before one of an URL.
    both = resolve(tmp_path / "both", 4, [address(2, 0, 0.5), near(2, 1, 0.3, containment=0.9)], copies={3: 2}, url="drop")
    assert both.canonical == {name(2): name(1), name(3): name(1)}


def test_a_later_copy_is_near_what_came_after_the_first(tmp_path: Path) -> None:
    # 1 goes for the URL of 0, 2 is near its text and stays, and 3 has the text of 1 once more.
    measured = [address(1, 0), near(2, 1, 0.8), near(3, 2, 0.8)]
    found = resolve(tmp_path, 4, measured, copies={3: 1}, firsts={}, url="drop")
    assert found.canonical == {name(1): name(0), name(3): name(2)}
    # An excerpt that came before what holds it is no copy of it, and the page is none of the excerpt.
    page = near(2, 1, 0.3, containment=0.3, contained=1.0, alike=False, duplicate=False)
    found = resolve(
        tmp_path / "inside", 4, [address(1, 0), page, near(3, 2, 0.3, containment=1.0)], copies={3: 1}, firsts={}, url="drop"
    )
    assert found.canonical == {name(1): name(0), name(3): name(2)}


def test_all_captures_of_a_text_go_for_the_reference_that_it_is_near(tmp_path: Path) -> None:
    given: dict[str, Any] = {"copies": {1: 0, 2: 0}, "firsts": {2: 1}, "references": [SNAPSHOT], "url": "drop"}
    found = resolve(tmp_path, 3, [near(0, "x", 0.9, 0)], **given)
    assert found.canonical == dict.fromkeys(found.rows, "x")
    assert [(row["reference"], row["similarity"]) for row in found.rows.values()] == [("x", 0.9)] * 3
    assert found.pairs(name(1)) == [(name(0), 1.0, True), ("x", 0.9, False)]


def test_copies_of_what_stays_in_spite_of_its_url_go_for_it(tmp_path: Path) -> None:
    found = resolve(tmp_path, 4, [address(1, 0)], copies={2: 1, 3: 1}, protected=2, url="drop")
    assert found.canonical == {name(2): name(1), name(3): name(1)}


class Crawl(NamedTuple):
    """Texts and URLs (None for none) by rank; the texts that equal a reference, and those that are near one; which texts are near which
    (a direction of its own: one may lie inside the other); how many ranks are protected."""

    texts: list[int]
    urls: list[int | None]
    equal: set[int]
    referred: set[int]
    near: set[tuple[int, int]]
    protected: int

    def first(self, rank: int, address: bool) -> int:
        return next(
            other
            for other, text in enumerate(self.texts)
            if text == self.texts[rank] and (not address or self.urls[other] == self.urls[rank])
        )

    def measured(self, address: bool) -> list[dict[str, Any]]:
        """What the stages before would find: texts by the first of each, and by the last where that comes after the other's first."""
        alike = {"similarity": 0.8, "alike": True, "duplicate": True}
        unlike = {"similarity": 0.6, "alike": False, "duplicate": False}
        numbers = range(len(self.texts))
        firsts = [rank for rank in numbers if self.first(rank, False) == rank and self.texts[rank] not in self.equal]
        found = {(rank, -1): near(rank, f"y{self.texts[rank]}", scope=0) for rank in firsts if self.texts[rank] in self.referred}
        for earlier, later in itertools.combinations(firsts, 2):
            ways = [(later, earlier)]
            last = max(rank for rank in numbers if self.first(rank, address) == rank and self.texts[rank] == self.texts[earlier])
            ways += [(last, later)] if last > later else []
            if any((self.texts[a], self.texts[b]) in self.near for a, b in ways):
                found |= {(a, b): near(a, b) | (alike if (self.texts[a], self.texts[b]) in self.near else unlike) for a, b in ways}
        some = [
            rank
            for rank in numbers
            if address and self.first(rank, True) == rank and (self.texts[rank] not in self.equal or rank < self.protected)
        ]
        for b, a in itertools.combinations(some, 2):
            if self.urls[a] is not None and self.urls[a] == self.urls[b]:
                same = (self.texts[a], self.texts[b]) in self.near
                found[a, b] = near(a, b) | (alike if same else unlike) | {"address": True, "duplicate": True}
        return list(found.values())

    def dropped(self, near: bool, address: bool) -> set[int]:
        """The rule as it is said, over every pair of documents."""
        found: set[int] = set()
        for rank in range(self.protected, len(self.texts)):
            text, url = self.texts[rank], self.urls[rank]
            if text in self.equal or (near and text in self.referred):
                found.add(rank)
            for other in set(range(rank)) - found:
                related = near and (text, self.texts[other]) in self.near
                if self.texts[other] == text or related or (address and url is not None and self.urls[other] == url):
                    found.add(rank)
        return found


@st.composite
def crawls(draw: st.DrawFn) -> Crawl:
    documents, texts = draw(st.integers(1, 14)), st.integers(0, 5)
    return Crawl(
        draw(st.lists(texts, min_size=documents, max_size=documents)),
        draw(st.lists(st.sampled_from([None, 0, 1, 2, 3]), min_size=documents, max_size=documents)),
        draw(st.sets(texts, max_size=1)),
        draw(st.sets(texts, max_size=1)),
        {(a, b) for a, b in draw(st.sets(st.tuples(texts, texts), max_size=8)) if a != b},
        draw(st.sampled_from([0, 0, 1, 3, documents])) % (documents + 1),
    )


@settings(deadline=None, max_examples=60)
@given(crawls(), st.sampled_from(["drop", "keep"]), st.sampled_from(["drop", "drop", "keep"]))
def test_any_crawl_keeps_the_rule(crawl: Crawl, match: str, url: str) -> None:
    address, numbers = url == "drop", range(len(crawl.texts))
    equal = {crawl.first(rank, False): text for rank, text in enumerate(crawl.texts) if text in crawl.equal}
    measured = crawl.measured(address)
    with tempfile.TemporaryDirectory() as folder:
        found = resolve(
            Path(folder),
            len(crawl.texts),
            measured,
            copies={rank: crawl.first(rank, False) for rank in numbers},
            firsts={rank: crawl.first(rank, address) for rank in numbers},
            equal=[equals(first, f"x{text}", 1, eligible=False) for first, text in sorted(equal.items())],
            protected=crawl.protected,
            references=[SNAPSHOT, RUN],
            near=match,
            url=url,
        )
    assert set(found.canonical) == {name(rank) for rank in crawl.dropped(match == "drop", address)}
    rows = {(row["key"], row["other"]): row for row in found.matches}
    assert len(rows) == len(found.matches)
    assert {(row["key"], row["other"]) for row in measured} <= set(rows)
    for rank, text in enumerate(crawl.texts):
        # What each dropped document names is kept, comes first, and is its pair.
        key, canonical = name(rank), found.canonical.get(name(rank))
        if canonical is not None:
            assert canonical not in found.canonical and (canonical in (f"x{text}", f"y{text}") or canonical < key)
            pair = rows[key, canonical]
            assert pair["duplicate"] and (pair["identical"] or pair["address"] or (match == "drop" and pair["similarity"] > 0.5))
            other = int(canonical[1:]) if canonical[0] == "d" else None
            assert pair["identical"] == (canonical[0] == "x" or (other is not None and crawl.texts[other] == text))
        # Of an earlier document of its text every one tells, and the first of none.
        same = [other for other in rows if other[0] == key and rows[other]["identical"]]
        assert len(same) == (text in crawl.equal or crawl.first(rank, False) != rank)


def test_matches_are_cut_into_files_of_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [near(rank, rank - back) for rank in range(2, 60) for back in (1, 2)]
    whole = resolve(tmp_path / "whole", 60, pairs)
    monkeypatch.setattr(resolving, "ROWS_PER_FILE", 50)
    cut = resolve(tmp_path / "cut", 60, pairs)
    assert whole.files == ["matches/part-00000.parquet"]
    assert cut.files == [f"matches/part-{number:05d}.parquet" for number in range(3)]
    assert whole.matches == cut.matches == sorted(cut.matches, key=lambda row: (row["key"], row["other"]))
    assert [entry["rows"] for entry in cut.receipt["files"][:3]] == [50, 50, 16] and cut.receipt["matches"] == 116
    table = tables.read([f"{tmp_path}/cut/{cut.files[0]}"])
    assert table.schema.equals(schema.MATCHES)


def test_nothing_at_all(tmp_path: Path) -> None:
    found = resolve(tmp_path, 0, [])
    assert found.rows == {} and found.matches == [] and found.files == ["matches/part-00000.parquet"]
    assert {name: found.receipt[name] for name in ("documents", "dropped", "protected_kept", "matches")} == dict.fromkeys(
        ("documents", "dropped", "protected_kept", "matches"), 0
    )


def test_ranks_that_do_not_begin_with_the_protected_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"part": 0, "row": i, "rank": i, "key": name(i), "form": i, "first": i, "protected": i == 1} for i in range(2)]
    tables.write(str(tmp_path), "ranked.parquet", pa.Table.from_pylist(rows, schema=RANKED), RANKED)
    step = ResolveMatches({"folder": str(tmp_path), "config": {"match": {}}, "prefix": "part", "references": []})
    step.setup()
    with pytest.raises(RuntimeError, match="not protected rank before protected ones"):
        step.part({"name": "all", "ranked": [f"{tmp_path}/ranked.parquet"], "equal": None, "measured": [], "parts": 1})
