"""Freezes whose parent was changed, whose folder has a telling name, or whose witnesses say something else."""

import base64
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli, freeze, proving, verify
from pipelines.query import answer
from provenance import trust as trusted
from store import manifest, revocation
from store.errors import CheckFailed, UsageError
from store.revocation import Item
from tests import mixes
from tests.builders import Capture, frozen, html, prose, write_warc
from tests.pipelines.test_forge import TRUE, cdxj, trust
from tests.store.frozen import SIGNER

MORE = [Capture(f"http://more.example/{i}", html(prose(300 + i), f"M {i}")) for i in range(3)]
MENU = (
    "<nav><ul>"
    + "".join(f"<li><a href='/{i}'>Navigate to section number {i} of this site</a></li>" for i in range(30))
    + "</ul></nav>"
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_warc(tmp_path / "true.warc.gz", TRUE)


def verified(folder: Path) -> bool:
    return verify.run(str(folder), manifest.open_snapshot(str(folder)).id, quiet=True)["exit_code"] == 0


def test_the_name_of_a_folder_attests_nothing(tmp_path: Path, archive: Path) -> None:
    folder = tmp_path / "attestation=timestamped" / "s"
    made = frozen([archive], folder)
    assert made["eligible"] == {"captured": 6}  # frozen as timestamped, in leaves and documents, and VERIFIED anywhere
    assert made["id"] == frozen([archive], tmp_path / "s")["id"]


@pytest.mark.parametrize(
    "name", ["date=2001-01-01", "date_end=2001-01-01", "language=xx", "witness=abc", "key=0", "text_sha256=00"]
)
def test_a_folder_of_a_lake_changes_nothing(tmp_path: Path, archive: Path, name: str) -> None:
    ids = []
    more = write_warc(tmp_path / "more.warc.gz", MORE)
    for folder in (tmp_path / "plain", tmp_path / name / "s"):
        first = frozen([archive], folder)
        ids.append(frozen([more, archive], folder, None, extends=first["id"])["id"])
        assert verified(folder)
    assert ids[0] == ids[1]


def test_a_query_shows_what_stands_in_the_files(tmp_path: Path, archive: Path) -> None:
    folder = tmp_path / "language=xx" / "s"
    frozen([archive], folder)
    assert answer(str(folder), "select distinct language from documents")["answer"] == [{"language": "en"}]


@pytest.mark.parametrize("name", ["key=0", "text=", "origin=unknown"])
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_revocation_is_not_blinded_by_the_folder_of_a_mix(tmp_path: Path, name: str, form: str) -> None:
    snapshot, run = mixes.standard(tmp_path / "src")
    items = [Item("key", hashlib.sha256(f"human-{i}".encode()).hexdigest()[:32], "why") for i in range(30)]
    (tmp_path / "list").write_bytes(revocation.write("*", items, [SIGNER]))
    found = []
    for folder in (tmp_path / "plain", tmp_path / name / "mix"):
        mixes.make(folder, snapshot, [run], format=form)
        found.append(proving.lowered(str(folder), str(tmp_path / "list"), [SIGNER.verifier.vkey], {"exit_code": 0})["revoked"])
    assert found[0]["units"] == found[1]["units"]


def test_a_mix_of_a_run_in_such_a_folder(tmp_path: Path) -> None:
    snapshot, run = mixes.standard(tmp_path / "src")
    shutil.copytree(run.url, tmp_path / "origin=unknown/run")
    moved = manifest.open_run(str(tmp_path / "origin=unknown/run"))
    counts = [mixes.make(tmp_path / f"mix{i}", snapshot, [one]).manifest["counts"] for i, one in enumerate((run, moved))]
    assert counts[0] == counts[1]


def damage(folder: Path, dataset: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = Path(manifest.open_snapshot(str(folder)).files(dataset)[0])
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist([change(row) for row in table.to_pylist()], schema=table.schema), path)


@pytest.mark.parametrize(
    ("dataset", "values"), [("leaves", {"leaf": "0" * 64}), ("leaves", {"witness": "x"}), ("documents", {"content_id": "0" * 32})]
)
def test_nothing_is_built_on_a_damaged_parent(tmp_path: Path, archive: Path, dataset: str, values: dict[str, Any]) -> None:
    first = frozen([archive], tmp_path / "s")
    damage(tmp_path / "s", dataset, lambda row: row | values)
    with pytest.raises((CheckFailed, UsageError)):
        frozen([write_warc(tmp_path / "more.warc.gz", MORE)], tmp_path / "s", None, extends=first["id"])


@pytest.mark.parametrize(
    ("dataset", "values"),
    [("tags", {"origin": "human"}), ("documents", {"url": "http://evil/"}), ("signatures", None), ("bands", {"row": 0})],
)
def test_a_redaction_does_not_launder_damage(tmp_path: Path, archive: Path, dataset: str, values: dict[str, Any] | None) -> None:
    first = frozen([archive], tmp_path / "s")
    key = pq.read_table(manifest.open_snapshot(str(tmp_path / "s")).files("documents")[0])["key"][0].as_py()
    damage(tmp_path / "s", dataset, lambda row: row | (values or {"signature": [5] * len(row["signature"])}))
    (tmp_path / "list").write_text(f"{key} because\n")
    with pytest.raises((CheckFailed, UsageError)):
        frozen([], tmp_path / "s", None, extends=first["id"], redact=str(tmp_path / "list"))


def test_a_record_whose_text_is_another_now_is_no_further_witness(tmp_path: Path) -> None:
    captures = [Capture(c.url, c.body.replace("<body>", "<body>" + MENU), c.date) for c in TRUE[:4]]
    source = write_warc(tmp_path / "a.warc.gz", captures)
    first = frozen([source], tmp_path / "s")
    index = tmp_path / "a.cdxj"
    index.write_text(cdxj(captures))
    listed = trust(tmp_path / "t.yaml", here={"kind": "index", "of": index})
    order = freeze.Order([str(source)], str(tmp_path / "s"), extends=first["id"], trust=listed, indexes=[str(index)])
    freeze.run(order, cli.Job(workers=1, quiet=True, overrides=[("extract.extractor", "trafilatura")]))
    assert verified(tmp_path / "s")


def test_an_index_that_dates_a_capture_after_the_cutoff_corroborates_nothing(tmp_path: Path) -> None:
    late = [Capture("http://late.example/1", html(prose(1), "L"), "2023-05-05T05:05:05Z")]
    source, index, sums = write_warc(tmp_path / "w.warc.gz", late), tmp_path / "a.cdxj", tmp_path / "sums"
    index.write_text(cdxj(late))
    sums.write_text(f"{hashlib.sha256(source.read_bytes()).hexdigest()}  w.warc.gz\n")
    listed = trust(
        tmp_path / "t.yaml",
        here={"kind": "index", "of": index, "published": "2021-06-01"},
        release={"kind": "checksums", "of": sums, "published": "2019-01-01"},
    )
    frozen([source], tmp_path / "s", trust=listed, indexes=[str(index)], checksums=[str(sums)])
    leaves = manifest.open_snapshot(str(tmp_path / "s")).files("leaves")
    assert duckdb.sql(f"select attestation, witness from read_parquet({leaves})").fetchall() == [("released", "release")]


def test_an_index_that_was_published_after_the_cutoff_corroborates_nothing(tmp_path: Path, archive: Path) -> None:
    index = tmp_path / "a.cdxj"
    index.write_text(cdxj(TRUE))
    listed = trust(tmp_path / "t.yaml", here={"kind": "index", "of": index, "published": "2025-01-01"})
    assert frozen([archive], tmp_path / "s", trust=listed, indexes=[str(index)])["eligible"] == {"captured": 6}


@pytest.mark.parametrize("order", [0, 1])
def test_of_two_digests_both_have_to_agree(tmp_path: Path, order: int) -> None:
    body = html(prose(5), "d").encode()
    given = [f"WARC-Payload-Digest: sha1:{base64.b32encode(hashlib.sha1(data).digest()).decode()}" for data in (body, b"x")]
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    head = ["WARC/1.1", "WARC-Type: response", "WARC-Record-ID: <urn:uuid:1>", "WARC-Target-URI: http://dup.example/"]
    head += ["WARC-Date: 2019-08-10T12:00:00Z", *(given if order else given[::-1])]
    head += ["Content-Type: application/http; msgtype=response", f"Content-Length: {len(block)}"]
    (tmp_path / "d.warc").write_bytes("\r\n".join(head).encode() + b"\r\n\r\n" + block + b"\r\n\r\n")
    assert frozen([tmp_path / "d.warc"], tmp_path / "s")["eligible"] == {}


@pytest.mark.parametrize("entry", [{"name": "declaration"}, {"custodian": "\u200b"}])
def test_names_that_mean_the_owner_or_nobody_are_refused(entry: dict[str, str]) -> None:
    import yaml

    listed = {"name": "a", "kind": "index", "custodian": "A", "published": "2019-01-01", "sha256": ["ab" * 32]} | entry
    with pytest.raises(ValueError):
        trusted.parse(yaml.safe_dump({"witnesses": [listed]}).encode())
