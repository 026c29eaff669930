"""No copy of a reference is left over: however many there are, wherever they stand, and whatever else fills their buckets."""

import random
from pathlib import Path

import pytest

from tests.match import oracle, planted
from tests.match.runs import DECLARE, Curated, curate, faults, freeze, leaks, write_rows

REFERENCES = {f"old-{n}": planted.prose("Latin", f"copies {n}", 150) for n in range(24)}


def near(text: str, seed: object, words: int = 3) -> str:
    """A near copy: one run of a few words replaced."""
    rng = random.Random(f"near {seed}")
    return planted.replace_run(text, rng.randrange(text.count(" ") - words), words, seed)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("copies")
    freeze(write_rows(base / "old.parquet", REFERENCES), base / "snapshot", *DECLARE)
    return base / "snapshot"


def test_three_copies_go_wherever_they_stand_and_each_names_its_reference(snapshot: Path, tmp_path: Path) -> None:
    crawl: dict[str, dict[str, str]] = {}
    for place, name in enumerate(("a", "b", "c")):
        new = [(f"{name} new {n}", planted.prose("Latin", f"{name} new {n}", 120)) for n in range(12)]
        new.insert(0, (f"{name} first = old-0", REFERENCES["old-0"]))
        new.insert(7, (f"{name} middle = old-1", "\n " + REFERENCES["old-1"].replace(". ", ".\n\n")))
        new.append((f"{name} last = old-{place + 2}", REFERENCES[f"old-{place + 2}"]))
        new.append((f"{name} near = old-5", near(REFERENCES["old-5"], name)))
        crawl[name] = dict(new)
        write_rows(tmp_path / f"new/{name}.parquet", crawl[name])
    summary = curate(tmp_path / "new", tmp_path / "run", [snapshot])
    found = Curated(tmp_path / "run", [snapshot])
    wanted = {name: name.split(" = ")[1] if " = " in name else None for rows in crawl.values() for name in rows}
    assert found.canonicals() == wanted
    assert summary["dropped"] == 12 and faults(found) == []
    for name, canonical in wanted.items():
        exact = canonical is not None and "near" not in name
        assert (found.tag(name)["origin"], found.tag(name)["attestation"]) == (
            ("human", "declared") if exact else ("unknown", "none")
        )


def test_a_flood_of_copies_and_near_copies_lets_none_through(snapshot: Path, tmp_path: Path) -> None:
    text = REFERENCES["old-9"]
    crawl = {f"exact {n}": " " * n + text for n in range(200)}
    crawl |= {f"near {n}": near(text, ("flood", n)) for n in range(300)}
    # Within the crawl a bucket of this flood may be compared with two; with the reference it is all the same.
    summary = curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / "run", [snapshot], "--match.bucket_limit=2")
    found = Curated(tmp_path / "run", [snapshot])
    assert set(found.canonicals().values()) == {"old-9"} and summary["dropped"] == 500
    assert {row["scope"] for row in found.matches if row["identical"]} == {"snapshot"}
    assert summary["origins"]["human"] == 200 and faults(found) == []


def test_a_bucket_that_is_full_on_both_sides_lets_none_through_and_takes_no_other(tmp_path: Path) -> None:
    base = planted.prose("Latin", "both sides", 150)
    # More than 2**16 pairs with the reference share the buckets of one text, and each reference is another version of it.
    references = {f"old-{n}": near(base, ("reference", n)) for n in range(260)}
    crawl = {f"near {n}": near(base, ("crawl", n)) for n in range(260)}
    crawl |= {f"copy {n}": references[f"old-{n}"] for n in range(0, 260, 60)}
    others = {f"other {n}": planted.replace_run(base, 20 + n % 5, 62, ("other", n)) for n in range(30)}
    best = max(oracle.compare(text, other).similarity for text in list(others.values())[:6] for other in references.values())
    assert 0.3 < best < 0.7
    freeze(write_rows(tmp_path / "old.parquet", references), tmp_path / "snapshot", *DECLARE)
    curate(write_rows(tmp_path / "new.parquet", crawl | others), tmp_path / "run", [tmp_path / "snapshot"])
    found = Curated(tmp_path / "run", [tmp_path / "snapshot"])
    canonicals = found.canonicals()
    assert {name for name in crawl if canonicals[name] not in references} == set()
    assert {name: canonicals[name] for name in crawl if name.startswith("copy")} == {
        f"copy {n}": f"old-{n}" for n in range(0, 260, 60)
    }
    assert {name for name in others if canonicals[name] in references} == set()
    assert faults(found) == []


def test_a_copy_inside_a_page_of_other_text_is_found_behind_boilerplate_that_all_references_have(tmp_path: Path) -> None:
    footer = planted.prose("Latin", "footer", 90)
    references = {f"old-{n}": planted.prose("Latin", f"body {n}", 110) + "\n\n" + footer for n in range(320)}
    # As much new text again: too unlike for Jaccard, but the reference lies in it as a whole.
    inside = {
        f"inside old-{n}": planted.prose("Latin", f"around {n}", 170) + "\n\n" + references[f"old-{n}"] for n in (0, 150, 319)
    }
    only = {f"footer {n}": planted.prose("Latin", f"own {n}", 150) + "\n\n" + footer for n in range(40)}
    freeze(write_rows(tmp_path / "old.parquet", references), tmp_path / "snapshot", *DECLARE)
    summary = curate(write_rows(tmp_path / "new.parquet", inside | only), tmp_path / "run", [tmp_path / "snapshot"])
    found = Curated(tmp_path / "run", [tmp_path / "snapshot"])
    canonicals = found.canonicals()
    truth = oracle.compare(inside["inside old-0"], references["old-0"])
    assert truth.similarity < 0.6 and truth.contained == 1
    assert {name: canonicals[name] for name in inside} == {name: name.removeprefix("inside ") for name in inside}
    assert {canonicals[name] for name in only} == {None}
    assert summary["samples_not_compared"] > 0, "320 references have the footer's shingles, and 64 are looked up"
    assert faults(found) == [] and leaks(found) == []


SHORT = {"one": "Click here now", "two": "Alle Rechte vorbehalten", "three": "続きを読む", "four": "!!! ???"}


def test_short_texts_are_caught_by_what_they_say_and_never_inherit(tmp_path: Path) -> None:
    old = {f"old {name}": text for name, text in SHORT.items() if name != "two"}
    freeze(write_rows(tmp_path / "old.parquet", old), tmp_path / "snapshot", *DECLARE)
    crawl = {f"{name} {n}": "\t" * n + text.replace(" ", " " * (n + 1)) for n in range(3) for name, text in SHORT.items()}
    crawl |= {"other case": "CLICK HERE NOW", "other words": "Click there now", "longer": "Click here now please"}
    curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / "run", [tmp_path / "snapshot"])
    found = Curated(tmp_path / "run", [tmp_path / "snapshot"])
    canonicals = found.canonicals()
    kept = {name for name, canonical in canonicals.items() if canonical is None}
    assert kept - {"two 0", "two 1", "two 2"} == {"other words", "longer"} and len(kept & {"two 0", "two 1", "two 2"}) == 1
    assert {canonicals[f"{name} {n}"] for name in ("one", "three", "four") for n in range(3)} == set(old)
    # In other case it has the same one shingle: a near copy, of similarity 1.
    assert canonicals["other case"] == "old one"
    assert {tag["origin"] for tag in found.tags.values()} == {"unknown"} and faults(found) == []


def test_an_exact_copy_inherits_the_attestation_and_a_near_one_never_does(snapshot: Path, tmp_path: Path) -> None:
    text = REFERENCES["old-3"]
    variants = {
        "same": text,
        "spaced": text.replace(" ", "  \n"),
        "upper": text.upper(),
        "punctuation": text.replace(".", ","),
        "one word": near(text, "one word", 1),
        "machine end": text + " As an addition, new words.",
    }
    curate(write_rows(tmp_path / "new.parquet", variants), tmp_path / "run", [snapshot])
    found = Curated(tmp_path / "run", [snapshot])
    assert set(found.canonicals().values()) == {"old-3"}
    human = {name for name in variants if found.tag(name)["origin"] == "human"}
    inherits = {name for name in variants if found.tag(name)["attestation"] == "declared"}
    assert human == inherits == {"same", "spaced"} and faults(found) == []
