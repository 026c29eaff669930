"""The calibration file: what is read from it, and that nothing unordered, out of bounds or at odds with the signals is."""

import json
import math
from typing import Any

import msgspec
import pytest

from provenance import evidence, signals
from provenance.calibration import FORMAT, Calibration, Combiner, months
from provenance.calibration_file import read_calibration
from tests import calibrations as made
from tests.calibrations import READS

CELL = json.loads(
    msgspec.json.encode(
        made.cell(
            words_below=100,
            within={READS: (-9.0, 9.0)},
            true_positives={"0.01": (0.2, 0.7)},
            open_from=1.0,
            second=(
                evidence.Second(
                    model=made.MODEL, weight=0.5, thresholds=made.cell().thresholds, values=(0.0,), log_likelihood_ratios=(1.0,)
                ),
            ),
        )
    )
)
OTHER = CELL | {"words_from": 100, "words_below": None}
GERMAN = CELL | {"group": "de", "languages": ["de", "nl"]}


def body(*cells: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A whole file that holds these cells."""
    known = {f"{name}@{version}": {"source": "a test"} for name, version in signals.versions().items()}
    given = {"format": FORMAT, "prior": -2.0, "priors": [{"source": "a test", "months": [["2021-12", 0.1], ["2022-11", 0.2]]}]}
    return json.loads(
        json.dumps(
            given | {"signals": known, "combiner": {"version": "1", "source": "a test", "cells": list(cells) or [CELL]}} | fields
        )
    )


def read(file: dict[str, Any]) -> Calibration:
    return read_calibration(json.dumps(file).encode())


def test_a_file_is_read_as_it_stands():
    found = read(body(CELL, OTHER, GERMAN))
    assert isinstance(found.combiner, Combiner)
    assert [cell.name for cell in found.combiner.cells] == ["en, 50 to 99 words", "en, 100 words and more", "de, 50 to 99 words"]
    assert found.combiner.rates == ("0.005", "0.01", "0.02", "0.05") and found.combiner.inputs == (READS,)
    assert read_calibration(msgspec.json.encode(found)) == found


def test_a_file_without_cells_is_read():
    assert read(body(combiner=None)).combiner is None


WRONG_CELLS = {
    "no signal": ({"weights": {}}, "it weighs no signal"),
    "an unknown signal": ({"weights": {"oracle": 1.0}}, "reads oracle, which is no detector of model text"),
    "an unknown signal in a range": ({"within": {"oracle": [0, 1]}}, "reads oracle, which is no detector"),
    "a signal that is no detector": ({"weights": {"residue": 1.0}}, "reads residue, which is no detector"),
    "a signal of another stage": ({"weights": {"language_model": 1.0}}, "reads language_model, which is no detector"),
    "no group": ({"group": ""}, "no name or no languages"),
    "no languages": ({"languages": []}, "no name or no languages"),
    "a language twice": ({"languages": ["en", "en"]}, "or one twice"),
    "no length": ({"words_below": 50}, "its range of lengths is empty"),
    "a range that falls": ({"within": {READS: [1.0, 0.0]}}, "no range of finite numbers"),
    "steps that fall": ({"values": [0.0, 1.0, 0.5]}, "the steps of the score do not rise"),
    "a step twice": ({"values": [0.0, 1.0, 1.0]}, "the steps of the score do not rise"),
    "steps without ratios": ({"log_likelihood_ratios": [0.0]}, "has 3 steps and 1 ratios"),
    "no steps": ({"values": [], "log_likelihood_ratios": []}, "has 0 steps"),
    "ratios that fall": ({"log_likelihood_ratios": [0.0, 1.0, 0.5]}, "its LLR falls where the score rises"),
    "a ratio beyond the bound": ({"log_likelihood_ratios": [0.0, 1.0, 3.1]}, "lies beyond 3"),
    "a negative ratio beyond the bound": ({"log_likelihood_ratios": [-3.1, 1.0, 3]}, "lies beyond 3"),
    "no threshold": ({"thresholds": {}, "second": []}, "it has no threshold"),
    "a rate that is no number": ({"thresholds": {"low": 1.0}, "second": []}, "'low' is no decimal number"),
    "a rate of 1": ({"thresholds": {"1": 1.0}, "second": []}, "above 0 and below 1"),
    "a rate of 0": ({"thresholds": {"0": 1.0}, "second": []}, "above 0 and below 1"),
    "a rate written otherwise": ({"thresholds": {"0.010": 1.0}, "second": []}, "not a plain decimal number"),
    "a rate that is none": ({"thresholds": {"NaN": 1.0}, "second": []}, "NaN"),
    "thresholds that rise": ({"thresholds": {"0.01": 1.0, "0.05": 1.5}, "second": []}, "rises with the false-positive rate"),
    "a rate of machine text without threshold": ({"true_positives": {"0.1": [0.1, 0.2]}}, "no threshold for"),
    "a share of machine text above 1": ({"true_positives": {"0.01": [0.1, 1.2]}}, "between 0 and 1"),
    "shares of machine text that fall": ({"true_positives": {"0.01": [0.5, 0.2]}}, "between 0 and 1"),
    "edges that fall": ({"edges": [3.0, 0.0]}, "no rising finite numbers"),
    "a bin too few": ({"human": [0.5, 0.5]}, "has 2 shares of human scores for 3 bins"),
    "shares without edges": ({"edges": []}, "shares of scores and no edges"),
    "shares that miss 1": ({"machine": [0.5, 0.4, 0.0]}, "shares of machine scores do not sum to 1"),
    "a share below 0": ({"machine": [1.5, -0.5, 0.0]}, "shares of machine scores do not sum to 1"),
    "rows below 0": ({"human_rows": -1}, "not usable"),
    "words below 0": ({"words_from": -1}, "not usable"),
    "an unknown field": ({"colour": 1}, "not usable"),
    "a language model twice": ({"second": CELL["second"] * 2}, "a language model stands there twice"),
    "a language model without weights": ({"second": [CELL["second"][0] | {"model": ""}]}, "whose readings"),
    "other rates for a language model": ({"second": [CELL["second"][0] | {"thresholds": {"0.01": 1.0}}]}, "not those of the cell"),
    "steps of a sum that fall": (
        {"second": [CELL["second"][0] | {"values": [1.0, 0.0], "log_likelihood_ratios": [0.0, 1.0]}]},
        "the steps of the sum do not rise",
    ),
}


@pytest.mark.parametrize("case", WRONG_CELLS)
def test_a_wrong_cell_is_refused(case):
    changed, words = WRONG_CELLS[case]
    with pytest.raises(ValueError, match="calibration") as error:
        read(body(CELL | changed))
    assert words in str(error.value)


@pytest.mark.parametrize("field", ["bias", "open_from", "weights", "within", "values", "thresholds", "edges"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_no_number_is_infinite(field, number):
    text = {
        "weights": f'{{"{READS}": {number}}}',
        "within": f'{{"{READS}": [0, {number}]}}',
        "values": f"[-1e9, 0, {number}]",
        "thresholds": f'{{"0.005": {number}, "0.01": 3, "0.02": 2, "0.05": 1}}',
        "edges": f"[0, {number}]",
    }.get(field, number)
    file = json.dumps(body(CELL | {field: "HERE"})).replace('"HERE"', text)
    with pytest.raises(ValueError, match="calibration"):
        read_calibration(file.encode())


WRONG_SETS = {
    "a language in two groups": ((CELL, GERMAN | {"languages": ["de", "en"]}), "its language en is in the group en too"),
    "languages that differ in a group": ((CELL, OTHER | {"languages": ["en", "cy"]}), "not those of the other cells of its group"),
    "cells that overlap": ((CELL, OTHER | {"words_from": 99}), "overlaps with en, 50 to 99 words"),
    "a cell twice": ((CELL, CELL), "overlaps with en, 50 to 99 words"),
    "a cell inside another": ((OTHER, OTHER | {"words_from": 300, "words_below": 400}), "overlaps with en, 100 words and more"),
    "other rates": (
        (CELL, OTHER | {"thresholds": {"0.01": 3.0}, "true_positives": {}, "second": []}),
        "not those of the first cell",
    ),
}


@pytest.mark.parametrize("case", WRONG_SETS)
def test_cells_that_do_not_go_together_are_refused(case):
    cells, words = WRONG_SETS[case]
    with pytest.raises(ValueError) as error:
        read(body(*cells))
    assert words in str(error.value)


ENTRY = f"{READS}@{signals.versions()[READS]}"
KNOWN = body()["signals"]
DECIDES = {"source": "x", "speaks_for": "machine_generated", "decides_from": 3}
WRONG_FILES = {
    "format": ({"format": "lowbackground-calibration-1"}, "this version reads 'lowbackground-calibration-2'"),
    "no version of the combiner": ({"combiner": body()["combiner"] | {"version": ""}}, "lacks its version"),
    "no source of the combiner": ({"combiner": body()["combiner"] | {"source": ""}}, "its source"),
    "no cells": ({"combiner": body()["combiner"] | {"cells": []}}, "or cells"),
    "a detector without a version": (
        {"signals": {k: v for k, v in KNOWN.items() if k != ENTRY}},
        f"reads {READS}, whose version the file's signals do not state",
    ),
    "a detector with a table": (
        {"signals": KNOWN | {ENTRY: {"source": "x", "tables": [{"values": [0], "log_likelihood_ratios": [0]}]}}},
        "would count twice",
    ),
    "a detector that decides": (
        {"signals": KNOWN | {ENTRY: {"source": "x", "speaks_for": "machine_generated", "decides_from": 1}}},
        "it is a detector of model text, and one reading",
    ),
    "a capture time that decides": (
        {"signals": KNOWN | {f"capture_time@{signals.versions()['capture_time']}": DECIDES | {"bars_from": 1}}},
        "say nothing of how a text was made",
    ),
    "what the combiner gives": ({"signals": KNOWN | {"combined@1": {"source": "x"}}}, "of a signal"),
    "two versions in one name": ({"signals": KNOWN | {"residue@2@3": {"source": "x"}}}, "of a signal"),
    "what decides and does not bar": (
        {"signals": KNOWN | {f"residue@{signals.versions()['residue']}": DECIDES}},
        "could be frozen as human",
    ),
    "what bars later than it decides": (
        {"signals": KNOWN | {f"residue@{signals.versions()['residue']}": DECIDES | {"bars_from": 4}}},
        "could be frozen as human",
    ),
    "a detector that alarms": ({"signals": KNOWN | {ENTRY: {"source": "x", "alarm_below": 1}}}, "it is a detector of model text"),
    "a month": ({"priors": [{"source": "x", "months": [["2021-13", 0.1]]}]}, "'2021-13' is no month"),
    "months that fall": ({"priors": [{"source": "x", "months": [["2022-01", 0.1], ["2021-12", 0.1]]}]}, "months do not rise"),
    "a month twice": ({"priors": [{"source": "x", "months": [["2022-01", 0.1], ["2022-01", 0.2]]}]}, "months do not rise"),
    "a share of 0": ({"priors": [{"source": "x", "months": [["2022-01", 0.0]]}]}, "has no log-odds"),
    "a share of 1": ({"priors": [{"source": "x", "months": [["2022-01", 1.0]]}]}, "has no log-odds"),
    "no months": ({"priors": [{"source": "x", "months": []}]}, "it has no months"),
    "no source of a prior": ({"priors": [{"months": [["2022-01", 0.1]]}]}, "does not say its source"),
    "a language twice": ({"priors": [{"source": "x", "months": [["2022-01", 0.1]]}] * 2}, "a language has two tables"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_wrong_file_is_refused(case):
    changed, words = WRONG_FILES[case]
    with pytest.raises(ValueError, match="calibration") as error:
        read(body(**changed))
    assert words in str(error.value)


@pytest.mark.parametrize("text", ["2021", "2021-00", "2021-1", "21-12", "2021-12-01", "٢٠٢١-12", "", "-12"])
def test_what_is_no_month(text):
    with pytest.raises(ValueError, match="is no month as YYYY-MM"):
        months(text)


def test_months_are_a_month_apart():
    assert months("2022-01") - months("2021-12") == 1


def test_no_shipped_number_is_out_of_order():
    """The shipped file is one that the reader takes, and its English prior is the published series."""
    from pipelines import toolbox

    shipped = toolbox.calibration()
    table = next(prior for prior in shipped.priors if prior.language == "en")
    assert table.months[0] == ("2021-12", 0.0009) and table.months[-1] == ("2026-08", 0.311)
    assert "2609.40295" in table.source and {prior.language for prior in shipped.priors} == {"*", "en"}
    assert math.isclose(shipped.prior, -2.2)
