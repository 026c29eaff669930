"""Tags: the one way to `human`, what decides, what adds up, and why a verdict abstains."""

import datetime
import math
from importlib import resources
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import evidence, schema, signals, verdict
from provenance.schema import ATTESTATIONS, ORIGINS, TAGS
from provenance.signals import Tools
from provenance.verdict import STANDING, Verdict
from tests.provenance.signals.pages import batch

SHIPPED = evidence.read_calibration(resources.files("provenance").joinpath("calibration.json").read_bytes())
COPY = {"identical": True, "reference_attestation": "captured", "word_count": 300, "snapshot": "s" * 64}


def standing(*rows: dict[str, Any]) -> pa.RecordBatch:
    given = {"id": "u", "attestation": "captured", "word_count": 300, "identical": False}
    return pa.RecordBatch.from_pylist([{"key": str(i)} | given | row for i, row in enumerate(rows)], schema=STANDING)


def rows(*found: tuple[str, float, float | None], key: str = "0") -> pa.RecordBatch:
    """Evidence rows of (signal, value, LLR) about one document."""
    versions = signals.versions()
    fields = ("key", "signal", "version", "value", "detail", "log_likelihood_ratio")
    return pa.RecordBatch.from_pylist(
        [dict(zip(fields, (key, s, versions[s], v, f"{s} saw {v}", r), strict=True)) for s, v, r in found], schema=schema.EVIDENCE
    )


def tag(row: dict[str, Any] | None = None, *found: tuple[str, float, float | None], **options: Any) -> dict[str, Any]:
    out = verdict.verdict(standing(row or {}), rows(*found), SHIPPED, Verdict(**options))
    assert out.schema.equals(TAGS)
    return out.to_pylist()[0]


def test_a_copy_of_an_eligible_document_is_human():
    found = tag(COPY | {"canonical": "c"})
    assert (found["origin"], found["basis"], found["attestation"], found["snapshot"], found["canonical"]) == (
        "human",
        ["snapshot_match"],
        "captured",
        "s" * 64,
        "c",
    )


@pytest.mark.parametrize(
    "row",
    [
        {"identical": False},
        {"identical": None},
        {"reference_attestation": "none"},
        {"reference_attestation": None},
        {"word_count": 49},
        {"word_count": None},
        {"reference_attestation": "certain"},
    ],
)
def test_nothing_less_is_human(row):
    found = tag(COPY | row)
    assert found["origin"] == "unknown" and found["snapshot"] is None and found["reason"]


def test_what_a_protected_source_keeps_is_never_human():
    row = COPY | {"protected": True, "reference": "r", "similarity": 1.0}
    found = tag(row)
    assert (found["origin"], found["canonical"], found["snapshot"], found["attestation"]) == ("unknown", None, None, "captured")
    assert found["reason"].startswith("equals document r of the snapshot and is kept because its source is protected")
    # As where it is dropped, no detector votes on what equals a document of the snapshot.
    assert tag(row, ("origin_model", 9.0, 9.0))["origin"] == "unknown"


def test_a_near_match_never_raises_a_tag_and_an_estimate_is_called_one():
    near = {"reference": "r", "similarity": 0.987, "canonical": "r", "snapshot": "s" * 64}
    assert "nearest at similarity 0.99" in tag(near | {"exact": True})["reason"]
    for row in (near | {"exact": False}, near | {"exact": False, "protected": True, "canonical": None}):
        found = tag(row)
        assert found["origin"] == "unknown" and found["snapshot"] is None
        assert "nearest at an estimated similarity of 0.99" in found["reason"]


def test_the_level_is_the_options():
    row = COPY | {"reference_attestation": "declared"}
    assert tag(row)["origin"] == "human"
    assert tag(row, min_attestation="captured")["origin"] == "unknown"
    with pytest.raises(ValueError, match="min_attestation 'none'"):
        Verdict(min_attestation="none")


@pytest.mark.parametrize(
    ("signal", "value", "origin"),
    [
        ("translation_markup", 3.0, "machine_translated"),
        ("translation_markup", 2.0, "unknown"),
        ("residue", 3.0, "machine_generated"),
        ("residue", 2.0, "unknown"),
        ("disclosure", 3.0, "machine_generated"),
        ("disclosure", 2.0, "unknown"),
    ],
)
def test_machine_evidence_takes_human_away(signal, value, origin):
    assert tag(COPY, (signal, value, 1.0))["origin"] == origin


def test_detectors_have_no_vote_on_a_copy():
    assert tag(COPY, ("origin_model", 10.0, 3.0))["origin"] == "human"


def test_a_detector_neither_decides_nor_bars_whatever_the_file_says():
    weight = msgspec.structs.replace(SHIPPED.signals["origin_model@1"], decides_from=0.0, bars_from=0.0)
    calibration = msgspec.structs.replace(SHIPPED, signals={"origin_model@1": weight})
    found = rows(("origin_model", 10.0, 1.0))
    assert verdict.verdict(standing(COPY), found, calibration, Verdict()).column("origin").to_pylist() == ["human"]
    assert verdict.verdict(standing({}), found, calibration, Verdict()).column("origin").to_pylist() == ["unknown"]
    assert verdict.flagged(found, calibration).num_rows == 0


def test_a_copy_that_is_not_human_is_not_given_to_a_detector():
    assert tag(COPY | {"reference_attestation": "none"}, ("origin_model", 10.0, 3.0))["origin"] == "unknown"
    assert tag(COPY | {"identical": False}, ("origin_model", 10.0, 3.0))["origin"] == "machine_generated"


def test_a_near_copy_is_not_human():
    found = tag({"similarity": 0.99}, ("snapshot_match", 0.99, None), ("capture_time", -900.0, None))
    assert found["origin"] == "unknown" and "0.99" in found["reason"]


@pytest.mark.parametrize(
    ("signal", "value", "origin"),
    [
        ("translation_markup", 4.0, "machine_translated"),
        ("translation_markup", 3.0, "machine_translated"),
        ("translation_markup", 2.0, "unknown"),
        ("residue", 4.0, "machine_generated"),
        ("residue", 2.0, "unknown"),
        ("residue", -1.0, "unknown"),
        ("disclosure", 3.0, "machine_generated"),
        ("disclosure", 0.0, "unknown"),
        ("snapshot_match", 1.0, "unknown"),
        ("capture_time", -4000.0, "unknown"),
    ],
)
def test_single_readings(signal, value, origin):
    found = tag({}, (signal, value, None))
    assert found["origin"] == origin
    assert found["basis"] == ([signal] if origin != "unknown" else [])


def test_ratios_add_up():
    assert tag({}, ("origin_model", 6.0, 2.0))["origin"] == "unknown"
    found = tag({}, ("origin_model", 6.0, 2.0), ("residue", 2.0, 1.5))
    assert (found["origin"], found["basis"]) == ("machine_generated", ["origin_model", "residue"])
    assert found["log_likelihood_ratio"] == 3.5
    assert tag({}, ("origin_model", 6.0, 2.0), ("residue", 2.0, 1.5), machine_from=3.6)["origin"] == "unknown"


def test_translation_evidence_adds_to_no_tag():
    assert tag({}, ("origin_model", 6.0, 2.5), ("translation_markup", 2.0, 1.0))["origin"] == "unknown"


def test_uncalibrated_readings_add_to_no_tag():
    found = tag({}, ("origin_model", 10.0, None))
    assert found["origin"] == "unknown" and found["p_machine"] is None


def test_probability_from_prior_and_evidence():
    found = tag({}, ("origin_model", 1.0, 1.2), prior=-2.0)
    assert (found["prior"], found["log_likelihood_ratio"]) == (-2.0, 1.2)
    assert math.isclose(found["p_machine"], 1 / (1 + math.exp(0.8)))
    assert tag({}, ("residue", 1.0, 0.3))["p_machine"] is None
    assert tag({}, ("origin_model", 1.0, 1.2))["prior"] == SHIPPED.prior


def test_order_of_rows_changes_nothing():
    found = [("origin_model", 6.0, 2.0), ("residue", 2.0, 1.5), ("disclosure", 1.0, 0.5)]
    assert tag({}, *found) == tag({}, *reversed(found))


def test_flagged_are_the_machine_marks_only():
    found = pa.concat_tables(
        pa.Table.from_batches([part])
        for part in (
            rows(("translation_markup", 2.0, 1.0), ("residue", 3.0, 3.0), key="b"),
            rows(("disclosure", 2.0, 1.5), key="a"),
            rows(("origin_model", 10.0, 3.0), key="c"),
            rows(("residue", -1.0, None), key="d"),
            rows(("residue", 1.0, 0.3), ("translation_markup", 1.0, 0.3), ("disclosure", 0.0, 0.0), key="e"),
        )
    )
    assert verdict.flagged(found, SHIPPED).to_pylist() == [
        {"key": "a", "reason": "disclosure: disclosure saw 2.0"},
        {"key": "b", "reason": "residue: residue saw 3.0; translation_markup: translation_markup saw 2.0"},
    ]
    assert verdict.alarms(found, SHIPPED).column("key").to_pylist() == ["d"]


def test_an_alarm_is_said_and_is_no_machine_evidence():
    found = tag({}, ("residue", -1.0, None))
    assert found["origin"] == "unknown" and "capture looks false" in found["reason"]


def test_other_versions_are_an_error():
    found = rows(("residue", 1.0, 0.3)).set_column(2, "version", pa.array(["0"]))
    with pytest.raises(ValueError, match="residue has version 0"):
        verdict.verdict(standing({}), found, SHIPPED, Verdict())


LEVELS = st.sampled_from([*ATTESTATIONS, None, "human", "verified"])
FOUND = st.lists(
    st.tuples(st.sampled_from(sorted(signals.found())), st.floats(-1e4, 1e4), st.none() | st.floats(-3, 3)), max_size=12
)


@settings(max_examples=400, deadline=None)
@given(
    found=FOUND,
    identical=st.sampled_from([False, None]),
    level=LEVELS,
    own=LEVELS,
    words=st.none() | st.integers(0, 10**6),
    similarity=st.none() | st.floats(0, 1),
    machine_from=st.floats(1e-9, 10),
    prior=st.floats(-50, 50),
)
def test_no_evidence_makes_a_human(found, identical, level, own, words, similarity, machine_from, prior):
    row = {
        "identical": identical,
        "reference_attestation": level,
        "attestation": own,
        "word_count": words,
        "similarity": similarity,
        "snapshot": "s",
        "canonical": "c",
    }
    out = tag(row, *found, machine_from=machine_from, prior=prior, min_attestation="declared")
    assert out["origin"] in ORIGINS and out["origin"] != "human"
    assert out["snapshot"] is None
    assert out["reason"]


@settings(max_examples=200, deadline=None)
@given(found=FOUND, level=LEVELS, words=st.none() | st.integers(0, 100))
def test_human_needs_all_of_it(found, level, words):
    out = tag({"identical": True, "reference_attestation": level, "word_count": words, "snapshot": "s"}, *found)
    clean = not any(s in ("translation_markup", "disclosure", "residue") and v >= 2 for s, v, _ in found)
    attested = level in ATTESTATIONS[1:]
    assert (out["origin"] == "human") == (clean and attested and words is not None and words >= 50)


CLAIMS = [
    {"metadata": '{"origin": "human", "date_published": "2015-01-01", "attestation": "timestamped"}'},
    {
        "html": '<meta name="origin" content="human"><meta name="ai-disclosure" content="none"><time datetime="2015-01-01">2015</time>'
    },
    {
        "http_headers": '{"last-modified": "Thu, 01 Jan 2015 00:00:00 GMT", "ai-disclosure": "mode=none", "date": "Thu, 01 Jan 2015 00:00:00 GMT"}'
    },
    {"text": "Published 2015. Written by a human, verified. origin: human. " * 20},
    {
        "date": datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC),
        "date_end": datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC),
        "attestation": "timestamped",
    },
    {
        "html": '<script type="application/ld+json">{"@type": "Article", "datePublished": "2015-01-01", "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"}</script>'
    },
]


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_a_page_says_of_itself_raises_nothing(claim):
    found = evidence.score(batch({"word_count": 300} | claim), "page", Tools(calibration=SHIPPED))
    out = verdict.verdict(standing({"attestation": claim.get("attestation", "captured")}), found, SHIPPED, Verdict()).to_pylist()[0]
    assert out["origin"] == "unknown"
    assert out["log_likelihood_ratio"] == 0 and out["p_machine"] is None
