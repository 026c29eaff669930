"""Who stays, from hand-made files of ranks, equal documents and measured pairs."""

import itertools
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
    equal: list[dict[str, Any]] | None = None,
    protected: int = 0,
    references: list[dict[str, Any]] | None = None,
    parts: int = 2,
    **match: Any,
) -> Found:
    """Resolves `documents` of ranks 0 on, dealt to parts in turn; `copies` gives a rank its first."""
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
                "first": (copies or {}).get(rank, rank),
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
    given = {"copies": {6: 0}, "references": [SNAPSHOT], "near": "keep", "url": "drop"}
    found = resolve(tmp_path, 7, pairs, **given)
    assert found.canonical == {name(6): name(0), name(4): name(3)}
    assert [(row["key"], row["other"]) for row in found.matches if row["duplicate"]] == [
        (name(1), name(0)),
        (name(2), "x"),
        (name(4), name(3)),
        (name(5), name(4)),
        (name(6), name(0)),
    ]


def test_copies_of_what_was_dropped_for_its_url_alone_keep_the_text(tmp_path: Path) -> None:
    found = resolve(tmp_path, 6, [address(1, 0), near(5, 1, 0.9)], copies={2: 1, 3: 1, 4: 1}, url="drop")
    assert found.canonical == {name(1): name(0), name(3): name(2), name(4): name(2)}
    assert found.pairs(name(2)) == [(name(1), 1.0, True)] and found.pairs(name(3)) == [(name(2), 1.0, True)]
    assert found.pairs(name(1)) == [(name(0), 0.1, False)]
    assert [row["address"] for row in found.matches if row["key"] == name(1)] == [True]
    # A pair that is alike counts before one of an URL, and takes the copies along.
    both = resolve(tmp_path / "both", 4, [address(2, 0, 0.5), near(2, 1, 0.3, containment=0.9)], copies={3: 2}, url="drop")
    assert both.canonical == {name(2): name(1), name(3): name(1)}


def test_copies_of_what_stays_in_spite_of_its_url_go_for_it(tmp_path: Path) -> None:
    found = resolve(tmp_path, 4, [address(1, 0)], copies={2: 1, 3: 1}, protected=2, url="drop")
    assert found.canonical == {name(2): name(1), name(3): name(1)}


@st.composite
def crawls(draw: st.DrawFn) -> dict[str, Any]:
    """Ranks with exact copies, protected ones, equal references, and pairs of all kinds between firsts."""
    documents = draw(st.integers(1, 14))
    copies: dict[int, int] = {}
    for rank in range(1, documents):
        if draw(st.integers(0, 3)) == 0:
            first = draw(st.integers(0, rank - 1))
            copies[rank] = copies.get(first, first)
    firsts = [rank for rank in range(documents) if rank not in copies]
    equal = [
        equals(first, f"x{first}", draw(st.integers(0, 1)), eligible=False) for first in firsts if draw(st.integers(0, 6)) == 0
    ]
    free = [first for first in firsts if first not in {row["first"] for row in equal}]
    measured, seen = [], set()
    for _ in range(draw(st.integers(0, 30))):
        left, right = draw(st.sampled_from(free)) if free else 0, draw(st.sampled_from([-2, -1, *free]))
        if right >= left or not free or (left, right) in seen:
            continue
        seen.add((left, right))
        similarity = draw(st.sampled_from([0.2, 0.8, 0.9]))
        if right >= 0 and draw(st.booleans()):
            measured.append(near(left, right, similarity, address=True, alike=similarity > 0.5))
        else:
            scope = CRAWL if right >= 0 else right + 2
            measured.append(
                near(
                    left,
                    right if right >= 0 else f"y{right}",
                    similarity,
                    scope,
                    alike=similarity > 0.5,
                    duplicate=similarity > 0.5,
                )
            )
    protected = draw(st.integers(0, documents))
    return {"documents": documents, "copies": copies, "equal": equal, "measured": measured, "protected": protected}


@settings(deadline=None, max_examples=30)
@given(crawls(), st.sampled_from(["drop", "keep"]))
def test_any_crawl_keeps_the_rule(crawl: dict[str, Any], match: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = resolve(Path(folder), references=[SNAPSHOT, RUN], near=match, url="drop", **crawl)
    rows = {(row["key"], row["other"]): row for row in found.matches}
    assert len(rows) == len(found.matches)
    protected = {name(rank) for rank in range(crawl["protected"])}
    references = {row["reference"] for row in crawl["equal"]} | {"y-1", "y-2"}
    for key, canonical in found.canonical.items():
        # What each dropped document names is kept, comes first, and is its pair.
        assert key not in protected and canonical not in found.canonical
        assert canonical in references or canonical < key
        pair = rows[key, canonical]
        assert pair["duplicate"] and (pair["identical"] or pair["address"] or (match == "drop" and pair["similarity"] > 0.5))
    for (key, other), pair in rows.items():
        # What is kept and not protected has no such pair with what is kept and comes first.
        drops = pair["duplicate"] and (pair["identical"] or pair["address"] or match == "drop")
        assert key in found.canonical or key in protected or not drops or other in found.canonical
    equal = {row["first"] for row in crawl["equal"]}
    copies = {rank: crawl["copies"].get(rank, rank) for rank in range(crawl["documents"])}
    assert {rank for rank, first in copies.items() if first in equal} <= {
        rank for rank in copies if found.canonical.get(name(rank), "").startswith("x") or name(rank) in protected
    }
    for first in set(copies.values()) - equal:
        # Within the crawl it goes for what is near or was captured at its URL, never as a copy of its own copies.
        canonical = found.canonical.get(name(first))
        assert canonical is None or not rows[name(first), canonical]["identical"]


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
    rows = [{"part": 0, "row": i, "rank": i, "key": name(i), "first": i, "protected": i == 1} for i in range(2)]
    tables.write(str(tmp_path), "ranked.parquet", pa.Table.from_pylist(rows, schema=RANKED), RANKED)
    step = ResolveMatches({"folder": str(tmp_path), "config": {"match": {}}, "prefix": "part", "references": []})
    step.setup()
    with pytest.raises(RuntimeError, match="not protected rank before protected ones"):
        step.part({"name": "all", "ranked": [f"{tmp_path}/ranked.parquet"], "equal": None, "measured": [], "parts": 1})
