"""What a crawl is matched against: several snapshots, earlier runs, itself; what is protected, and what one address decides."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from store import manifest
from tests.match import oracle, planted
from tests.match.runs import DATED, DECLARE, Curated, command, curate, done, faults, freeze, leaks, same, write_rows


def text(name: object, words: int = 120) -> str:
    return planted.prose("Latin", f"scope {name}", words)


def near(name: object, edit: object = "") -> str:
    return planted.replace_run(text(name), 50, 3, (name, edit))


def named(*names: object) -> dict[str, str]:
    return {str(name): text(name) for name in names}


def opened(run: Path) -> dict[str, Any]:
    return manifest.open_run(str(run)).manifest


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two snapshots that share a text, and a run against the first of them."""
    base = tmp_path_factory.mktemp("scope")
    first = named("one", "two", "both") | {"short": "Only a few words of no weight"}
    freeze(write_rows(base / "first.parquet", first), base / "first", *DECLARE)
    freeze(write_rows(base / "second.parquet", named("three", "both")), base / "second", *DECLARE)
    crawl = named("one", "fresh", "other") | {"near two": near("two"), "near fresh": near("fresh")}
    dates = {name: f"2024-01-{n + 1:02d}" for n, name in enumerate(crawl)}
    curate(write_rows(base / "crawl.parquet", crawl, dates), base / "run", [base / "first"], DATED)
    return base


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_copies_of_every_snapshot_go_and_name_it(base: Path, tmp_path: Path, order: tuple[str, str]) -> None:
    crawl = {f"new {name}": body for name, body in named("one", "three", "both", "new").items()} | {"near three": near("three")}
    against = [base / name for name in order]
    summary = curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / "run", against)
    found = Curated(tmp_path / "run", against)
    expected = {"new one": "one", "new three": "three", "new both": "both", "new new": None, "near three": "three"}
    assert found.canonicals() == expected and faults(found) == []
    ids = {name: manifest.open_snapshot(str(base / name)).id for name in ("first", "second")}
    assert summary["snapshots"] == [ids[name] for name in order] or set(summary["snapshots"]) == set(ids.values())
    where = {name: found.tag(name)["snapshot"] for name in ("new one", "new three", "near three")}
    assert where == {"new one": ids["first"], "new three": ids["second"], "near three": where["near three"]}
    assert {row["snapshot"] for row in found.matches if found.names[row["key"]] == "near three"} == {ids["second"]}
    assert {name for name in crawl if found.tag(name)["origin"] == "human"} == {"new one", "new three", "new both"}


def test_an_eligible_copy_in_one_snapshot_counts_beside_an_ineligible_one_in_another(tmp_path: Path) -> None:
    body = text("few", 40)
    write_rows(tmp_path / "old.parquet", {"few": body})
    freeze(tmp_path / "old.parquet", tmp_path / "strict", *DECLARE)
    freeze(tmp_path / "old.parquet", tmp_path / "lax", *DECLARE, "--freeze.minimum_words=10")
    write_rows(tmp_path / "new.parquet", {"copy": body})
    for name, against, origin in (
        ("a", ("strict",), "unknown"),
        ("b", ("strict", "lax"), "human"),
    ):
        folders = [tmp_path / folder for folder in against]
        curate(tmp_path / "new.parquet", tmp_path / name, folders, "--verdict.min_words=10")
        found = Curated(tmp_path / name, folders)
        assert (found.tag("copy")["origin"], found.canonicals()) == (origin, {"copy": "few"}), against


def test_what_an_earlier_run_kept_is_dropped_and_nothing_else(base: Path, tmp_path: Path) -> None:
    crawl = {
        "again": text("fresh"),
        "again spaced": text("other").replace(" ", "\n"),
        "again near": near("other", "later"),
        "of what it dropped": text("one"),
        "new": text("never seen"),
    }
    against = [base / "run"]
    summary = curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / "run", against)
    found = Curated(tmp_path / "run", against)
    expected = {"again": "fresh", "again spaced": "other", "again near": "other", "of what it dropped": None, "new": None}
    assert found.canonicals() == expected
    earlier = Curated(base / "run")
    assert {tag["canonical"] for tag in found.tags.values() if tag["canonical"]} <= {
        key for key, tag in earlier.tags.items() if tag["canonical"] is None
    }
    rows = [row for row in found.matches if row["duplicate"]]
    assert {(row["scope"], row["snapshot"]) for row in rows} == {("run", manifest.open_run(str(base / "run")).id)}
    assert [entry["id"] for entry in opened(tmp_path / "run")["runs"]] == [manifest.open_run(str(base / "run")).id]
    assert summary["origins"]["human"] == 0 and {tag["attestation"] for tag in found.tags.values()} == {"none"}
    assert faults(found) == []


def test_a_snapshot_goes_before_an_earlier_run(base: Path, tmp_path: Path) -> None:
    crawl = {"one again": text("one"), "fresh again": text("fresh"), "two again": near("two", "third")}
    for name, against in (("a", ["run", "first"]), ("b", ["first", "run"])):
        folders = [base / folder for folder in against]
        curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / name, folders)
        found = Curated(tmp_path / name, folders)
        held = {row["key"]: row["id"] for row in Curated(base / "run", [base / "first"]).references.values()}
        assert found.tag("one again")["canonical"] in held and found.tag("two again")["canonical"] in held
        assert [found.tag(other)["origin"] for other in crawl] == ["human", "unknown", "unknown"]
        assert found.tag("fresh again")["canonical"] and faults(found) == []
    assert Curated(tmp_path / "a", folders).by_content() == Curated(tmp_path / "b", folders).by_content()


def test_runs_one_after_the_other_keep_each_text_once(tmp_path: Path) -> None:
    """Three crawls of overlapping pages, each against all before: what is kept in all is what one run over all keeps."""
    bodies = {f"page {n}": text(("page", n), 90) for n in range(30)}
    crawls = [dict(list(bodies.items())[start : start + 14]) for start in (0, 8, 16)]
    kept: list[str] = []
    against: list[Path] = []
    for n, crawl in enumerate(crawls):
        if n:
            crawl |= {f"near page {m}": planted.replace_run(bodies[f"page {m}"], 30, 2, n) for m in range(0, 8, 2)}
        curate(write_rows(tmp_path / f"{n}.parquet", crawl), tmp_path / f"run{n}", against)
        found = Curated(tmp_path / f"run{n}", against)
        assert faults(found) == [] and leaks(found) == []
        kept += found.kept()
        against.append(tmp_path / f"run{n}")
    assert sorted(kept) == sorted(bodies)


def test_protected_sources_are_tagged_and_never_dropped_and_win_over_others(base: Path, tmp_path: Path) -> None:
    held = {"held copy": text("one"), "held near": near("two", "held"), "held own": text("own")}
    held |= {"held own again": text("own"), "held own near": near("own")}
    loose = {
        "loose own": text("own"),
        "loose own near": near("own", "loose"),
        "loose copy": text("one"),
        "loose new": text("loose"),
    }
    # The others are captured first, and would win else.
    write_rows(tmp_path / "new/a.parquet", loose, dict.fromkeys(loose, "2023-01-01"))
    write_rows(tmp_path / "new/keep/b.parquet", held, dict.fromkeys(held, "2024-01-01"))
    options = (DATED, "--protect", "*keep/*")
    summary = curate(tmp_path / "new", tmp_path / "run", [base / "first"], *options)
    found = Curated(tmp_path / "run", [base / "first"])
    canonicals = found.canonicals()
    assert {name for name in held if canonicals[name] is None} == set(held)
    assert canonicals["loose own"] in held and canonicals["loose own near"] in held
    assert (canonicals["loose copy"], canonicals["loose new"]) == ("one", None)
    assert summary["protected_kept"] == opened(tmp_path / "run")["counts"]["protected_kept"] > 0
    tag = found.tag("held copy")
    assert tag["origin"] == "unknown" and "protected" in tag["reason"], tag["reason"]
    assert found.tag("loose copy")["origin"] == "human"
    assert found.pairs()["held near", "two"]["duplicate"], "what a protected document copies is told all the same"
    assert set(found.pairs()) >= {("held near", "two"), ("loose copy", "one")} and faults(found, protected=held) == []
    assert found.kept() == {*held, "loose new"}


def test_a_pattern_of_protection_in_the_configuration_means_the_same(tmp_path: Path) -> None:
    write_rows(tmp_path / "new/a.parquet", {"loose": text("own")}, {"loose": "2023-01-01"})
    write_rows(tmp_path / "new/keep.parquet", {"held": text("own")}, {"held": "2024-01-01"})
    (tmp_path / "settings.yaml").write_text("match:\n  protect: ['keep*']\n")
    curate(tmp_path / "new", tmp_path / "run", (), DATED, "--config", tmp_path / "settings.yaml")
    assert Curated(tmp_path / "run").canonicals() == {"held": None, "loose": "held"}
    curate(tmp_path / "new", tmp_path / "bare", (), DATED)
    assert Curated(tmp_path / "bare").canonicals() == {"loose": None, "held": "loose"}


URLS = {
    "first": "http://x.example/page",
    "changed": "http://x.example/page#top",
    "query": "http://x.example/page?id=2",
    "elsewhere": "http://y.example/page",
    "old address": "http://old.example/",
}


def test_one_address_decides_where_it_is_told_to_and_within_the_crawl_only(tmp_path: Path) -> None:
    old = {"old": text("old address of long ago")}
    freeze(write_rows(tmp_path / "old.parquet", old, url={"old": URLS["old address"]}), tmp_path / "snapshot", *DECLARE)
    crawl = named(*URLS) | {"elsewhere": text("elsewhere")}
    dates = {name: f"2024-01-{n + 1:02d}" for n, name in enumerate(crawl)}
    write_rows(tmp_path / "new.parquet", crawl, dates, url=URLS)
    assert oracle.compare(crawl["first"], crawl["changed"]).similarity < 0.1
    kept = {}
    for setting, options in (("default", ()), ("drop", ("--match.url=drop",))):
        run = tmp_path / setting
        curate(tmp_path / "new.parquet", run, [tmp_path / "snapshot"], DATED, *options)
        found = Curated(run, [tmp_path / "snapshot"])
        assert faults(found) == []
        kept[setting] = found.kept()
    assert kept == {"default": set(URLS), "drop": set(URLS) - {"changed"}}
    row = found.pairs()["changed", "first"]
    assert (row["address"], row["duplicate"], row["scope"]) == (True, True, "crawl") and row["similarity"] < 0.1


def test_rows_without_an_address_share_none(tmp_path: Path) -> None:
    crawl = named("no address", "no address either", "the same", "the same again")
    urls = {"the same": "http://x.example/", "the same again": "http://x.example/"}
    write_rows(tmp_path / "new.parquet", crawl, {name: f"2024-01-0{n + 1}" for n, name in enumerate(crawl)}, url=urls)
    curate(tmp_path / "new.parquet", tmp_path / "run", (), DATED, "--match.url=drop")
    assert Curated(tmp_path / "run").kept() == {"no address", "no address either", "the same"}


def test_copies_of_what_went_for_its_address_are_looked_up_themselves(tmp_path: Path) -> None:
    """Texts by name: `one` goes for the address of `before`, and has copies at other addresses, an edited one among them."""
    crawl: dict[str, tuple[str | None, str]] = {
        "before": ("u", text("before")),
        "other": ("w", text("other")),
        "one": ("u", text("one")),
        "near one": ("v", near("one")),
        "at other": ("w#end", text("one")),
        "no address": (None, text("one")),
        "few": ("u", "A few words"),
        "few again": ("x", "A few words"),
        "few more": ("y", "A few words"),
        "two": ("u", text("two")),
        "two again": ("z", text("two")),
        "near two": ("r", near("two")),
        "two there": ("q", text("two")),
        "two once more": ("p", text("two")),
    }
    dates = {name: f"2024-01-{n + 1:02d}" for n, name in enumerate(crawl)}
    urls = {name: f"http://example.org/{url}" for name, (url, _) in crawl.items() if url}
    write_rows(tmp_path / "new.parquet", {name: body for name, (_, body) in crawl.items()}, dates, url=urls)
    curate(tmp_path / "new.parquet", tmp_path / "run", (), DATED, "--match.url=drop")
    found = Curated(tmp_path / "run")
    assert faults(found) == [] and leaks(found) == []
    assert {name: other for name, other in found.canonicals().items() if other} == {
        "one": "before",
        "at other": "near one",
        "no address": "near one",
        "few": "before",
        "few more": "few again",
        "two": "before",
        "near two": "two again",
        "two there": "two again",
        "two once more": "two again",
    }
    assert found.kept() == {"before", "other", "near one", "few again", "two again"}


def test_copies_of_every_version_of_a_grown_snapshot_go(tmp_path: Path) -> None:
    """Exact ones, near ones, and those that only lie inside."""
    source, snapshot = tmp_path / "old.parquet", tmp_path / "snapshot"
    versions = [[f"v{version} {n}" for n in range(3)] for version in range(3)]
    parent = freeze(write_rows(source, named(*versions[0])), snapshot, *DECLARE)["id"]
    for names in versions[1:]:
        write_rows(source, named(*names))
        parent = done("freeze", source, "--into", snapshot, "--extends", parent, *DECLARE)["id"]
    crawl, expected = {"new": text("new")}, {"new": None}
    for exact, close, inside in versions:
        crawl |= {f"exact {exact}": text(exact), f"near {close}": near(close)}
        crawl[f"inside {inside}"] = f"{text(('before', inside), 60)} {text(inside)} {text(('after', inside), 55)}"
        expected |= {f"exact {exact}": exact, f"near {close}": close, f"inside {inside}": inside}
    curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / "run", [snapshot])
    found = Curated(tmp_path / "run", [snapshot])
    assert found.canonicals() == expected and faults(found) == []


def test_a_reference_that_is_named_twice_counts_once(base: Path, tmp_path: Path) -> None:
    curate(base / "crawl.parquet", tmp_path / "twice", [base / "first"] * 2, DATED)
    assert same(base / "run", tmp_path / "twice")


@pytest.mark.parametrize(
    ("reference", "dataset"),
    [
        ("first", "bands"),
        ("first", "ids"),
        ("first", "samples"),
        ("first", "documents"),
        ("run", "documents"),
        ("run", "signatures"),
        ("run", "tags"),
    ],
)
def test_a_damaged_reference_is_refused_and_finds_no_fewer_copies_in_silence(
    base: Path, tmp_path: Path, reference: str, dataset: str
) -> None:
    shutil.copytree(base / reference, tmp_path / "damaged")
    file = sorted((tmp_path / "damaged" / dataset).glob("*.parquet"))[-1]
    data = file.read_bytes()
    place = len(data) // 2
    file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    found = command("curate", base / "crawl.parquet", "--into", tmp_path / "run", "--against", tmp_path / "damaged", DATED)
    assert found.code == 1 and file.name in found.said, found.said
    assert not (tmp_path / "run/manifest.json").exists()


def test_what_is_neither_snapshot_nor_run_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = command("curate", base / "crawl.parquet", "--into", tmp_path / "run", "--against", tmp_path / "empty")
    assert found.code != 0 and "empty" in found.said and not (tmp_path / "run").exists()
