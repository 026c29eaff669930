"""Evidence rows, and the calibration file that weighs them."""

import json
from importlib import resources
from types import SimpleNamespace

import msgspec
import pyarrow as pa
import pytest

from provenance import evidence, schema, signals
from provenance.evidence import Calibration, Table, Weight
from provenance.signals import MATCHED, READING, Tools
from provenance.verdict import Verdict
from tests.provenance.signals.pages import batch

MT = {"url": "https://example-org.translate.goog/p"}
SHIPPED = evidence.read_calibration(resources.files("provenance").joinpath("calibration.json").read_bytes())


def weighed(name: str, **fields: object) -> Calibration:
    return Calibration(signals={f"{name}@{signals.found()[name].VERSION}": Weight(source="a test", **fields)})


def test_rows_have_the_schema_and_the_weights():
    calibration = weighed(
        "translation_markup", speaks_for="machine_translated", tables=(Table(values=(1.0, 3.5), log_likelihood_ratios=(0.5, 2.5)),)
    )
    found = evidence.score(batch({"text": "x"}, MT), "page", Tools(calibration=calibration))
    assert found.schema.equals(schema.EVIDENCE)
    assert [(r["key"], r["signal"], r["value"], r["log_likelihood_ratio"]) for r in found.to_pylist()] == [
        ("1", "translation_markup", 4.0, 2.5)
    ]


def test_no_calibration_gives_readings_without_weight():
    found = evidence.score(batch(MT), "page", Tools(calibration=Calibration()))
    assert found.column("log_likelihood_ratio").to_pylist() == [None]


def test_below_the_first_step_there_is_no_weight():
    calibration = weighed("translation_markup", tables=(Table(values=(4.5,), log_likelihood_ratios=(1.0,)),))
    assert evidence.score(batch(MT), "page", Tools(calibration=calibration)).column("log_likelihood_ratio").to_pylist() == [None]


def test_a_group_has_its_own_table(monkeypatch):
    tables = (
        Table(group="de", values=(-10.0,), log_likelihood_ratios=(1.0,)),
        Table(group="*", values=(-10.0,), log_likelihood_ratios=(0.25,)),
    )
    grouped = pa.record_batch([["0", "1"], [0.5, 0.5], ["x", "y"], ["de", "en"]], names=[*READING.names, "group"])
    module = SimpleNamespace(
        NAME="own", VERSION="1", STAGE="page", COLUMNS=("key",), STATISTICAL=False, own=lambda batch, tools: grouped
    )
    monkeypatch.setattr(signals, "found", lambda: {"own": module})
    found = evidence.score(batch(MT, MT), "page", Tools(calibration=weighed("own", tables=tables)))
    assert found.column("key").to_pylist() == ["0", "1"]
    assert found.column("log_likelihood_ratio").to_pylist() == [1.0, 0.25]


def test_only_the_named_signals_run():
    calibration = Calibration()
    found = evidence.score(batch(MT), "page", Tools(calibration=calibration), ("residue",))
    assert found.num_rows == 0 and found.schema.equals(schema.EVIDENCE)
    assert evidence.score(batch(MT), "page", Tools(calibration=calibration), ("translation_markup",)).num_rows == 1


def test_an_unknown_version_is_an_error():
    calibration = Calibration(signals={"translation_markup@0": Weight(source="a test")})
    with pytest.raises(ValueError, match=r"translation_markup has version .* weighs translation_markup@0"):
        evidence.score(batch(MT), "page", Tools(calibration=calibration))


def test_stages_are_apart():
    row = {"identical": True, "reference": "r", "reference_attestation": "captured"}
    found = evidence.score(batch(row, schema=MATCHED), "match", Tools(calibration=Calibration()))
    assert set(found.column("signal").to_pylist()) == {"snapshot_match"}
    with pytest.raises(ValueError, match="stage 'pages'"):
        evidence.score(batch(MT), "pages", Tools(calibration=Calibration()))


def test_missing_columns_are_an_error():
    with pytest.raises(ValueError, match="needs the columns html"):
        evidence.score(batch(MT).drop_columns(["html"]), "page", Tools(calibration=Calibration()))


@pytest.mark.parametrize(
    ("rows", "problem"), [([("a", float("nan"), "x")], "no finite number"), ([("a", 1.0, "x"), ("a", 2.0, "y")], "two rows")]
)
def test_a_signal_that_breaks_its_contract(monkeypatch, rows, problem):
    module = SimpleNamespace(
        NAME="bad", VERSION="1", STAGE="page", COLUMNS=("key",), STATISTICAL=False, bad=lambda batch, tools: signals.readings(rows)
    )
    monkeypatch.setattr(signals, "found", lambda: {"bad": module})
    with pytest.raises(ValueError, match=problem):
        evidence.score(batch(MT), "page", Tools(calibration=Calibration()))
    assert READING.names == ["key", "value", "detail"]


def test_the_shipped_file_weighs_every_signal_in_its_version():
    assert set(SHIPPED.signals) == {f"{name}@{version}" for name, version in signals.versions().items()}


def test_no_statistical_signal_decides_or_bars():
    for name, module in signals.found().items():
        weight = SHIPPED.weight(name, module.VERSION)
        assert not module.STATISTICAL or (weight.decides_from, weight.bars_from, weight.alarm_below) == (None, None, None)


BODY = {
    "signals": {
        "residue@1": {
            "source": "x",
            "speaks_for": "machine_generated",
            "tables": [{"values": [0, 1], "log_likelihood_ratios": [0, 1]}],
        }
    }
}
WRONG = {
    "unknown field": lambda b: b.update(priors=1),
    "unknown field of a weight": lambda b: b["signals"]["residue@1"].update(decides=1),
    "format": lambda b: b.update(format="lowbackground-calibration-0"),
    "class": lambda b: b["signals"]["residue@1"].update(speaks_for="human"),
    "source": lambda b: b["signals"]["residue@1"].update(source=""),
    "name": lambda b: b["signals"].update({"residue": {"source": "x"}}),
    "order": lambda b: b["signals"]["residue@1"]["tables"][0].update(values=[1, 0]),
    "length": lambda b: b["signals"]["residue@1"]["tables"][0].update(values=[1]),
    "bound": lambda b: b["signals"]["residue@1"]["tables"][0].update(log_likelihood_ratios=[0, 3.5]),
    "twice": lambda b: b["signals"]["residue@1"]["tables"].append(b["signals"]["residue@1"]["tables"][0]),
    "decides without a class": lambda b: b["signals"]["residue@1"].update(speaks_for=None, decides_from=1),
    "type": lambda b: b.update(prior="low"),
}


def test_the_file_is_read():
    assert evidence.read_calibration(json.dumps(BODY).encode()).signals["residue@1"].tables[0].look_up(1.5) == 1.0


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused(case):
    body = json.loads(json.dumps(BODY))
    WRONG[case](body)
    with pytest.raises(ValueError, match="calibration"):
        evidence.read_calibration(json.dumps(body).encode())


def test_rules_name_everything_that_decides(monkeypatch):
    calibration = evidence.read_calibration(json.dumps(BODY).encode())
    digest = evidence.rules(calibration, Verdict())
    assert digest == evidence.rules(calibration, Verdict()) and len(digest) == 64
    assert digest != evidence.rules(msgspec.structs.replace(calibration, prior=1.0), Verdict())
    assert digest != evidence.rules(calibration, Verdict(machine_from=2.0))
    raised = {"en, 50 words and more": {"0.01": 3.5}}
    assert digest == evidence.rules(calibration, Verdict(), None)
    assert (
        len({digest, evidence.rules(calibration, Verdict(), raised), evidence.rules(calibration, Verdict(), {**raised, "x": {}})})
        == 3
    )
    monkeypatch.setattr(signals, "versions", lambda: {"residue": "2"})
    assert digest != evidence.rules(calibration, Verdict())


def test_types():
    assert isinstance(evidence.score(batch(MT), "page", Tools(calibration=SHIPPED)), pa.RecordBatch)
