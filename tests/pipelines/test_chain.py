"""The chain on small real archives: what becomes of each kind of record, the same bytes however it is run, and verify."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli, config, curate, ingest, mix, verify
from pipelines.cli import Job
from pipelines.extraction import ExtractPart
from pipelines.target import Target
from store import files, manifest, reading
from store.errors import CheckFailed, Incomplete, UsageError
from store.reading import Read
from tests.builders import Capture, frozen, html, prose, response, warc, write_warc

QUIET = Job(quiet=True)
CUTOFF = "2022-01-01"
HUMAN = [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(12)]
SHORT = Capture("http://old.example/short", html("too short to be anybody's"))
EDITED = html(prose(3, 180) + " And a new end of a few words.", "Page 3")


def new_crawl() -> list[Capture]:
    later = "2025-03-04T05:06:07Z"
    return [
        *(Capture(f"http://new.example/copy{n}", HUMAN[1].body, later) for n in range(3)),
        Capture("http://new.example/near", EDITED, later),
        Capture("http://new.example/new", html(prose(100)), later),
        *(Capture(f"http://new.example/twice{n}", html(prose(101)), f"2025-0{n + 1}-01T00:00:00Z") for n in range(2)),
        Capture("http://new.example/backdated", HUMAN[2].body, "2009-01-01T00:00:00Z"),
        Capture("http://new.example/claims", html("Published 2015. " + prose(102)), later),
        Capture("http://new.example/gone", "no", later, status="404 Not Found"),
        Capture("http://new.example/image", "\x89PNG", later, content_type="image/png"),
        Capture("http://new.example/liar", html(prose(103)), "not a date"),
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot and a run against it."""
    base = tmp_path_factory.mktemp("chain")
    write_warc(base / "old/a.warc.gz", [*HUMAN[:7], SHORT])
    write_warc(base / "old/b.warc.gz", HUMAN[7:])
    write_warc(base / "new/c.warc.gz", new_crawl())
    snapshot = frozen([base / "old"], base / "snapshot")
    curate.run([str(base / "new")], str(base / "run"), [str(base / "snapshot")], QUIET)
    (base / "id").write_text(snapshot["id"])
    return base


def tags(run: Path) -> dict[str, dict[str, Any]]:
    """Tags with the address of their document, by address."""
    rows = duckdb.sql(
        f"select d.url, d.key as document, t.* from '{run}/tags/*.parquet' t join '{run}/documents/*.parquet' d using (key)"
    )
    return {row["url"]: row for row in rows.to_arrow_table().to_pylist()}


def keys(folder: Path) -> dict[str, str]:
    return dict(duckdb.sql(f"select url, key from '{folder}/documents/*.parquet'").fetchall())


def test_records_are_documents_plus_rejects(made: Path) -> None:
    counts = manifest.open_run(str(made / "run")).manifest["counts"]
    assert counts["records"] == 13 == counts["documents"] + counts["rejects"]
    assert counts["rejects_by_reason"] == {"http/content_type": 1, "http/status": 1, "read/warcinfo": 1}


def test_three_copies_of_one_reference_document_all_go_and_each_names_it(made: Path) -> None:
    found, reference = tags(made / "run"), keys(made / "snapshot")["http://old.example/1"]
    copies = [found[f"http://new.example/copy{n}"] for n in range(3)]
    assert [(tag["canonical"], tag["origin"], tag["attestation"]) for tag in copies] == [(reference, "human", "captured")] * 3
    assert {tag["snapshot"] for tag in copies} == {(made / "id").read_text()}


def test_a_near_copy_goes_and_is_never_human(made: Path) -> None:
    tag = tags(made / "run")["http://new.example/near"]
    assert (tag["canonical"], tag["origin"]) == (keys(made / "snapshot")["http://old.example/3"], "unknown")
    rows = duckdb.sql(
        f"select similarity, duplicate, scope from '{made}/run/matches/*.parquet' where key = '{tag['document']}'"
    ).fetchall()
    assert len(rows) == 1
    assert 0.75 <= rows[0][0] < 1 and rows[0][1:] == (True, "snapshot")


def test_within_the_crawl_the_earliest_capture_stays(made: Path) -> None:
    found = tags(made / "run")
    first, second = found["http://new.example/twice0"], found["http://new.example/twice1"]
    assert first["canonical"] is None
    assert second["canonical"] == first["document"]


def test_no_date_and_no_claim_makes_anything_human(made: Path) -> None:
    found = tags(made / "run")
    assert found["http://new.example/claims"]["origin"] == "unknown"
    assert found["http://new.example/liar"]["attestation"] == "none"
    human = {url for url, tag in found.items() if tag["origin"] == "human"}
    assert human == {*(f"http://new.example/copy{n}" for n in range(3)), "http://new.example/backdated"}
    assert all(tag["canonical"] for url, tag in found.items() if url in human)


def test_a_short_text_is_frozen_and_not_eligible(made: Path) -> None:
    rows = duckdb.sql(f"select url, ineligible_reason from '{made}/snapshot/documents/*.parquet' where not eligible").fetchall()
    assert rows == [(SHORT.url, "fewer than 50 words")]


def test_verify_needs_an_anchor_and_takes_only_the_right_one(made: Path) -> None:
    anchor = (made / "id").read_text()
    for target in ("snapshot", "run"):
        assert verify.run(str(made / target), None)["exit_code"] == 3
        assert verify.run(str(made / target), anchor)["exit_code"] == 0
        assert verify.run(str(made / target), "0" * 64)["exit_code"] == 1


@pytest.mark.parametrize("target", ["snapshot", "run"])
def test_one_flipped_byte_of_any_file_is_found_and_named(made: Path, target: str) -> None:
    anchor = (made / "id").read_text()
    for path in files.list_files(str(made / target)):
        file = made / target / path
        data = file.read_bytes()
        places = range(0, len(data), 37) if "manifest" in path else (0, len(data) // 2, len(data) - 1)
        for place in places:
            file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            summary = verify.run(str(made / target), anchor)
            assert (summary["exit_code"], summary["wrong"]) == (1, [path]), place
        file.write_bytes(data)
    assert verify.run(str(made / target), anchor)["exit_code"] == 0


@pytest.mark.parametrize("target", ["snapshot", "run"])
def test_missing_and_extra_files_are_named(made: Path, target: str) -> None:
    path = next(p for p in files.list_files(str(made / target)) if p.startswith("tags/"))
    file = made / target / path
    file.rename(made / "aside")
    (made / target / "tags/extra.parquet").write_bytes(b"PAR1")
    summary = verify.run(str(made / target), None)
    assert (summary["missing"], summary["extra"], summary["exit_code"]) == ([path], ["tags/extra.parquet"], 1)
    (made / target / "tags/extra.parquet").unlink()
    (made / "aside").rename(file)
    assert verify.run(str(made / target), None)["exit_code"] == 3


def test_a_damaged_snapshot_is_refused_before_anything_is_matched(made: Path, tmp_path: Path) -> None:
    path = next(p for p in files.list_files(str(made / "snapshot")) if p.startswith("bands/"))
    file = made / "snapshot" / path
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b"x")
    with pytest.raises(CheckFailed, match=path):
        curate.run([str(made / "new")], str(tmp_path / "run"), [str(made / "snapshot")], QUIET)
    file.write_bytes(data)


def test_the_same_command_changes_nothing_and_another_is_refused(made: Path) -> None:
    before = {path: (made / "run" / path).stat().st_mtime_ns for path in files.list_files(str(made / "run"))}
    again = curate.run([str(made / "new")], str(made / "run"), [str(made / "snapshot")], QUIET)
    assert again["id"] == manifest.open_run(str(made / "run")).id
    assert {path: (made / "run" / path).stat().st_mtime_ns for path in files.list_files(str(made / "run"))} == before
    with pytest.raises(UsageError, match="other settings or inputs"):
        curate.run([str(made / "new")], str(made / "run"), [], QUIET)
    with pytest.raises(UsageError, match="holds a finished snapshot"):
        curate.run([str(made / "new")], str(made / "snapshot"), [], QUIET)


def test_other_minhash_parameters_are_an_error_that_names_both(made: Path, tmp_path: Path) -> None:
    job = Job(quiet=True, overrides=(("minhash.seed", "7"),))
    with pytest.raises(UsageError, match="seed 7 does not match the snapshot's seed 1"):
        curate.run([str(made / "new")], str(tmp_path / "run"), [str(made / "snapshot")], job)


def test_without_a_snapshot_nobody_is_certified(made: Path, tmp_path: Path) -> None:
    summary = curate.run([str(made / "new")], str(tmp_path / "run"), [], QUIET)
    assert summary["origins"]["human"] == 0
    assert summary["dropped"] == 3


def same(left: Path, right: Path) -> bool:
    paths = files.list_files(str(left))
    return paths == files.list_files(str(right)) and all(
        (left / path).read_bytes() == (right / path).read_bytes() for path in paths
    )


def test_two_workers_in_another_place_and_other_order_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    for path in files.list_files(str(made / "new")):
        (moved / path).parent.mkdir(parents=True, exist_ok=True)
        (moved / path).write_bytes((made / "new" / path).read_bytes())
    curate.run([str(moved)], str(tmp_path / "run"), [str(made / "snapshot")], Job(quiet=True, workers=2))
    assert same(tmp_path / "run", made / "run")
    frozen([made / "old/b.warc.gz", made / "old/a.warc.gz"], tmp_path / "snapshot", workers=2)
    assert same(tmp_path / "snapshot", made / "snapshot")


def test_rows_without_a_time_need_a_declaration_and_stay_declared(tmp_path: Path) -> None:
    lines = "".join(f'{{"id": "row{i}", "text": "{prose(i)}", "origin": "human", "date_published": "1999"}}\n' for i in range(3))
    (tmp_path / "rows.jsonl").write_text(lines)
    refused = frozen([tmp_path / "rows.jsonl"], tmp_path / "no")
    assert refused["rejects_by_reason"] == {"attest/no_capture_time": 3}
    taken = frozen([tmp_path / "rows.jsonl"], tmp_path / "yes", declaration="I typed them in 2001.")
    assert (taken["eligible"], taken["declaration"]) == ({"declared": 3}, "I typed them in 2001.")
    assert duckdb.sql(f"select list(id order by id) from '{tmp_path}/yes/documents/*.parquet'").fetchall() == [
        (["row0", "row1", "row2"],)
    ]


def test_captures_at_or_after_the_cutoff_are_rejects(tmp_path: Path) -> None:
    dates = [
        "2021-12-31T23:59:59Z",
        "2022-01-01T00:00:00Z",
        "2022-05-05T00:00:00Z",
        "2021-12-30",
        "2021-12-31T23:00:00",
        "1970-01-01T00:00:00Z",
    ]
    write_warc(tmp_path / "a.warc.gz", [Capture(f"http://x.example/{i}", html(prose(i)), date) for i, date in enumerate(dates)])
    summary = frozen([tmp_path / "a.warc.gz"], tmp_path / "snapshot")
    assert summary["rejects_by_reason"] == {"attest/after_cutoff": 3, "attest/no_usable_date": 1, "read/warcinfo": 1}
    assert set(keys(tmp_path / "snapshot")) == {"http://x.example/0", "http://x.example/3"}


def test_boilerplate_and_translations_stay_in_the_snapshot_and_count_for_nobody(tmp_path: Path) -> None:
    notice, article = html(prose(50)), html(prose(51))
    translated = article.replace("<html>", '<html lang="fr-x-mtfrom-en">')
    captures = [Capture(f"http://host{n}.example/terms", notice) for n in range(20)]
    captures += [Capture(f"http://few.example/{n}", html(prose(52))) for n in range(20)]
    captures.append(Capture("http://machine.example/", translated))
    write_warc(tmp_path / "old/a.warc.gz", captures)
    summary = frozen([tmp_path / "old"], tmp_path / "snapshot")
    assert (summary["documents"], summary["eligible"]) == (41, {"captured": 20})
    assert summary["ineligible"] == {"boilerplate": 20, "translation_markup": 1}
    write_warc(tmp_path / "new/b.warc.gz", [Capture("http://new.example/", notice), Capture("http://new.example/t", article)])
    curate.run([str(tmp_path / "new")], str(tmp_path / "run"), [str(tmp_path / "snapshot")], QUIET)
    found = tags(tmp_path / "run").values()
    assert [tag["origin"] for tag in found] == ["unknown", "unknown"]
    assert all(tag["canonical"] for tag in found)


def test_near_copies_may_be_kept_and_are_recorded_all_the_same(made: Path, tmp_path: Path) -> None:
    job = Job(quiet=True, overrides=(("match.near", "keep"),))
    curate.run([str(made / "new")], str(tmp_path / "run"), [str(made / "snapshot")], job)
    tag = tags(tmp_path / "run")["http://new.example/near"]
    assert (tag["origin"], tag["canonical"]) == ("unknown", None)
    rows = duckdb.sql(f"select duplicate from '{tmp_path}/run/matches/*.parquet' where key = '{tag['document']}'").fetchall()
    assert rows == [(True,)]
    assert tags(tmp_path / "run")["http://new.example/copy0"]["canonical"] is not None


def test_a_digest_that_disagrees_is_a_reject_of_freeze(tmp_path: Path) -> None:
    path = write_warc(tmp_path / "a.warc", [HUMAN[0]])
    plain = gzip.decompress(path.read_bytes())
    path.write_bytes(
        plain.replace(b"WARC-Payload-Digest: sha1:", b"WARC-Payload-Digest: sha1:A", 1).replace(
            b"sha1:A" + plain.split(b"sha1:")[1][:1], b"sha1:A", 1
        )
    )
    summary = frozen([path], tmp_path / "snapshot")
    assert summary["rejects_by_reason"].get("attest/digest_disagrees") == 1


def test_every_path_may_be_on_a_file_system_that_is_no_disk(capsys: pytest.CaptureFixture[str]) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/old/a.warc.gz", warc(HUMAN[:5]))
    memory.pipe("/new/b.warc.gz", warc(new_crawl()))

    def run(*arguments: str) -> dict[str, Any]:
        assert cli.main([*arguments, "--json", "--quiet"]) == 0, arguments
        return json.loads(capsys.readouterr().out)

    anchor = run("freeze", "memory://old", "--into", "memory://out/snapshot", "--cutoff", CUTOFF)["id"]
    run("curate", "memory://new", "--into", "memory://out/run", "--against", f"memory://out/snapshot@{anchor}")
    mix = ["--snapshot", "memory://out/snapshot", "--min-attestation", "captured", "--floor", "0.5"]
    run("mix", "memory://out/run", *mix, "--into", "memory://out/mix")
    for name in ("snapshot", "run", "mix"):
        assert run("verify", f"memory://out/{name}", "--anchor", anchor)["wrong"] == []
        run("report", f"memory://out/{name}")
    assert run("query", "memory://out/run", "select count(*) as n from tags")["answer"] == [{"n": 10}]
    assert not [path for path in memory.find("/out") if "_work" in path]


def test_many_small_parts_by_two_workers_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    small = (("read.part_bytes", "2000"),)
    for workers in (1, 2):
        job = Job(quiet=True, workers=workers, overrides=small)
        curate.run([str(made / "new")], str(tmp_path / f"run{workers}"), [str(made / "snapshot")], job)
    assert len(list((tmp_path / "run1/documents").iterdir())) > 3
    assert same(tmp_path / "run1", tmp_path / "run2")
    kept = "select count(*) from '{}/tags/*.parquet' where canonical is null"
    assert duckdb.sql(kept.format(tmp_path / "run1")).fetchall() == duckdb.sql(kept.format(made / "run")).fetchall()


PLANTED = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Date: 2010-01-01T00:00:00Z\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}\r\n\r\n"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_record_planted_in_a_broken_one_is_attested_by_nothing(tmp_path: Path, packed: bool) -> None:
    text = prose(70)
    evil = Capture("http://evil.example/", f"<p>a</p>\n{PLANTED.format(len(text), text)}" + prose(71), "2021-05-05T00:00:00Z")
    good = [response(capture, 100 + n) for n, capture in enumerate(HUMAN[:3])]
    pack = (lambda data: gzip.compress(data, mtime=0)) if packed else bytes
    broken = pack(response(evil, 99))
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a.warc").write_bytes(pack(good[0]) + broken[:-40] + pack(good[1]) + pack(good[2]))
    summary = frozen([tmp_path / "old"], tmp_path / "snapshot")
    assert duckdb.sql(f"select count(*) from '{tmp_path}/snapshot/documents/*.parquet' where date < '2011-01-01'").fetchall() == [
        (0,)
    ]
    assert summary["documents"] >= 1
    curate.run([str(tmp_path / "old")], str(tmp_path / "run"), [], QUIET)
    planted = duckdb.sql(f"select attestation from '{tmp_path}/run/documents/*.parquet' where date < '2011-01-01'").fetchall()
    assert set(planted) <= {("none",)}
    if packed:
        assert summary["documents"] == 3, "members behind the damage are whole, and keep their word"


def test_a_file_that_changes_after_its_survey_fails_the_run(made: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.warc.gz"
    source.write_bytes((made / "new/c.warc.gz").read_bytes())
    found = reading.survey(str(source), Read())
    piece = {"url": str(source), "file_path": "a", "sha256": found.sha256, "copy": 0, "format": "warc", "damage": None}
    piece |= {"split": asdict(found.splits[0]), "version": "another"}
    settings = config.plain(config.resolve("curate", (), []))
    step = ExtractPart({"config": settings, "prefix": "p", "folder": str(tmp_path / "out")})
    step.setup()
    with pytest.raises(Incomplete, match="changed while it was read"):
        step.part({"name": "0", "weight": 1, "pieces": [piece]})
    assert step.part({"name": "0", "weight": 1, "pieces": [piece | {"version": files.version(str(source))[0]}]})["documents"] == 10
    with pytest.raises(RuntimeError, match="a reader loses records"):
        split = asdict(found.splits[0]) | {"records": 99}
        step.part({"name": "0", "weight": 1, "pieces": [piece | {"split": split, "version": files.version(str(source))[0]}]})


def test_records_that_are_in_no_row_fail_the_run(made: Path) -> None:
    found = reading.survey(str(made / "new/c.warc.gz"), Read())
    numbers = {"sha256": "a", "size": 1, "format": "warc", "boundaries": 13, "unaccounted": 0, "splits": (), "damage": None}
    source = ingest.Source(url="u", file_path="f", copy=0, version="", records=found.records, **numbers)
    receipts = {"0": {"pieces": [{"sha256": "a", "copy": 0, "documents": 10, "rejects": 3}]}}
    assert ingest.sources_table([source], receipts).num_rows == 1
    receipts["0"]["pieces"][0]["rejects"] = 2
    with pytest.raises(CheckFailed, match="something was lost"):
        ingest.sources_table([source], receipts)


def test_a_record_start_that_nobody_read_fails_the_run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = reading.survey
    monkeypatch.setattr(reading, "survey", lambda url, options: replace(survey(url, options), unaccounted=1))
    with pytest.raises(CheckFailed, match="read by nobody"):
        curate.run([str(made / "new")], str(tmp_path / "run"), [], QUIET)


def test_the_best_attested_survives_before_the_earliest(tmp_path: Path) -> None:
    same_page = html(prose(80))
    wrong = response(Capture("http://x.example/broken", same_page, "2001-01-01T00:00:00Z"), 1).replace(b"sha1:", b"sha1:AAAA", 1)
    good = response(Capture("http://x.example/good", same_page, "2024-01-01T00:00:00Z"), 2)
    wrong = re.sub(rb"sha1:AAAA(.{28})....", rb"sha1:AAAA\1", wrong, count=1)
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(wrong, mtime=0) + gzip.compress(good, mtime=0))
    curate.run([str(tmp_path / "a.warc.gz")], str(tmp_path / "run"), [], QUIET)
    found = tags(tmp_path / "run")
    assert found["http://x.example/good"]["canonical"] is None
    assert found["http://x.example/broken"]["canonical"] == found["http://x.example/good"]["document"]


def test_a_mix_refuses_a_run_and_a_snapshot_that_were_changed(made: Path, tmp_path: Path) -> None:
    for name, dataset in (("run", "tags"), ("snapshot", "documents")):
        file = next((made / name / dataset).iterdir())
        data = file.read_bytes()
        file.write_bytes(data[:-9] + b"x" + data[-8:])
        with pytest.raises(CheckFailed, match=file.name):
            mix.run([str(made / "run")], str(made / "snapshot"), str(tmp_path / "mix"), "0.5", "captured", QUIET)
        file.write_bytes(data)


def test_a_run_whose_tags_rest_on_nothing_is_found_out(made: Path, tmp_path: Path) -> None:
    forged = tmp_path / "run"
    shutil.copytree(made / "run", forged)
    file = next((forged / "tags").iterdir())
    table = pq.read_table(file)
    pq.write_table(table.set_column(2, "origin", pa.array(["human"] * table.num_rows)), file)
    body = json.loads((forged / "manifest.json").read_bytes())
    entry = next(entry for entry in body["files"] if entry["path"].startswith("tags/"))
    entry["sha256"], entry["size"] = files.file_digest(str(file))
    del body["id"]
    manifest.write(str(forged), body)
    summary = verify.run(str(forged), None)
    assert (summary["exit_code"], summary["wrong"]) == (1, ["manifest.json"])


@pytest.mark.parametrize(
    "change",
    [
        {"files": [{"path": "../../etc/passwd", "sha256": "", "size": 0, "rows": 0}]},
        {"files": [{"path": 3, "sha256": "", "size": 0, "rows": 0}]},
        {"files": "none"},
        {"snapshots": 5},
        {"counts": []},
        {"kind": "nonsense"},
        {"kind": None},
    ],
)
def test_a_forged_manifest_is_wrong_and_never_followed(made: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    shutil.copytree(made / "run", tmp_path / "run")
    body = json.loads((made / "run/manifest.json").read_bytes()) | change
    del body["id"]
    manifest.write(str(tmp_path / "run"), body)
    summary = verify.run(str(tmp_path / "run"), None)
    assert (summary["exit_code"], summary["wrong"]) == (1, ["manifest.json"])


def test_folders_that_are_not_ours_are_left_alone(made: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("precious")
    for arguments in (["freeze", str(made / "old"), "--cutoff", CUTOFF], ["curate", str(made / "new")]):
        assert cli.main([*arguments, "--into", str(tmp_path), "--quiet"]) == 2
    assert cli.main(["mix", str(made / "run"), "--snapshot", str(made / "snapshot"), "--into", str(tmp_path), "--quiet"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "data"]
    assert cli.main(["curate", str(made / "new"), "--into", str(tmp_path / "README.md")]) == 2
    assert cli.main(["curate", str(made / "new"), "--into", str(made / "new/run")]) == 2
    assert cli.main(["curate", str(made / "new"), "--into", str(made / "snapshot/run")]) == 2
    assert (tmp_path / "README.md").read_text() == "precious"


def test_two_commands_do_not_write_into_one_folder(made: Path, tmp_path: Path) -> None:
    with Target(str(tmp_path / "run"), "run"), pytest.raises(UsageError, match="another command is writing"):
        curate.run([str(made / "new")], str(tmp_path / "run"), [], QUIET)
    assert not (tmp_path / "run/_work").exists()


def test_snapshots_that_share_a_document_give_one_answer(made: Path, tmp_path: Path) -> None:
    frozen([made / "old/a.warc.gz"], tmp_path / "second")
    ids = set()
    for number in range(3):
        against = [str(made / "snapshot"), str(tmp_path / "second"), str(made / "snapshot")]
        ids.add(curate.run([str(made / "new")], str(tmp_path / f"run{number}"), against, QUIET)["id"])
    assert len(ids) == 1


def kill_at(command: list[str], work: Path, moments: list[str]) -> None:
    """Kills the command as soon as each of these is there in its work folder, then lets it finish."""
    for moment in moments:
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        while process.poll() is None and not any(work.glob(moment)):
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_killed_anywhere_the_same_command_finishes_with_the_same_bytes(made: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "curate", str(made / "new"), "--into", str(tmp_path / "run"), "--quiet"]
    command += ["--against", str(made / "snapshot"), "--workers", "2"]
    kill_at(
        command,
        tmp_path / "run/_work",
        ["survey-*", "extract-*", "rank-*", "equal-*", "candidates-*", "measure-*", "resolve-*", "tag-*"],
    )
    assert same(tmp_path / "run", made / "run")
    frozen = [sys.executable, "-m", "pipelines.cli", "freeze", str(made / "old"), "--into", str(tmp_path / "snapshot"), "--quiet"]
    kill_at([*frozen, "--cutoff", CUTOFF], tmp_path / "snapshot/_work", ["extract-*", "seal-*", "index-*", "tree-*", "sources"])
    assert same(tmp_path / "snapshot", made / "snapshot")
    mixed = [sys.executable, "-m", "pipelines.cli", "mix", str(made / "run"), "--snapshot", str(made / "snapshot"), "--quiet"]
    mixed += ["--floor", "0.5", "--min-attestation", "captured", "--into"]
    subprocess.run([*mixed, str(tmp_path / "mix")], check=True, stdout=subprocess.DEVNULL)
    kill_at([*mixed, str(tmp_path / "killed")], tmp_path / "killed/_work", ["job.json", "shards-*", "shards-*/receipts"])
    assert same(tmp_path / "mix", tmp_path / "killed")
    for name in ("run", "snapshot", "killed"):
        assert verify.run(str(tmp_path / name), (made / "id").read_text())["exit_code"] == 0


@pytest.mark.slow
def test_beam_workers_in_other_processes_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The pool starts bare `python`, so this interpreter's folder has to come first.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])}
    pool = subprocess.Popen(
        [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"],
        env=environment,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        options = ["--", "--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"]
        into = str(tmp_path / "run")
        code = cli.main(["curate", str(made / "new"), "--into", into, "--quiet", "--against", str(made / "snapshot"), *options])
        again = str(tmp_path / "snapshot")
        code |= cli.main(["freeze", str(made / "old"), "--into", again, "--quiet", "--cutoff", CUTOFF, *options])
    finally:
        os.killpg(pool.pid, signal.SIGKILL)
        pool.wait()
    assert code == 0
    assert same(tmp_path / "run", made / "run") and same(tmp_path / "snapshot", made / "snapshot")
