"""The query of the README that checks a mix with DuckDB alone: it finds nothing in honest mixes, and what was forged in others."""

import copy
import re
from pathlib import Path

import duckdb
import pytest

from tests import forge_mix, mixes, reference

VARIANTS = {
    "plain": {},
    "thirds": {"floor": "1/3", "shards": 3, "chunk_bytes": 700},
    "whole": {"floor": "1"},
    "none": {"floor": "0"},
    "repeat": {"budget": 190_000, "shortfall": "repeat", "chunk_bytes": 1000, "human_apart": True},
}


def query() -> str:
    """The README's query, exactly."""
    (found,) = [sql for sql in re.findall(r"^```sql\n(.*?)^```", reference.README.read_text(), re.M | re.S) if "leaves.zst" in sql]
    return str(found)


def wrong(mix: Path, monkeypatch) -> list[tuple]:
    monkeypatch.chdir(mix)
    return duckdb.connect().execute(query()).fetchall()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return folder, *mixes.standard(folder)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_honest_mix_gives_no_rows(sources, tmp_path, monkeypatch, variant):
    _, frozen, crawled = sources
    mixes.make(tmp_path / "mix", frozen, [crawled], **VARIANTS[variant])
    assert wrong(tmp_path / "mix", monkeypatch) == []


def rows(frozen, settings):
    known = forge_mix.documents(frozen)
    humans = [row for i in range(9) for row in forge_mix.chunks(known[f"human-{i}"], "human", settings["chunk_bytes"])]
    others = [
        row for i in range(9) for row in forge_mix.chunks(mixes.document(f"new-{i}", 900), "unknown", settings["chunk_bytes"])
    ]
    return forge_mix.scheduled(humans, others, settings)


def swap(rows):
    other = next(i for i, row in enumerate(rows) if row["origin"] != "human")
    rows[0], rows[other] = rows[other], rows[0]


def turn(rows):
    first = next(i for i, row in enumerate(rows) if row["origin"] == "human" and row["chunks"] > 1)
    rows[first], rows[first + 1] = rows[first + 1], rows[first]


def edit(rows):
    next(row for row in rows if row["origin"] == "human")["text"] = "Written by a machine."


def claim(rows):
    next(row for row in rows if row["origin"] != "human")["origin"] = "human"


def drop(rows):
    del rows[next(i for i, row in enumerate(rows) if row["origin"] == "human" and row["chunks"] > 1)]


def double(rows):
    rows.append({**rows[0]})


FLOOR, TEXT = "below the floor", "not the text of an eligible leaf"
CHANGES = {swap: FLOOR, turn: TEXT, edit: TEXT, claim: TEXT, drop: TEXT, double: TEXT}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_forged_rows_are_found_though_every_digest_and_number_matches(sources, tmp_path, monkeypatch, change):
    _, frozen, _ = sources
    true = rows(frozen, forge_mix.SETTINGS)
    if CHANGES[change] == TEXT:
        true.sort(key=lambda row: row["origin"] != "human")
    false = copy.deepcopy(true)
    change(false)
    proven = [{row["key"] for row in true if row["origin"] == "human"}]
    forge_mix.publish(tmp_path / "mix", frozen, [false], proven=proven)
    assert CHANGES[change] in {kind for kind, *_ in wrong(tmp_path / "mix", monkeypatch)}


@pytest.mark.parametrize("name", ["machine-2019", "late"])
def test_a_leaf_that_may_not_count_as_human_is_found(sources, tmp_path, monkeypatch, name):
    _, frozen, _ = sources
    extra = forge_mix.chunks(forge_mix.documents(frozen)[name], "human", forge_mix.SETTINGS["chunk_bytes"])
    forge_mix.publish(tmp_path / "mix", frozen, [[*extra, *rows(frozen, forge_mix.SETTINGS)]])
    assert wrong(tmp_path / "mix", monkeypatch) == [(TEXT, "train-00000-of-00001", f"document {extra[0]['key']}")]


def test_a_floor_that_one_row_breaks_is_found_at_that_row(sources, tmp_path, monkeypatch):
    _, frozen, _ = sources
    true = [row for row in rows(frozen, forge_mix.SETTINGS) if row["origin"] == "human"]
    size = sum(len(row["text"].encode()) for row in true)
    for more in (0, 1):
        other = {**mixes_row(), "text": "x" * (size + more)}
        forge_mix.publish(tmp_path / f"mix-{more}", frozen, [[*true, other]])
        expected = [(FLOOR, "train-00000-of-00001", f"from row {len(true)}")] if more else []
        assert wrong(tmp_path / f"mix-{more}", monkeypatch) == expected


def mixes_row():
    (row,) = forge_mix.chunks(mixes.document("never", 50), "unknown", 600)
    return row
