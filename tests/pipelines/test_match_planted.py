"""Planted near copies, made up in four scripts and of real text in four languages, against brute-force truth."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from provenance import schema
from tests.match import planted, real
from tests.match.quality import BANDS, Quality, between, plant_and_curate, share
from tests.match.runs import faults


def check(found: Quality) -> None:
    """What issue and DESIGN promise of near copies: recall by similarity, nothing taken below, each named rightly."""
    assert found.wrong == [] and faults(found.run) == []
    for language in {one.language for one in found.judged}:
        ours = [one for one in found.judged if one.language == language]
        assert share(one.dropped for one in between(ours, 0.85)) >= 0.99, language
        assert share(one.dropped for one in between(ours, 0.8)) >= 0.95, language
        assert share(one.proposed for one in between(ours, 0.8)) >= 0.99, language
    inside = [one for one in found.judged if one.frozen and one.truth.containment >= 0.85]
    assert len(inside) >= 100 and share(one.dropped for one in inside) >= 0.98


def is_covered(found: Quality, languages: Sequence[str], least: int) -> None:
    """Each language and each kind of edit has pairs in every band of similarity that it can reach."""
    for language in languages:
        for low, high in BANDS:
            assert len([one for one in between(found.judged, low, high) if one.language == language]) >= least, (language, low)
    for kind in planted.EDITS:
        assert sum(any(one.kind == kind for one in between(found.judged, *band)) for band in BANDS) >= 6, kind


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Quality:
    texts = {script: [planted.prose(script, ("planted", n), 100 + 5 * n) for n in range(14)] for script in planted.SCRIPTS}
    return plant_and_curate(texts, 5, tmp_path_factory.mktemp("planted"))


def test_planted_copies_in_four_scripts(synthetic: Quality) -> None:
    is_covered(synthetic, list(planted.SCRIPTS), 4)
    check(synthetic)


def test_what_was_compared_how_is_counted_and_told(synthetic: Quality) -> None:
    counts = synthetic.counts
    assert counts["pairs_estimated"] > 0 < counts["pairs_measured"]
    assert counts["pairs_estimated"] + counts["pairs_measured"] == counts["candidates"]
    rows = synthetic.run.matches
    assert counts["matches"] == len(rows) and counts["dropped"] == synthetic.removed
    assert set(rows[0]) == set(schema.MATCHES.names)
    known = [row for row in rows if not row["identical"]]
    assert {row["exact"] for row in known} == {True, False}
    for row in known:
        truth = synthetic.run.truth(row["key"], row["other"])
        assert row["duplicate"] == truth.duplicate, "a signature may decide only what leaves no doubt"
        assert abs(row["estimate"] - truth.similarity) < 0.25


@pytest.mark.slow
def test_planted_copies_of_real_text_in_four_languages(shared: Path, tmp_path: Path) -> None:
    found = plant_and_curate({language: real.texts(language, 60) for language in real.SOURCES}, 5, tmp_path)
    is_covered(found, list(real.SOURCES), 20)
    check(found)
