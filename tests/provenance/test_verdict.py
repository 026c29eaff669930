"""Tags: the one way to `human`, what decides, what adds up, and why a verdict abstains."""

import datetime
import itertools
import math
from importlib import resources
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import combiner, evidence, schema, signals, verdict
from provenance.schema import ATTESTATIONS, ORIGINS, TAGS
from provenance.signals import Tools
from provenance.verdict import STANDING, Verdict
from tests import calibrations
from tests.calibrations import READS
from tests.provenance.signals.pages import batch

SHIPPED = calibrations.with_cells(
    evidence.read_calibration(resources.files("provenance").joinpath("calibration.json").read_bytes()),
    calibrations.cell(),
    calibrations.cell(group="de", languages=("de",), words_from=100, words_below=200, within={READS: (-1.0, 1.0)}),
)
"""The shipped weights, and cells that are flagged from 3 at a stated rate of 1 %."""
COPY = {"identical": True, "reference_attestation": "captured", "word_count": 300, "snapshot": "s" * 64}


def standing(*rows: dict[str, Any]) -> pa.RecordBatch:
    given = {"id": "u", "attestation": "captured", "language": "en", "word_count": 300, "identical": False}
    return pa.RecordBatch.from_pylist([{"key": str(i)} | given | row for i, row in enumerate(rows)], schema=STANDING)


def rows(*found: tuple[str, float, float | None], key: str = "0") -> pa.RecordBatch:
    """Evidence rows of (signal, value, LLR) about one document."""
    versions = signals.versions()
    fields = ("key", "signal", "version", "value", "detail", "log_likelihood_ratio")
    return pa.RecordBatch.from_pylist(
        [dict(zip(fields, (key, s, versions[s], v, f"{s} saw {v}", r), strict=True)) for s, v, r in found], schema=schema.EVIDENCE
    )


def decide(row: pa.RecordBatch, found: pa.RecordBatch | pa.Table, options: Verdict, **further: Any) -> pa.RecordBatch:
    scored = combiner.combine(row, found, SHIPPED.combiner)
    return combiner.decide(scored, found, SHIPPED.combiner, options.rate, **further)


def tag(row: dict[str, Any] | None = None, *found: tuple[str, float, float | None], **options: Any) -> dict[str, Any]:
    stands, made, asked = standing(row or {}), rows(*found), Verdict(**options)
    out = verdict.verdict(stands, made, SHIPPED, asked, decide(stands, made, asked))
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
    found = tag(row, (READS, 9.0, None))
    assert found["origin"] == "unknown" and "no detector votes on what equals" in found["reason"]


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
    found = tag(COPY, (READS, 10.0, None))
    assert (found["origin"], found["p_machine"], found["basis"]) == ("human", None, ["snapshot_match"])


def test_a_detector_neither_decides_nor_bars_whatever_the_file_says():
    entry = f"{READS}@{signals.versions()[READS]}"
    weight = msgspec.structs.replace(SHIPPED.signals[entry], speaks_for="machine_generated", decides_from=0.0, bars_from=0.0)
    calibration = msgspec.structs.replace(SHIPPED, signals={entry: weight})
    found = rows((READS, 10.0, 9.0))
    assert verdict.verdict(standing(COPY), found, calibration, Verdict()).column("origin").to_pylist() == ["human"]
    assert verdict.verdict(standing({}), found, calibration, Verdict()).column("origin").to_pylist() == ["unknown"]
    assert verdict.flagged(found, calibration).num_rows == 0


def test_a_copy_that_is_not_human_is_not_given_to_a_detector():
    assert tag(COPY | {"reference_attestation": "none"}, (READS, 10.0, None))["origin"] == "unknown"
    assert tag(COPY | {"identical": False}, (READS, 10.0, None))["origin"] == "machine_generated"


@pytest.mark.parametrize(
    ("value", "rate", "origin"),
    [(3.0, "0.01", "machine_generated"), (2.9, "0.01", "unknown"), (2.9, 0.02, "machine_generated"), (3.9, "0.005", "unknown")],
)
def test_the_detectors_flag_at_the_threshold_of_the_stated_rate(value, rate, origin):
    found = tag({}, (READS, value, None), false_positives=rate)
    assert (found["origin"], found["basis"]) == (origin, ["combined"])
    assert f"score {value:.3g}, flagged from" in found["reason"] and f"rate of {rate}" in found["reason"]


def test_a_threshold_that_snapshots_raised_is_used_and_part_of_the_rules():
    stands, made, raised = standing({}), rows((READS, 3.1, None)), {SHIPPED.combiner.cells[0].name: {"0.01": 3.2}}
    found = verdict.verdict(
        stands, made, SHIPPED, Verdict(), decide(stands, made, Verdict(), thresholds=raised), raised
    ).to_pylist()[0]
    assert found["origin"] == "unknown" and "flagged from 3.2 of the snapshot" in found["reason"]
    assert found["rules"] != tag({}, (READS, 3.1, None))["rules"]


@pytest.mark.parametrize(
    ("row", "value", "words"),
    [
        ({"word_count": 49}, 9.0, "49 words, too short for a calibrated detector, which needs 50"),
        ({"language": "ru"}, 9.0, "no calibrated detector covers language ru"),
        ({"language": None}, 9.0, "no calibrated detector covers a text of no known language"),
        (
            {"language": "de", "word_count": 99},
            9.0,
            "99 words, too short for a calibrated detector of language de, which needs 100",
        ),
        ({"language": "de", "word_count": 200}, 9.0, "no calibrated detector of language de covers 200 words"),
        ({"language": "de", "word_count": 100}, 9.0, "unlike all that the detectors were calibrated on"),
        ({}, None, "no reading of"),
        ({}, 2.0, "below the threshold of the detectors: en, 50 words and more"),
    ],
)
def test_an_abstention_says_why(row, value, words):
    found = tag(row, *([(READS, value, None)] if value is not None else []))
    assert found["origin"] == "unknown" and words in found["reason"]
    assert (found["p_machine"] is None) == (value != 2.0)


def test_without_a_combiner_no_detector_says_anything():
    stands, made = standing({}, {"word_count": 3}), rows((READS, 10.0, None))
    found = verdict.verdict(stands, made, SHIPPED, Verdict()).to_pylist()
    assert [row["origin"] for row in found] == ["unknown", "unknown"] and found[0]["p_machine"] is None
    assert "no calibrated detector covers it" in found[0]["reason"] and "too short for a detector" in found[1]["reason"]


def test_evidence_that_calls_itself_combined_is_ignored():
    forged = rows((READS, -5.0, None))
    forged = pa.concat_tables(
        [
            pa.Table.from_batches([forged]),
            pa.table(forged.columns, schema=forged.schema).set_column(1, forged.schema.field("signal"), pa.array(["combined"])),
        ]
    ).set_column(5, schema.EVIDENCE.field("log_likelihood_ratio"), pa.array([None, 99.0]))
    found = verdict.verdict(standing({}), forged, SHIPPED, Verdict()).to_pylist()[0]
    assert (found["origin"], found["log_likelihood_ratio"], found["p_machine"]) == ("unknown", 0.0, None)


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
    found = tag({}, (READS, 3.0, None), ("residue", 2.0, 1.5), false_positives="0.005")
    assert (found["origin"], found["basis"]) == ("machine_generated", ["combined", "residue"])
    assert found["log_likelihood_ratio"] == 4.0 and "sums to 4.00 nats" in found["reason"]
    weak = tag({}, (READS, 3.0, None), ("residue", 2.0, 1.5), false_positives="0.005", machine_from=4.1)
    assert weak["origin"] == "unknown" and "the evidence for machine text, 4.00 nats, stays below 4.1" in weak["reason"]


def test_detectors_alone_never_add_up_to_a_tag():
    """Below its threshold a score is no tag, however low `machine_from` is."""
    assert tag({}, (READS, 3.0, None), false_positives="0.005", machine_from=0.1)["origin"] == "unknown"
    assert tag({}, (READS, 3.0, None), ("residue", 0.0, 0.0), false_positives="0.005", machine_from=0.1)["origin"] == "unknown"
    others = [name for name, module in signals.found().items() if module.STATISTICAL]
    assert tag({}, *((name, 1.0, 2.0) for name in others), machine_from=0.1)["origin"] == "unknown"


def test_translation_evidence_adds_to_no_tag():
    assert tag({}, (READS, 2.9, None), ("translation_markup", 2.0, 1.0), machine_from=0.5)["origin"] == "unknown"


def test_probability_from_prior_and_evidence():
    found = tag({}, (READS, -1.0, None), ("residue", 1.0, 0.3), prior=-2.0)
    assert found["prior"] == -2.0 and math.isclose(found["log_likelihood_ratio"], 0.1)
    assert math.isclose(found["p_machine"], 1 / (1 + math.exp(1.9)))
    assert tag({"language": "ru"}, (READS, -1.0, None), ("residue", 1.0, 0.3))["p_machine"] is None
    assert tag({}, (READS, 1.0, None))["prior"] == SHIPPED.prior


def test_the_prior_goes_by_month_and_language():
    date = datetime.datetime(2025, 6, 30, 23, tzinfo=datetime.UTC)
    assert math.isclose(tag({"date": date})["prior"], math.log(0.161 / 0.839))
    assert tag({"date": date}, prior=0.5)["prior"] == 0.5
    with pytest.raises(ValueError, match="prior nan is no finite number"):
        Verdict(prior=math.nan)


def test_order_of_rows_changes_nothing():
    found = [(READS, 2.5, None), ("residue", 2.0, 1.5), ("disclosure", 1.0, 0.5), ("translation_markup", 1.0, 0.3)]
    assert len({str(tag({}, *order)) for order in itertools.permutations(found)}) == 1


def test_flagged_are_the_machine_marks_only():
    found = pa.concat_tables(
        pa.Table.from_batches([part])
        for part in (
            rows(("translation_markup", 2.0, 1.0), ("residue", 3.0, 3.0), key="b"),
            rows(("disclosure", 2.0, 1.5), key="a"),
            rows((READS, 10.0, None), key="c"),
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
VALUES = st.floats(-1e4, 1e4) | st.sampled_from([-10.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 10.0])
FOUND = st.dictionaries(
    st.sampled_from(sorted(signals.found())), st.tuples(VALUES, st.none() | st.floats(-1e3, 1e3)), max_size=12
).map(lambda found: [(name, *reading) for name, reading in found.items()])
"""Any readings of any of the signals that the folder holds, and any LLRs."""

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0, 1e308, -1e308])
WEIGHTS = st.builds(
    evidence.Weight,
    source=st.just("a hostile file"),
    speaks_for=st.sampled_from([None, "machine_generated", "machine_translated", "human"]),
    decides_from=st.none() | NUMBERS,
    bars_from=st.none() | NUMBERS,
    alarm_below=st.none() | NUMBERS,
)
CALIBRATIONS = st.dictionaries(st.sampled_from(sorted(f"{n}@{v}" for n, v in signals.versions().items())), WEIGHTS).map(
    lambda known: evidence.Calibration(signals=known, prior=-5.0)
)
"""Calibration files that nobody would ship, as no reader of them would let pass."""

DECIDED = st.none() | st.fixed_dictionaries(
    {
        "value": st.none() | st.floats(-1e6, 1e6),
        "threshold": st.none() | st.floats(-1e6, 1e6),
        "flagged": st.none() | st.booleans(),
        "log_likelihood_ratio": st.none() | st.floats(-1e3, 1e3),
    }
)
"""Whatever the combiner may say of a document, and what it never would."""


def hostile(
    row: dict[str, Any], found: list, calibration: evidence.Calibration, said: dict[str, Any] | None, **options: Any
) -> dict:
    decided = None
    if said is not None:
        decided = pa.RecordBatch.from_pylist([{"key": "0", "cell": "c", "detail": "d"} | said], schema=combiner.DECIDED)
    return verdict.verdict(standing(row), rows(*found), calibration, Verdict(**options), decided).to_pylist()[0]


@settings(max_examples=600, deadline=None)
@given(
    found=FOUND,
    calibration=st.just(SHIPPED) | CALIBRATIONS,
    said=DECIDED,
    identical=st.sampled_from([False, None]),
    level=LEVELS,
    own=LEVELS,
    words=st.none() | st.integers(0, 10**6),
    language=st.sampled_from(["en", "de", None]),
    similarity=st.none() | st.floats(0, 1),
    protected=st.none() | st.booleans(),
    machine_from=st.floats(1e-9, 10),
    prior=st.none() | st.floats(-50, 50),
)
def test_no_combination_of_signals_makes_a_human(
    found, calibration, said, identical, level, own, words, language, similarity, protected, machine_from, prior
):
    """DESIGN P6: without identity with an attested document of a snapshot there is no way to `human`."""
    row = {
        "identical": identical,
        "reference_attestation": level,
        "attestation": own,
        "word_count": words,
        "language": language,
        "date": datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC),
        "similarity": similarity,
        "protected": protected,
        "snapshot": "s",
        "canonical": "c",
    }
    out = hostile(row, found, calibration, said, machine_from=machine_from, prior=prior, min_attestation="declared")
    assert out["origin"] in ORIGINS and out["origin"] != "human"
    assert out["snapshot"] is None
    assert out["reason"]


@settings(max_examples=300, deadline=None)
@given(
    found=FOUND, calibration=st.just(SHIPPED) | CALIBRATIONS, said=DECIDED, level=st.sampled_from(["none", None, "human", "proven"])
)
def test_no_combination_of_signals_stands_for_an_attestation(found, calibration, said, level):
    row = {"identical": True, "reference_attestation": level, "word_count": 300, "snapshot": "s"}
    assert hostile(row, found, calibration, said)["origin"] != "human"


@settings(max_examples=300, deadline=None)
@given(found=FOUND, level=LEVELS, words=st.none() | st.integers(0, 100), said=DECIDED)
def test_human_needs_all_of_it(found, level, words, said):
    row = {"identical": True, "reference_attestation": level, "word_count": words, "snapshot": "s"}
    out = hostile(row, found, SHIPPED, said)
    barring = {
        n: w.bars_from for n, w in ((entry.split("@")[0], w) for entry, w in SHIPPED.signals.items()) if w.bars_from is not None
    }
    assert {"translation_markup", "disclosure", "residue"} <= set(barring)
    clean = not any(s in barring and v >= barring[s] for s, v, _ in found)
    attested = level in ATTESTATIONS[1:]
    assert (out["origin"] == "human") == (clean and attested and words is not None and words >= 50)


STATISTICAL = sorted(name for name, module in signals.found().items() if module.STATISTICAL)


@settings(max_examples=300, deadline=None)
@given(
    others=FOUND.map(lambda found: [reading for reading in found if reading[0] not in STATISTICAL]),
    found=FOUND.map(lambda found: [reading for reading in found if reading[0] in STATISTICAL]),
    calibration=st.just(SHIPPED) | CALIBRATIONS,
    said=DECIDED,
    level=LEVELS,
    words=st.none() | st.integers(0, 300),
    protected=st.booleans(),
    machine_from=st.floats(1e-9, 10),
)
def test_no_detector_changes_what_equals_a_snapshot_document(
    others, found, calibration, said, level, words, protected, machine_from
):
    """Origin, attestation and snapshot of a copy are what they are without any detector."""
    row = {
        "identical": True,
        "reference_attestation": level,
        "word_count": words,
        "protected": protected,
        "snapshot": "s",
        "reference": "r",
    }
    told = ("origin", "attestation", "snapshot", "canonical")
    alone = hostile(row, others, calibration, None, machine_from=machine_from)
    flagged = hostile(row, [*others, *found], calibration, said, machine_from=machine_from)
    assert [flagged[name] for name in told] == [alone[name] for name in told]


@settings(max_examples=200, deadline=None)
@given(found=FOUND, calibration=st.just(SHIPPED) | CALIBRATIONS)
def test_no_detector_makes_a_snapshot_document_ineligible(found, calibration):
    made = rows(*found)
    without = made.filter(pa.array([name not in STATISTICAL for name, _, _ in found], pa.bool_()))
    assert verdict.flagged(made, calibration).equals(verdict.flagged(without, calibration))
    assert verdict.alarms(made, calibration).equals(verdict.alarms(without, calibration))


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
