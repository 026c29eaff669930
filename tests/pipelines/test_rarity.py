"""The rarity stages against plain Python: deciles and coverage of small corpora, cut into any parts."""

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines import rarity as stages
from pipelines.runner import Runner
from provenance import rarity
from provenance.schema import DOCUMENTS
from store import files, tables
from tests.mixes import Here

NONE = np.zeros(0, np.int64)


def corpus(seed: int, documents: int, vocabulary: int = 3000) -> list[str | None]:
    """Texts whose words are frequent by Zipf's law; some are empty, null or equal."""
    rng = np.random.default_rng(seed)
    texts: list[str | None] = []
    for number in range(documents):
        count = int(rng.integers(1, 120))
        found = rng.zipf(1.4, count) % vocabulary
        texts.append(" ".join("w" + "".join(chr(97 + int(digit)) for digit in str(word)) for word in found))
        if number % 37 == 5:
            texts[-1] = (None, "", "12 34", texts[0])[number % 4]
    return texts


def words(text: str | None) -> set[str]:
    return {word for word in re.findall(r"\w+", (text or "").lower()) if re.search(r"[a-z]", word)}


def dealt(folder: Path, texts: list[str | None], parts: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Documents files of these texts, in row groups of a few rows; and the part and row of each."""
    urls, where = [], []
    for number in range(parts):
        own = texts[number::parts]
        table = pa.table({"key": [str(row) for row in range(len(own))], "text": pa.array(own, pa.string())})
        tables.write(str(folder), f"documents/{number:05d}.parquet", table, table.schema, row_group=7)
        urls.append(files.join(str(folder), f"documents/{number:05d}.parquet"))
    for number in range(len(texts)):
        where.append((number % parts, number // parts))
    return urls, where


def rows(where: list[tuple[int, int]], chosen: Any, parts: int) -> list[np.ndarray]:
    found: list[list[int]] = [[] for _ in range(parts)]
    for number in chosen:
        found[where[number][0]].append(where[number][1])
    return [np.array(sorted(own), np.int64) for own in found]


def judged(folder: Path, texts: list[str | None], human: Any, wanted: Any, parts: int, runner: Any = None) -> dict[int, int | None]:
    """Decile of each wanted text, by its number."""
    urls, where = dealt(folder, texts, parts)
    table = stages.deciles(urls, rows(where, human, parts), rows(where, wanted, parts), str(folder / "work"), runner or Here())
    assert table.schema.equals(stages.DECILES)
    places = {place: number for number, place in enumerate(where)}
    found = [(row["part"], row["row"]) for row in table.to_pylist()]
    assert found == sorted(found) and len(set(found)) == len(found)
    return {places[row["part"], row["row"]]: row["rarity"] for row in table.to_pylist()}


def means(texts: list[str | None], human: Any) -> dict[int, float]:
    frequency = Counter(word for number in human for word in words(texts[number]))
    return {
        number: sum(math.log2(len(human) / max(frequency[word], 1)) for word in words(text)) / len(words(text))
        for number, text in enumerate(texts)
        if words(text)
    }


def kept(folder: Path, texts: list[str | None], before: Any, after: Any, parts: int, runner: Any = None) -> dict[str, Any]:
    urls, where = dealt(folder, texts, parts)
    return stages.coverage(urls, rows(where, before, parts), rows(where, after, parts), str(folder / "work"), runner or Here())


def test_deciles_are_those_of_plain_python(tmp_path: Path):
    texts = corpus(1, 400)
    human, wanted = range(0, 400, 2), range(400)
    found, expected = judged(tmp_path, texts, human, wanted, 3), means(texts, human)
    assert set(found) == set(wanted) and {number for number in found if found[number] is None} == set(wanted) - set(expected)
    ordered = sorted(expected[number] for number in human if number in expected)
    edges = [ordered[math.ceil(len(ordered) * step / 10) - 1] for step in range(1, 10)]
    for number, mean in expected.items():
        # The integers are rounded down, so that only a mean on an edge may lie on its other side.
        assert found[number] in {sum(edge < mean + shift for edge in edges) for shift in (-1e-4, 0, 1e-4)}
    assert set(found.values()) == {None, *range(10)}
    sizes = Counter(found[number] for number in human if found[number] is not None)
    assert max(sizes.values()) - min(sizes.values()) <= 3


def test_rare_words_make_a_high_decile(tmp_path: Path):
    texts: list[str | None] = [f"the and of common words {'' if n % 10 else 'with'}" for n in range(50)] + [
        "zymurgy quokka petrichor",
        "the and of",
    ]
    found = judged(tmp_path, texts, range(50), range(52), 2)
    assert found[50] == 9 and found[51] == 0


def test_parts_row_groups_batches_and_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    texts = corpus(2, 180)
    human, wanted, after = range(100), range(60, 180), range(0, 100, 3)
    deciles = judged(tmp_path / "one", texts, human, wanted, 1)
    covered = kept(tmp_path / "one", texts, human, after, 1)
    assert 0 < covered["all"]["kept"] < covered["all"]["types"]
    # Many files of each part, many ranges, and a table that is read in pieces for a few texts at a time.
    for name, value in {"WORDS": 50, "RANGE": 100, "HELD": 60, "TEXTS": 5}.items():
        monkeypatch.setattr(stages, name, value)
    for parts in (1, 2, 5):
        assert judged(tmp_path / f"many-{parts}", texts, human, wanted, parts) == deciles
        assert kept(tmp_path / f"many-{parts}", texts, human, after, parts) == covered


def test_a_count_holds_so_many_words_and_writes_them_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stages, "TEXTS", 3)
    monkeypatch.setattr(stages, "WORDS", 40)
    kept(tmp_path, corpus(6, 60), range(60), range(30), 1)
    sizes = [len(tables.read([str(path)])) for path in (tmp_path / "work").rglob("counted/*.parquet")]
    # What one batch brings comes on top.
    assert len(sizes) > 5 and max(sizes) < 40 + 3 * 120


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_beam_gives_the_same(workers: int, tmp_path: Path):
    texts = corpus(3, 200)
    human, wanted, after = range(120), range(200), range(60)
    deciles, covered = judged(tmp_path / "here", texts, human, wanted, 4), kept(tmp_path / "here", texts, human, after, 4)
    with Runner(workers) as runner:
        assert judged(tmp_path / "there", texts, human, wanted, 4, runner) == deciles
        assert kept(tmp_path / "there", texts, human, after, 4, runner) == covered


def test_without_human_documents_there_are_no_deciles(tmp_path: Path):
    found = judged(tmp_path, corpus(4, 20), [], range(20), 2)
    assert set(found) == set(range(20)) and set(found.values()) == {None}


@pytest.mark.parametrize("texts", [[], [None], ["", "1 2 3"]], ids=["none", "null", "no words"])
def test_empty_corpora(texts: list[str | None], tmp_path: Path):
    everything = range(len(texts))
    assert judged(tmp_path, texts, everything, everything, 1) == dict.fromkeys(everything)
    found = kept(tmp_path, texts, everything, everything, 1)
    assert found["all"] == {"types": 0, "kept": 0, "share": None, "expected": None}
    assert found["documents"] == {"before": len(texts), "after": len(texts)}


def test_no_files_at_all(tmp_path: Path):
    assert stages.deciles([], [], [], str(tmp_path), Here()).num_rows == 0
    assert stages.coverage([], [], [], str(tmp_path), Here())["documents"] == {"before": 0, "after": 0}


def test_texts_that_only_the_other_side_has_count_for_nothing(tmp_path: Path):
    """Frequencies rest on the human documents alone: what a run holds a thousand times is rare where no human document has it."""
    texts: list[str | None] = ["alpha beta"] * 10 + ["gamma delta"] * 10
    found = judged(tmp_path, texts, range(10), range(20), 1)
    assert [found[number] for number in (0, 10)] == [0, 9]


@pytest.mark.parametrize("seed", range(3))
def test_coverage_is_that_of_brute_force(seed: int, tmp_path: Path):
    texts, rng = corpus(10 + seed, 150), np.random.default_rng(seed)
    before = sorted(rng.choice(150, 120, replace=False).tolist())
    after = sorted(rng.choice(before, 45, replace=False).tolist())
    found = kept(tmp_path, texts, before, after, 2)
    frequency = Counter(word for number in before for word in words(texts[number]))
    stayed = {word for number in after for word in words(texts[number])}
    assert found["documents"] == {"before": 120, "after": 45}
    assert found["types"] == {"before": len(frequency), "kept": len(stayed)}
    total = expected = 0.0
    for c in range(1, 6):
        types = {word for word in frequency if frequency[word] == c}
        chance = 1 - math.comb(120 - c, 45) / math.comb(120, 45)
        line = found["frequencies"][str(c)]
        assert (line["types"], line["kept"]) == (len(types), len(types & stayed))
        assert line["share"] == round(len(types & stayed) / len(types), 6) and line["expected"] == pytest.approx(chance, abs=1e-6)
        total, expected = total + len(types), expected + chance * len(types)
    assert found["all"]["types"] == total and found["all"]["expected"] == pytest.approx(expected / total, abs=1e-6)


def test_a_uniform_sample_keeps_what_is_expected_and_a_filter_does_not(tmp_path: Path):
    texts = corpus(20, 800, 50_000)
    rng = np.random.default_rng(5)
    uniform = kept(tmp_path / "u", texts, range(800), sorted(rng.choice(800, 240, replace=False).tolist()), 2)["all"]
    # Some thousand rare words, each kept by itself: a share's standard error is below one hundredth.
    assert uniform["types"] > 1000 and abs(uniform["share"] - uniform["expected"]) < 0.04
    found = judged(tmp_path / "d", texts, range(800), range(800), 2)
    common = sorted(range(800), key=lambda number: (found[number] is None, found[number] or 0, number))[:240]
    filtered = kept(tmp_path / "f", texts, range(800), common, 2)["all"]
    assert filtered["expected"] == uniform["expected"] and filtered["share"] < 0.7 * filtered["expected"]


def test_everything_kept_keeps_every_word(tmp_path: Path):
    found = kept(tmp_path, corpus(30, 60), range(60), range(60), 2)
    for line in (*found["frequencies"].values(), found["all"]):
        assert line["kept"] == line["types"] > 0 and line["share"] == line["expected"] == 1


def test_nothing_kept_keeps_no_word(tmp_path: Path):
    found = kept(tmp_path, corpus(31, 60), range(60), [], 2)
    assert found["all"]["types"] > 0 and found["all"]["kept"] == found["all"]["share"] == found["all"]["expected"] == 0


def test_the_same_rows_are_the_same_work_and_others_are_not(tmp_path: Path):
    """A rerun finds its receipts by the digest of the rows, not by where their list lies."""
    texts = corpus(40, 60)
    first = kept(tmp_path, texts, range(60), range(20), 2)
    written = {path.name for path in (tmp_path / "work").iterdir()}
    assert kept(tmp_path, texts, range(60), range(20), 2) == first
    assert {path.name for path in (tmp_path / "work").iterdir()} == written
    assert kept(tmp_path, texts, range(60), range(21), 2) != first
    assert {path.name for path in (tmp_path / "work").iterdir()} > written


def test_the_work_folder_may_be_elsewhere(tmp_path: Path):
    texts = corpus(41, 40)
    urls, where = dealt(tmp_path, texts, 2)
    chosen = rows(where, range(40), 2), rows(where, range(0, 40, 2), 2)
    for ask in (stages.deciles, stages.coverage):
        assert ask(urls, *chosen, "memory://rarity-work", Here()) == ask(urls, *chosen, str(tmp_path / "work"), Here())


def test_documents_of_the_schema_can_be_read(tmp_path: Path):
    table = pa.Table.from_pylist([dict.fromkeys(DOCUMENTS.names) | {"key": "k", "text": "one two"}], schema=DOCUMENTS)
    tables.write(str(tmp_path), "documents/x.parquet", table, DOCUMENTS)
    found = list(stages.texts(str(tmp_path / "documents" / "x.parquet"), np.array([0])))
    assert [(some.to_pylist(), places.tolist()) for some, places in found] == [(["one two"], [0])]
    assert list(stages.texts(str(tmp_path / "documents" / "x.parquet"), NONE)) == []
    assert rarity.words(found[0][0])[1].tolist() == [0, 2]
