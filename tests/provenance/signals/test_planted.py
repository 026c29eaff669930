"""Every planted truth is found at its strength, every trap is not, and no truth of one signal is one of another."""

import re
from functools import cache

import pytest

from provenance import signals
from provenance.signals import _notices
from provenance.signals.residue import ALARM
from tests.provenance.signals import planted
from tests.provenance.signals.pages import TOOLS, batch

TRUTHS = [(signal, case) for signal, cases in planted.FOUND.items() for case in cases]
TRAPS = [(signal, case) for signal, cases in planted.TRAPS.items() for case in cases]
ALL = [
    *(("found", *truth) for truth in TRUTHS),
    *(("trap", *trap) for trap in TRAPS),
    *(("tampered", "residue", case) for case in planted.TAMPERED),
]


@cache
def readings(signal: str) -> dict[tuple[str, str, str], tuple[float, str]]:
    """(value, detail) of one signal for every planted page of all signals, read as one batch."""
    given = {"found": planted.FOUND, "trap": planted.TRAPS}
    pages = [planted.TAMPERED[case] if kind == "tampered" else given[kind][of][case][0] for kind, of, case in ALL]
    module = signals.found()[signal]
    rows = getattr(module, signal)(batch(*pages), TOOLS).to_pylist()
    return {ALL[int(row["key"])]: (row["value"], row["detail"]) for row in rows}


@pytest.mark.parametrize(("signal", "case"), TRUTHS)
def test_truths_are_found(signal, case):
    lowest = planted.FOUND[signal][case][1]
    found = readings(signal).get(("found", signal, case))
    assert found is not None and found[0] >= lowest, found


@pytest.mark.parametrize(("signal", "case"), TRAPS)
def test_traps_are_not(signal, case):
    highest = planted.TRAPS[signal][case][1]
    found = readings(signal).get(("trap", signal, case))
    assert found is None if highest is None else found is None or found[0] <= highest, found


@pytest.mark.parametrize("case", planted.TAMPERED)
def test_artefacts_before_their_time_are_alarms(case):
    assert readings("residue")["tampered", "residue", case][0] == ALARM


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("case", planted.NOTICES)
def test_a_notice_is_read_by_the_words_of_its_language(case, upper):
    """Only languages whose words a line has are tried: what is found is what all of them together find."""
    text = planted.NOTICES[case].upper() if upper else planted.NOTICES[case]
    line = "\n".join([text, *planted.NOTICES.values()]).replace("\n", " \u00b7 ")
    for given in (text, line):
        tried = [match.group() for match in _notices.notices(given, [(0, len(given))])]
        every = re.compile("|".join(form.pattern for _, form in _notices._FORMS), re.IGNORECASE | re.MULTILINE)
        assert tried == [match.group() for match in every.finditer(given)] != []


@pytest.mark.parametrize("signal", planted.FOUND)
def test_no_signal_reads_what_another_is_planted_for(signal):
    assert {case: found for case, found in readings(signal).items() if case[1] != signal and found[0] != 0} == {}
