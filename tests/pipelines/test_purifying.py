"""The purity of a mix: what is told of its human side, on what it rests, and that it needs no model where there are no cells."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import calibrating, prevailing, purifying
from provenance.calibration import Combiner
from provenance.schema import SNAPSHOT_DOCUMENTS
from tests import mixes
from tests.pipelines.test_prevailing import CELL, MACHINE, RATE

WEIGHED = Combiner(version="0", source="made up", cells=(CELL,))
OF = prevailing.cells(WEIGHED, RATE)


def scores(years: dict[int | None, float], hosts: int = 40, pages: int = 15, shift: float = 0.0) -> pa.Table:
    """Scores of human documents by year of capture, of which a planted share is machine text."""
    rng, rows = np.random.default_rng(1), []
    for year, share in years.items():
        for host in range(hosts):
            apart = rng.normal(shift, 0.2)
            for page in range(pages):
                row: dict[str, Any] = dict.fromkeys(calibrating.HUMAN_SCORES.names)
                score = rng.normal(MACHINE, 1) if rng.random() < share else rng.normal(apart, 1)
                date = datetime(year, 5, 6, tzinfo=UTC) if year else None
                row |= {"snapshot": "s", "key": f"{year}{host}-{page}", "host": f"h{host}.example", "date_end": date}
                rows.append(row | {"cell": CELL.name, "score": float(score)})
    return pa.Table.from_pylist(rows, schema=calibrating.HUMAN_SCORES)


def judged(table: pa.Table) -> dict[str, Any]:
    assert OF is not None
    return purifying.judged(table, WEIGHED, RATE, OF)


def test_a_planted_share_of_the_later_documents_is_told_of_all() -> None:
    told = judged(scores({2015: 0.0, 2021: 0.2, None: 0.2}))
    assert told["documents"] == told["estimated"] == 1800 and told["before_2020"] == 600
    truth = 0.2 * 2 / 3
    assert told["share_low"] < truth < told["share_high"] and told["share_high"] - told["share_low"] < 0.12
    assert told["rogan_gladen_low"] <= truth <= told["rogan_gladen_high"]
    assert "before 2020" in told["human_side"] and told["placebo"]["share_low"] == 0
    assert "600 of them, captured before 2020, are taken to hold none" in purifying.line(told)


def test_a_pure_side_covers_zero_and_order_changes_nothing() -> None:
    table = scores({2015: 0.0, 2021: 0.0})
    told = judged(table)
    assert told["share_low"] == 0 and told["share_high"] < 0.1
    assert judged(table.take(np.random.default_rng(2).permutation(len(table)))) == told


def test_what_is_all_older_than_the_models_is_pure_by_its_dates() -> None:
    told = judged(scores({2012: 0.0, 2019: 0.0}))
    assert told["share"] == 0 and told["share_low"] is None
    assert purifying.line(told) == "0 % of 1,200 documents: all of it was captured before 2020"


def test_without_old_documents_the_calibrations_human_text_is_the_other_side() -> None:
    told = judged(scores({2021: 0.1}))
    assert told["before_2020"] == 0 and told["placebo"] is None
    assert "the calibration's human text" in told["human_side"]
    assert "none of them was captured before 2020" in purifying.line(told)
    assert told["share_low"] < 0.1 < told["share_high"]


def test_a_placebo_that_fails_is_told() -> None:
    assert "DOUBTFUL" in purifying.line(judged(scores({2015: 0.0, 2021: 0.0}, shift=1.0)))


def test_too_few_documents_and_none_in_a_cell_are_said() -> None:
    few = judged(scores({2021: 0.0}, hosts=1, pages=5))
    assert few["share"] is None and "too few" in purifying.line(few)
    table = scores({2021: 0.0})
    without = table.set_column(table.schema.get_field_index("cell"), "cell", pa.nulls(len(table), pa.string()))
    assert "no calibrated cell covers" in purifying.line(judged(without))


def test_without_cells_no_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = msgspec.structs.replace(purifying.toolbox.calibration(), combiner=None)
    monkeypatch.setattr(purifying.toolbox, "calibration", lambda: bare)
    told = purifying.estimated("nowhere", None, None)  # type: ignore[arg-type]
    assert told["share"] is None and purifying.line(told) == "not estimated: there are no calibrated cells"


def test_only_documents_that_a_cell_covers_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [("en", 900), ("en", 49), ("is", 900), (None, 900), ("de", None), ("de", 50), ("en", 900)]
    found = [mixes.document(f"d{i}", 200, language=language, word_count=words) for i, (language, words) in enumerate(facts)]
    url = str(tmp_path / "documents.parquet")
    pq.write_table(pa.Table.from_pylist([mixes.sealed(row) for row in found], schema=SNAPSHOT_DOCUMENTS), url)
    chosen = [{"source": "s", "part": "p", "row": row} for row in (5, 0, 1, 2, 3, 4)]
    planned: Any = SimpleNamespace(numbers={"s": {"p": 0}}, urls=[url], folder=str(tmp_path))
    (part,) = purifying._parts(planned, chosen, WEIGHED)
    assert pq.read_table(part["sample"])["row"].to_pylist() == [0, 5] and part["snapshot"] == "s"
    assert purifying._parts(planned, chosen[2:], WEIGHED) == []
    calibration = msgspec.structs.replace(purifying.toolbox.calibration(), combiner=WEIGHED)
    monkeypatch.setattr(purifying.toolbox, "calibration", lambda: calibration)
    monkeypatch.setattr(purifying, "_chosen", lambda *_: chosen[2:])
    told = purifying.estimated("nowhere", planned, None)
    assert told["documents"] == 4 and told["estimated"] == 0 and "no calibrated cell covers" in purifying.line(told)
