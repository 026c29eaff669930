"""Hostile pages, for every extractor that there is: in bounded time and memory each has a text or a reason for none."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from provenance.extract import names
from tests.provenance.hostile import GROUPS

ROOT = Path(__file__).resolve().parents[2]
SLOW = ("a million breaks", "50 MB")


def allowed(html: str) -> tuple[float, int]:
    """CPU seconds and bytes of memory that a page may cost: linear in its characters and its tags."""
    tags = html.count("<")
    return 3 + len(html) * 3e-7 + tags * 4e-6, (64 << 20) + 20 * len(html) + 400 * tags


def wrong(extractor: str, found: dict, seconds: float, memory: int) -> list[str]:  # type: ignore[type-arg]
    """What of a measurement breaks the contract."""
    if "error" in found:
        return [found["error"]]
    case = next(group[found["case"]] for group in GROUPS.values() if found["case"] in group)
    said = []
    if found["seconds"] > seconds:
        said.append(f"{found['seconds']:.1f} s of CPU, {seconds:.1f} allowed")
    if found["growth"] > memory:
        said.append(f"{found['growth'] >> 20} MB of memory, {memory >> 20} allowed")
    if not found["same"]:
        said.append("another text the second time")
    if case.expects == "nothing" and found["characters"]:
        said.append(f"{found['characters']} characters of a page without text")
    if case.expects == "article" and not found["article"] and extractor not in case.blind:
        said.append("the article is not in the text")
    too_large = found["size"] > 1 << 24
    if too_large and found["page"] != "http/too_large":
        said.append(f"{found['size']} characters became {found['page']}")
    elif not too_large and found["page"] not in (
        ("page",) if found["characters"] else ("extract/no_content", "http/empty_body", "decode/garbage")
    ):
        said.append(f"{found['characters']} characters became {found['page']}")
    if found["page_article"] != (found["article"] and not too_large):
        said.append("the page's text is not the extractor's")
    return said


@pytest.mark.parametrize("group", [pytest.param(group, marks=pytest.mark.slow) if group in SLOW else group for group in GROUPS])
@pytest.mark.parametrize("extractor", names())
def test_a_hostile_page_costs_what_its_size_allows(extractor: str, group: str) -> None:
    if extractor == "trafilatura" and importlib.util.find_spec("trafilatura") is None:
        pytest.skip('needs pip install "lowbackground[trafilatura]"')
    command = [sys.executable, "-m", "tests.provenance.hostile", extractor, group]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = {found["case"]: found for found in map(json.loads, done.stdout.splitlines())}
    assert list(measured) == list(GROUPS[group])
    complaints = {name: wrong(extractor, measured[name], *allowed(case.make())) for name, case in GROUPS[group].items()}
    assert {name: said for name, said in complaints.items() if said} == {}


def test_the_process_tells_a_hang_an_error_and_a_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"case": "div", "size": 9, "seconds": 0.1, "growth": 0, "characters": 9, "article": True, "same": True, "page": "page"}
    good["page_article"] = True
    assert wrong("blocks", good, 3, 1) == []
    bad = [
        {"error": "ended by SIGXCPU"},
        {"seconds": 9},
        {"growth": 9},
        {"same": False},
        {"article": False, "page_article": False},
        {"page": "extract/no_content"},
        {"page_article": False},
        {"case": "scripts only"},
    ]
    for change in bad:
        assert len(wrong("blocks", {**good, **change}, 3, 1)) == 1, change
