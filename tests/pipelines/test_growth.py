"""A snapshot that grows, is redacted and is signed: what is shared, what is stored once, and what its trees prove."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines import cli, freeze, redacting, verify
from provenance import schema
from provenance.identity import check_consistency, leaf_hash
from store import files, index, manifest
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.notes import Signer
from tests.builders import Capture, frozen, html, prose, write_warc

PAGES = [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(12)]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder of sources and a snapshot of two versions: seven pages, then those again with five more and a copy."""
    base = tmp_path_factory.mktemp("growth")
    write_warc(base / "old/a.warc.gz", PAGES[:7])
    copy = Capture("http://mirror.example/3", PAGES[3].body, "2018-01-01T00:00:00Z")
    write_warc(base / "old/b.warc.gz", [*PAGES[7:], copy])
    first = frozen([base / "old/a.warc.gz"], base / "snapshot")
    second = frozen([base / "old"], base / "snapshot", None, extends=first["id"])
    return base, [first["id"], second["id"]]


def version(base: Path, name: str) -> Opened:
    return manifest.open_snapshot(f"{base}/snapshot@{name}")


def rows(opened: Opened, dataset: str, select: str = "*", where: str = "true") -> list[dict[str, Any]]:
    urls = opened.files(dataset)
    return duckdb.sql(f"select {select} from read_parquet({urls}) where {where}").to_arrow_table().to_pylist()


def test_a_version_shares_its_parents_files_and_adds_only_what_is_new(grown: tuple[Path, list[str]]) -> None:
    base, ids = grown
    first, second = (version(base, name) for name in ids)
    shared = {entry["path"]: entry for entry in first.manifest["files"]}
    assert all(entry in second.manifest["files"] for entry in shared.values())
    assert second.manifest["parent"] == first.id
    assert manifest.open_snapshot(str(base / "snapshot")).id == second.id
    added = [entry for entry in second.manifest["files"] if entry["path"] not in shared]
    assert sum(entry["rows"] for entry in added if entry["path"].startswith("documents/")) == 5


def test_what_is_there_is_not_stored_twice_and_is_a_counted_reject(grown: tuple[Path, list[str]]) -> None:
    base, ids = grown
    second = version(base, ids[1])
    urls = [row["url"] for row in rows(second, "documents", "url")]
    assert sorted(urls) == sorted(page.url for page in PAGES)
    again = rows(second, "rejects", "url, reason, detail", "stage = 'present'")
    assert {row["reason"] for row in again} == {"already_present"}
    assert {row["url"] for row in again} == {*(page.url for page in PAGES[:7]), "http://mirror.example/3"}
    counts = second.manifest["counts"]
    assert counts["records"] == counts["documents"] + counts["rejects"] == 8 + 8 + 7
    assert all(row["records"] == row["documents"] + row["rejects"] for row in rows(second, "sources"))


def test_the_new_tree_begins_with_the_old_one(grown: tuple[Path, list[str]]) -> None:
    base, ids = grown
    first, second = (version(base, name).manifest for name in ids)
    old, new = first["tree"], second["tree"]
    proof = [bytes.fromhex(node) for node in second["consistency"]]
    check_consistency(old["size"], bytes.fromhex(old["root"]), new["size"], bytes.fromhex(new["root"]), proof)
    with pytest.raises(ValueError):
        check_consistency(old["size"], bytes(32), new["size"], bytes.fromhex(new["root"]), proof)
    assert [extension["size"] for extension in new["extensions"]] == [7, 5]
    assert new["extensions"][0] == {"size": 7, "root": old["root"], "manifest": ids[0]}


def test_leaves_are_sorted_by_key_within_each_extension(grown: tuple[Path, list[str]]) -> None:
    base, ids = grown
    found = rows(version(base, ids[1]), "leaves", '"index", key')
    assert [row["index"] for row in found] == list(range(12))
    keys = [row["key"] for row in found]
    assert keys[:7] == sorted(keys[:7]) and keys[7:] == sorted(keys[7:]) and keys != sorted(keys)


def test_the_order_and_number_of_workers_do_not_name_anything(grown: tuple[Path, list[str]], tmp_path: Path) -> None:
    base, ids = grown
    first = frozen([base / "old/a.warc.gz"], tmp_path / "snapshot", workers=2)
    second = frozen([base / "old/b.warc.gz", base / "old/a.warc.gz"], tmp_path / "snapshot", None, workers=2, extends=first["id"])
    assert [first["id"], second["id"]] == ids


def test_a_signed_version_has_a_checkpoint_and_its_unsigned_child_says_that_it_has_none(
    grown: tuple[Path, list[str]], tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    job = cli.Job(quiet=True, overrides=(("freeze.origin", "lab.example/web"),))
    order = freeze.Order(
        [str(grown[0] / "old/a.warc.gz")], str(tmp_path / "snapshot"), "2022-01-01", sign=str(tmp_path / "key.pem")
    )
    signed = freeze.run(order, job)
    note = (tmp_path / f"snapshot/checkpoints/{signed['id']}.txt").read_text()
    assert note.startswith("lab.example/web\n7\n") and f"sha256:{signed['id']}\n" in note
    assert freeze.run(order, job)["id"] == signed["id"]
    assert signed["verifier_key"] == manifest.open_snapshot(str(tmp_path / "snapshot")).manifest["signers"][0]
    assert "added" not in signed
    vkey = signed["verifier_key"]
    found = verify.run(str(tmp_path / "snapshot"), None, keys=[vkey])
    assert (found["result"], found["exit_code"], found["signed_by"]) == (
        "VERIFIED, SIGNED BY lab.example/web",
        0,
        ["lab.example/web"],
    )
    with pytest.raises(UsageError):
        verify.run(str(tmp_path / "snapshot"), None, keys=[vkey[:-2]])
    assert (
        verify.run(str(tmp_path / "snapshot"), signed["id"], keys=[Signer("lab.example/web", bytes([1] * 32)).verifier.vkey])[
            "exit_code"
        ]
        == 1
    )
    child = frozen([grown[0] / "old/b.warc.gz"], tmp_path / "snapshot", None, extends=signed["id"])
    assert "nobody signed" in str(verify.run(str(tmp_path / "snapshot"), None, keys=[vkey])["why"])
    assert "--sign KEY" in child["notes"][0] and "verifier_key" not in child
    assert verify.run(str(tmp_path / "snapshot"), signed["id"])["result"] == "VERIFIED, EXTENDS THE ANCHOR"
    (tmp_path / f"snapshot/checkpoints/{signed['id']}.txt").unlink()
    assert verify.run(str(tmp_path / "snapshot"), signed["id"])["missing"] == [f"checkpoints/{signed['id']}.txt"]


def test_what_a_version_adds_is_told(grown: tuple[Path, list[str]], tmp_path: Path) -> None:
    shutil.copytree(grown[0] / "snapshot", tmp_path / "snapshot")
    again = frozen([grown[0] / "old"], tmp_path / "snapshot", None, extends=grown[1][0])
    assert again["added"] == {"documents": 5, "leaves": 5, "further_witnesses": 0, "redacted": 0} and "line" not in again
    (tmp_path / "list").write_text("http://old.example/8 asked for\nhttp://old.example/4 asked for\n")
    less = frozen([], tmp_path / "snapshot", None, extends=grown[1][1], redact=str(tmp_path / "list"))
    assert less["added"] == {"documents": 0, "leaves": 0, "further_witnesses": 0, "redacted": 2} and "line" not in less
    same = frozen([grown[0] / "old"], tmp_path / "snapshot", None, extends=less["id"])
    assert same["line"] == "Nothing new: all that was given is in the parent already." and not any(same["added"].values())


def test_the_owners_words_stay_with_every_version(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"text": "{prose(len(name) + ord(name))}"}}\n')
    first = frozen([tmp_path / "a.jsonl"], tmp_path / "snapshot", declaration="I wrote it.")
    second = frozen([tmp_path / "b.jsonl"], tmp_path / "snapshot", None, extends=first["id"], declaration="She wrote it.")
    assert second["declaration"] == "I wrote it.\nShe wrote it."
    (tmp_path / "list").write_text(f"{rows(manifest.open_snapshot(str(tmp_path / 'snapshot')), 'leaves', 'key')[0]['key']}\n")
    third = frozen([], tmp_path / "snapshot", None, extends=second["id"], redact=str(tmp_path / "list"))
    assert third["declaration"] == second["declaration"]
    (tmp_path / "c.jsonl").write_text(f'{{"text": "{prose(991)}"}}\n')
    again = frozen([tmp_path / "c.jsonl"], tmp_path / "snapshot", None, extends=third["id"], declaration="She wrote it.")
    assert again["declaration"] == second["declaration"] and again["documents"] == 3


def test_the_same_command_again_changes_nothing(grown: tuple[Path, list[str]]) -> None:
    base, ids = grown
    before = {path: (base / "snapshot" / path).stat().st_mtime_ns for path in files.list_files(str(base / "snapshot"))}
    assert frozen([base / "old"], base / "snapshot", None, extends=ids[0])["id"] == ids[1]
    assert frozen([base / "old/a.warc.gz"], base / "snapshot")["id"] == ids[0]
    after = {path: (base / "snapshot" / path).stat().st_mtime_ns for path in files.list_files(str(base / "snapshot"))}
    assert after == before


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"extends": None, "sources": []}, "needs a SOURCE"),
        ({"extends": None, "redact": "list"}, "--extends"),
        ({"sources": []}, "nothing to do"),
        ({"extends": "0" * 64}, "holds no version"),
        ({"cutoff": "2020-01-01"}, "not the one of"),
        ({"index_only": True}, "keeps its texts"),
    ],
)
def test_orders_that_do_not_fit_are_usage_errors(grown: tuple[Path, list[str]], order: dict[str, Any], says: str) -> None:
    base, ids = grown
    asked = {"sources": [str(base / "old/b.warc.gz")], "cutoff": None, "extends": ids[1], **order}
    if asked["extends"] is None:
        asked["cutoff"] = "2022-01-01"
    with pytest.raises(UsageError, match=says):
        freeze.run(freeze.Order(into=str(base / "snapshot"), **asked), cli.Job(quiet=True))


def test_other_sketches_than_the_parents_are_refused(grown: tuple[Path, list[str]]) -> None:
    base, ids = grown
    job = cli.Job(quiet=True, overrides=(("minhash.seed", "7"),))
    with pytest.raises(UsageError, match="seed"):
        freeze.run(freeze.Order([str(base / "old")], str(base / "snapshot"), extends=ids[1]), job)


@pytest.mark.parametrize("between", [" ", "   ", "\t", " \t "])
def test_a_redaction_list_takes_any_white_space_before_the_reason(between: str, tmp_path: Path) -> None:
    key, url = "0" * 32, "http://old.example/1"
    (tmp_path / "list").write_text(f"# asked for\n\n {key}{between}by its author,\tby mail \n{url}\n")
    assert redacting.read_list(str(tmp_path / "list")) == {key: "by its author,\tby mail", url: "no reason given"}


@pytest.fixture
def redacted(grown: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str], str]:
    """A copy of the snapshot, and the id of its version without the page that was asked about."""
    base, ids = grown
    shutil.copytree(base / "snapshot", tmp_path / "snapshot")
    (tmp_path / "list").write_text("# asked for in a letter\nhttp://old.example/9\tits author asked\n")
    done = frozen([], tmp_path / "snapshot", None, extends=ids[1], redact=str(tmp_path / "list"))
    return tmp_path, ids, done["id"]


def test_a_redacted_text_is_gone_and_its_leaf_hash_stays(redacted: tuple[Path, list[str], str]) -> None:
    base, ids, name = redacted
    old, new = version(base, ids[1]), version(base, name)
    assert new.manifest["tree"]["root"] == old.manifest["tree"]["root"]
    words = prose(9).split(". ")[0].encode()
    assert any(words in str(row["text"]).encode() for row in rows(new, "documents", "text")) is False
    gone = rows(new, "documents", where="ineligible_reason = 'redacted: its author asked'")
    assert len(gone) == 1
    assert {key for key, value in gone[0].items() if value not in (None, 0, False)} == {"key", "attestation", "ineligible_reason"}
    leaf = rows(new, "leaves", where="redacted is not null")
    assert len(leaf) == 1 and leaf[0]["key"] == gone[0]["key"] and leaf[0]["text_sha256"] is None
    assert leaf[0]["redacted"] == "its author asked"
    assert len(rows(new, "tags", where="reason = 'redacted: its author asked'")) == 1
    assert new.manifest["redacted"]["leaves"] == 1
    assert new.manifest["counts"]["ineligible"] == {"redacted": 1}
    assert new.manifest["counts"]["eligible"] == {"captured": 11}
    for path in new.manifest["redacted"]["removed"]:
        assert not (base / "snapshot" / path).exists()


def test_a_redacted_document_is_in_no_index_and_all_others_are(
    grown: tuple[Path, list[str]], redacted: tuple[Path, list[str], str]
) -> None:
    base, ids, name = redacted
    old, new = version(grown[0], ids[1]), version(base, name)
    keys = [pq.read_table(url, columns=["key"])["key"].to_pylist() for url in new.files("documents")]
    gone = rows(new, "documents", "key", where="ineligible_reason = 'redacted: its author asked'")[0]["key"]
    for dataset in schema.INDEXES:
        held = [[row for url in one.files(dataset) for row in pq.read_table(url).to_pylist()] for one in (old, new)]
        before = [row for row in held[0] if keys[row["part"]][row["row"]] != gone]
        assert 0 < len(before) < len(held[0])
        order = ("hash", "part", "row")
        assert sorted(held[1], key=lambda row: [row[n] for n in order]) == sorted(before, key=lambda row: [row[n] for n in order])
        assert any(".r00002-" in url for url in new.files(dataset))


INDEXED = ("bands/00001-JOB-b004-r001of012.parquet", "ids/00001-JOB-r001of012.parquet", "samples/00001-JOB-r001of012.parquet")


@pytest.mark.parametrize("job", ["3ecbcaa30654", "b3cbcaa3065b", "b12345678901"])
def test_a_file_that_takes_anothers_place_sorts_there(job: str) -> None:
    for path in (f"documents/00001-{job}-000003.parquet", *INDEXED):
        path = path.replace("JOB", job)
        folder = path.split("/")[0]
        new = redacting.renamed(path, "00002")
        assert new.startswith(f"{folder}/00001-{job}") and ".r00002" in new
        assert redacting.renamed(new, "00003").count(".r") == 1
        before, after = f"{folder}/00001-{job}-000002.parquet", f"{folder}/00002-{job}-000000.parquet"
        assert sorted([after, new, before]) == [before, new, after]
    for path in INDEXED:
        name = index.NAME.search(redacting.renamed(path.replace("JOB", job), "00002"))
        assert name and (name["band"], name["part"], name["ranges"]) == ("004" if "bands" in path else None, "001", "012")


def test_what_told_of_a_redacted_text_is_gone_too(grown: tuple[Path, list[str]], tmp_path: Path) -> None:
    shutil.copytree(grown[0] / "snapshot", tmp_path / "snapshot")
    (tmp_path / "list").write_text("http://old.example/3 asked for\n")
    frozen([], tmp_path / "snapshot", None, extends=grown[1][1], redact=str(tmp_path / "list"))
    opened = manifest.open_snapshot(str(tmp_path / "snapshot"))
    for entry in opened.manifest["files"]:
        told = str(pq.read_table(tmp_path / "snapshot" / entry["path"]).to_pylist())
        assert "http://old.example/3'" not in told and "http://mirror.example/3'" not in told, entry["path"]
    assert verify.run(str(tmp_path / "snapshot"), opened.id)["exit_code"] == 0


def translated(tmp_path: Path) -> Path:
    """Two pages with markup that says a machine translated them."""
    pages = [
        Capture(f"http://mt.example/{i}", html(prose(40 + i)).replace("<html>", '<html lang="fr-x-mtfrom-en">')) for i in range(2)
    ]
    return write_warc(tmp_path / "mt.warc.gz", pages)


def test_evidence_of_a_redacted_text_is_gone_and_that_of_others_stays(tmp_path: Path) -> None:
    first = frozen([translated(tmp_path)], tmp_path / "snapshot")
    before = rows(version(tmp_path, first["id"]), "evidence", "key")
    (tmp_path / "list").write_text("http://mt.example/0 asked for\n")
    after = frozen([], tmp_path / "snapshot", None, extends=first["id"], redact=str(tmp_path / "list"))
    opened = version(tmp_path, after["id"])
    gone = rows(opened, "leaves", "key", "redacted is not null")[0]["key"]
    assert gone in {row["key"] for row in before}
    assert {row["key"] for row in rows(opened, "evidence", "key")} == {row["key"] for row in before} - {gone} != set()


def test_evidence_without_the_text_quotes_nothing(tmp_path: Path) -> None:
    made = frozen([translated(tmp_path)], tmp_path / "snapshot", index_only=True)
    assert made["eligible"] == {} and sum(made["ineligible"].values()) == 2
    opened = version(tmp_path, made["id"])
    assert {row["detail"] for row in rows(opened, "evidence", "detail")} == {None}
    assert not any(":" in row["ineligible_reason"] for row in rows(opened, "documents", "ineligible_reason"))


def test_a_redacted_record_does_not_come_back(redacted: tuple[Path, list[str], str], grown: tuple[Path, list[str]]) -> None:
    base, _, name = redacted
    again = frozen([grown[0] / "old/b.warc.gz"], base / "snapshot", None, extends=name)
    assert again["rejects_by_reason"]["present/redacted"] == 1
    assert again["documents"] == 12 and again["eligible"] == {"captured": 11}


@pytest.mark.parametrize(
    ("text", "says"), [("", "names nothing"), ("nonsense\n", "no key"), ("http://nowhere.example/ x\n", "no document")]
)
def test_a_redaction_list_that_means_nothing_is_an_error(
    grown: tuple[Path, list[str]], tmp_path: Path, text: str, says: str
) -> None:
    base, ids = grown
    (tmp_path / "list").write_text(text)
    with pytest.raises(UsageError, match=says):
        frozen([], base / "snapshot", None, extends=ids[1], redact=str(tmp_path / "list"))
    assert verify.run(str(base / "snapshot"), ids[1])["exit_code"] == 0


def test_a_redacted_version_verifies_and_the_one_before_says_why_it_cannot(
    redacted: tuple[Path, list[str], str], grown: tuple[Path, list[str]]
) -> None:
    base, ids, name = redacted
    again = frozen([], base / "snapshot", None, extends=ids[1], redact=str(base / "list"))
    assert again["id"] == name and "unchanged" in again
    with pytest.raises(UsageError, match="has no branches"):
        frozen([grown[0] / "old"], base / "snapshot", None, extends=ids[1])
    with pytest.raises(UsageError, match="extends"):
        frozen([grown[0] / "old/b.warc.gz"], base / "snapshot", None, extends=ids[0])
    assert verify.run(str(base / "snapshot"), name)["result"].startswith("VERIFIED")
    assert verify.run(str(base / "snapshot"), ids[1])["result"].startswith("VERIFIED")
    old = verify.run(f"{base}/snapshot@{ids[1]}", ids[1])
    assert old["exit_code"] == 1
    assert any("redaction" in why for why in old["why"].values())


@pytest.mark.parametrize("dataset", ["documents", "leaves"])
def test_nothing_grows_from_a_damaged_version(grown: tuple[Path, list[str]], tmp_path: Path, dataset: str) -> None:
    shutil.copytree(grown[0] / "snapshot", tmp_path / "snapshot")
    damaged = next((tmp_path / "snapshot" / dataset).iterdir())
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(CheckFailed, match=damaged.name):
        frozen([grown[0] / "old"], tmp_path / "snapshot", None, extends=grown[1][1])
    assert not (tmp_path / "snapshot/_work").exists()


def test_a_version_without_text_has_the_same_tree(grown: tuple[Path, list[str]], tmp_path: Path) -> None:
    base, ids = grown
    made = frozen([base / "old/a.warc.gz"], tmp_path / "index", index_only=True)
    assert made["tree"] == {name: version(base, ids[0]).manifest["tree"][name] for name in ("size", "root")}
    opened = manifest.open_snapshot(str(tmp_path / "index"))
    assert opened.index_only
    for name in ("text", "url", "id", "metadata", "file_path", "dump"):
        assert {row[name] for row in rows(opened, "documents", name)} == {None}
    for entry in opened.manifest["files"]:
        told = str(pq.read_table(tmp_path / "index" / entry["path"]).to_pylist())
        assert "old.example" not in told and not any(word in told for word in prose(2).split()[:20])
    assert verify.run(str(tmp_path / "index"), opened.id)["exit_code"] == 0


def test_leaf_hashes_are_those_of_their_bytes(grown: tuple[Path, list[str]]) -> None:
    import hashlib
    import json

    base, ids = grown
    texts = {row["key"]: row["text"].encode() for row in rows(version(base, ids[1]), "documents", "key, text")}
    for row in rows(version(base, ids[1]), "leaves"):
        times = [row[name].strftime("%Y-%m-%dT%H:%M:%S.%fZ") for name in ("date", "date_end")]
        data = json.dumps(
            [
                "lowbackground-leaf-2",
                row["key"],
                hashlib.sha256(texts[row["key"]]).hexdigest(),
                len(texts[row["key"]]),
                *times,
                row["attestation"],
                row["witness"],
                row["eligible"],
                row["payload_digest"],
                row["extractor"],
                row["rules"],
                row["names"],
            ],
            separators=(",", ":"),
        )
        assert leaf_hash(data.encode() + b"\n").hex() == row["leaf"]
