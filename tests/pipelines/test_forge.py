"""What lies can reach, frozen through the whole chain: none rises above what its witnesses, whom the trust list names, say."""

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pipelines import verify
from pipelines.query import answer
from store import manifest
from store.errors import UsageError
from tests.builders import Capture, frozen, html, prose, write_warc
from tests.forge import Kit, lies

TRUE = [Capture(f"http://true.example/{i}", html(prose(900 + i), f"True {i}"), f"2019-08-1{i}T12:00:0{i}Z") for i in range(6)]


def levels(snapshot: Path) -> dict[str, tuple[str, str]]:
    """Attestation and witness by address, of the newest version's best leaf."""
    opened = manifest.open_snapshot(str(snapshot))
    rows = duckdb.sql(f"select url, attestation, witness from read_parquet({opened.files('documents')})").fetchall()
    return {url: (attestation, witness) for url, attestation, witness in rows}


def digest(capture: Capture) -> str:
    return base64.b32encode(hashlib.sha1(capture.body.encode()).digest()).decode()


def cdxj(captures: list[Capture], **changed: str) -> str:
    """Lines as Common Crawl writes them."""
    lines = []
    for capture in captures:
        stamp = "".join(character for character in capture.date if character.isdigit())
        fields = {
            "url": capture.url,
            "mime": "text/html",
            "status": "200",
            "digest": digest(capture),
            "filename": "crawl-data/x.warc.gz",
        }
        fields |= {name: value for name, value in changed.items() if name != "stamp"}
        lines.append(f"example,true)/ {changed.get('stamp', stamp)} {json.dumps(fields)}\n")
    return "".join(lines)


def trust(path: Path, **entries: dict[str, Any]) -> str:
    """A trust list; each entry is given the digest of the file that it is for."""
    listed = []
    for name, entry in entries.items():
        of = entry.pop("of")
        listed.append(
            {
                "name": name,
                "custodian": "An Archive",
                "published": "2019-12-01",
                "sha256": [hashlib.sha256(of.read_bytes()).hexdigest()],
                **entry,
            }
        )
    path.write_text(yaml.safe_dump({"witnesses": listed}))
    return str(path)


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return lies(tmp_path_factory.mktemp("forge") / "kit")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_warc(tmp_path / "true.warc.gz", TRUE)


def test_no_lie_reaches_more_than_it_may(forged: Kit, tmp_path: Path) -> None:
    honest = tmp_path / "honest.cdxj.gz"
    honest.write_bytes(gzip.compress(cdxj(TRUE).encode()))
    listed = trust(
        tmp_path / "trust.yaml",
        honest={"kind": "index", "of": honest},
        late={"kind": "checksums", "of": forged.late_release, "published": "2024-02-01"},
    )
    made = frozen(
        [forged.sources],
        tmp_path / "snapshot",
        trust=listed,
        indexes=[str(honest), str(forged.own_index)],
        checksums=[str(forged.late_release)],
    )
    found = levels(tmp_path / "snapshot")
    assert {url: found[url][0] if url in found else None for url in forged.levels} == forged.levels
    assert set(found) <= set(forged.levels)
    assert set(made["eligible"]) <= {"captured", "declared"}
    said = " ".join(made["notes"])
    assert "own.cdxj counts for nothing" in said and "not before the cutoff" in said


def test_a_release_from_before_the_cutoff_dates_all_that_its_files_hold(forged: Kit, archive: Path, tmp_path: Path) -> None:
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{hashlib.sha256(archive.read_bytes()).hexdigest()} *true.warc.gz\n{'0' * 64} *another\n")
    listed = trust(tmp_path / "trust.yaml", release={"kind": "checksums", "of": sums})
    frozen([archive, forged.sources], tmp_path / "snapshot", trust=listed, checksums=[str(sums)])
    found = levels(tmp_path / "snapshot")
    assert {found[capture.url] for capture in TRUE} == {("released", "release")}
    assert not {level for url, (level, _) in found.items() if "true.example" not in url} - {"captured", "declared"}


def test_a_release_lets_rows_in_that_nobody_declares(tmp_path: Path) -> None:
    (tmp_path / "book.jsonl").write_text(json.dumps({"text": prose(950), "id": "book"}) + "\n")
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{hashlib.sha256((tmp_path / 'book.jsonl').read_bytes()).hexdigest()}  book.jsonl\n")
    listed = trust(tmp_path / "trust.yaml", release={"kind": "checksums", "of": sums, "published": "2009-10-11"})
    made = frozen([tmp_path / "book.jsonl"], tmp_path / "snapshot", trust=listed, checksums=[str(sums)])
    assert made["eligible"] == {"released": 1}
    opened = manifest.open_snapshot(str(tmp_path / "snapshot"))
    leaf = duckdb.sql(f"select date, date_end::varchar, witness from read_parquet({opened.files('leaves')})").fetchall()
    assert leaf[0][0] is None and leaf[0][1].startswith("2009-10-12 11:59:59") and leaf[0][2] == "release"
    assert opened.manifest["witnesses"]["release"]["custodian"] == "An Archive"


def test_an_index_that_the_trust_list_names_corroborates_what_it_holds_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    index = tmp_path / "cdx-00000.gz"
    wrong = [
        cdxj(TRUE[3:4], stamp="20190813120004"),
        cdxj(TRUE[4:5], digest=digest(TRUE[5])),
        cdxj(TRUE[5:6], mime="warc/revisit"),
    ]
    index.write_bytes(gzip.compress((cdxj(TRUE[:3]) + "".join(wrong)).encode()))
    listed = trust(tmp_path / "trust.yaml", **{"cc-index": {"kind": "index", "of": index}})
    made = frozen([archive], tmp_path / "snapshot", trust=listed, indexes=[str(index)])
    expected = {capture.url: ("corroborated", "cc-index") for capture in TRUE[:3]} | {
        c.url: ("captured", "archive file") for c in TRUE[3:]
    }
    assert levels(tmp_path / "snapshot") == expected
    assert made["eligible"] == {"captured": 3, "corroborated": 3}


def test_an_index_of_the_same_name_and_other_bytes_counts_for_nothing(archive: Path, tmp_path: Path) -> None:
    index = tmp_path / "cdx-00000"
    index.write_text(cdxj(TRUE[:2]))
    listed = trust(tmp_path / "trust.yaml", **{"cc-index": {"kind": "index", "of": index}})
    index.write_text(cdxj(TRUE))
    made = frozen([archive], tmp_path / "snapshot", trust=listed, indexes=[str(index)])
    assert made["eligible"] == {"captured": 6}
    assert "counts for nothing" in made["notes"][0]
    assert manifest.open_snapshot(str(tmp_path / "snapshot")).manifest["witnesses"] == {}


def test_a_witness_without_a_trust_list_is_an_error(archive: Path, tmp_path: Path) -> None:
    index = tmp_path / "cdx"
    index.write_text(cdxj(TRUE))
    with pytest.raises(UsageError, match="trust list"):
        frozen([archive], tmp_path / "snapshot", indexes=[str(index)])


def test_a_further_witness_is_a_leaf_that_names_the_first(archive: Path, tmp_path: Path) -> None:
    first = frozen([archive], tmp_path / "snapshot")
    index, other = tmp_path / "a.cdxj", tmp_path / "b.cdxj"
    index.write_text(cdxj(TRUE[:4]))
    other.write_text(cdxj(TRUE[:5]) + "\n")
    listed = trust(
        tmp_path / "trust.yaml",
        here={"kind": "index", "of": index},
        again={"kind": "index", "of": other, "published": "2020-02-02"},
    )
    second = frozen([archive], tmp_path / "snapshot", None, extends=first["id"], trust=listed, indexes=[str(index)])
    assert second["rejects_by_reason"]["present/further_witness"] == 4
    assert second["rejects_by_reason"]["present/already_present"] == 2
    assert (second["documents"], second["tree"]["size"]) == (6, 10)
    assert second["eligible"] == {"captured": 2, "corroborated": 4}
    assert verify.run(str(tmp_path / "snapshot"), second["id"])["exit_code"] == 0
    opened = manifest.open_snapshot(str(tmp_path / "snapshot"))
    rows = duckdb.sql(f'select * from read_parquet({opened.files("leaves")}) order by "index"').to_arrow_table().to_pylist()
    by_hash = {row["leaf"]: row for row in rows}
    for row in rows[6:]:
        named = by_hash[row["names"]]
        assert (named["key"], named["text_sha256"], named["attestation"]) == (row["key"], row["text_sha256"], "captured")
        assert (row["attestation"], row["witness"]) == ("corroborated", "here")
    proven = answer(str(tmp_path / "snapshot"), "select attestation, count(*) as n from documents group by 1 order by 1")["answer"]
    assert proven == [{"attestation": "captured", "n": 2}, {"attestation": "corroborated", "n": 4}]
    # The same custodian's second index adds nothing where the first was, and is a witness of the one document that it was not.
    third = frozen([archive], tmp_path / "snapshot", None, extends=second["id"], trust=listed, indexes=[str(other)])
    assert third["tree"]["size"] == 11 and third["eligible"] == {"captured": 1, "corroborated": 5}
    (tmp_path / "list").write_text(f"{TRUE[0].url} asked for\n{TRUE[5].url} asked for\n")
    last = frozen([], tmp_path / "snapshot", None, extends=third["id"], redact=str(tmp_path / "list"))
    assert last["eligible"] == {"corroborated": 4}
    assert manifest.open_snapshot(str(tmp_path / "snapshot")).redacted == 3
    assert verify.run(str(tmp_path / "snapshot"), third["id"])["result"] == "VERIFIED, EXTENDS THE ANCHOR"


def test_a_further_witness_makes_no_text_eligible_that_was_not(tmp_path: Path) -> None:
    captures = [TRUE[0], Capture("http://true.example/short", html("too short to be anybody's"), "2019-08-10T12:00:00Z")]
    source = write_warc(tmp_path / "a.warc.gz", captures)
    first = frozen([source], tmp_path / "snapshot")
    index = tmp_path / "a.cdxj"
    index.write_text(cdxj(captures))
    listed = trust(tmp_path / "trust.yaml", here={"kind": "index", "of": index})
    second = frozen([source], tmp_path / "snapshot", None, extends=first["id"], trust=listed, indexes=[str(index)])
    assert second["rejects_by_reason"]["present/further_witness"] == 2
    assert (second["eligible"], sum(second["ineligible"].values())) == ({"corroborated": 1}, 1)
    assert verify.run(str(tmp_path / "snapshot"), second["id"])["exit_code"] == 0


def test_one_name_for_two_witnesses_is_refused(archive: Path, tmp_path: Path) -> None:
    index = tmp_path / "a.cdxj"
    index.write_text(cdxj(TRUE[:4]))
    listed = trust(tmp_path / "trust.yaml", here={"kind": "index", "of": index})
    first = frozen([archive], tmp_path / "snapshot", trust=listed, indexes=[str(index)])
    index.write_text(cdxj(TRUE))
    listed = trust(tmp_path / "trust.yaml", here={"kind": "index", "of": index})
    with pytest.raises(UsageError, match="another witness"):
        frozen([archive], tmp_path / "snapshot", None, extends=first["id"], trust=listed, indexes=[str(index)])


STAMPS = Path(__file__).resolve().parents[1] / "golden/timestamps"


def stamped(tmp_path: Path, stamps: list[str], root: str = "root.pem", checksums: tuple[str, ...] = ()) -> dict[str, Any]:
    """Freezes the sample capture with time stamps, one authority in the trust list."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = (STAMPS / root).read_bytes()
    der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    (tmp_path / "root.pem").write_bytes(certificate)
    entry = {"name": "authority", "kind": "authority", "custodian": "A Time-Stamping Authority", "published": "2018-01-01"}
    entry |= {"sha256": [hashlib.sha256(der).hexdigest()], "file": "root.pem"}
    (tmp_path / "trust.yaml").write_text(yaml.safe_dump({"witnesses": [entry]}))
    return frozen(
        [STAMPS / "sample.warc"],
        tmp_path / "snapshot",
        trust=str(tmp_path / "trust.yaml"),
        timestamps=[str(STAMPS / name) for name in stamps],
        checksums=[str(STAMPS / name) for name in checksums],
    )


def test_a_time_stamp_of_the_file_or_of_a_list_that_holds_it_is_the_strongest_word(tmp_path: Path) -> None:
    for number, (stamp, lists) in enumerate((("good.tsr", ()), ("list.tsr", ("sample.sha256",)))):
        (tmp_path / str(number)).mkdir()
        made = stamped(tmp_path / str(number), [stamp], checksums=lists)
        assert made["eligible"] == {"timestamped": 1}
        assert set(levels(tmp_path / str(number) / "snapshot").values()) == {("timestamped", "authority")}


@pytest.mark.parametrize(("stamp", "root"), [("late.tsr", "root.pem"), ("list.tsr", "root.pem"), ("good.tsr", "selfmade.pem")])
def test_a_late_stamp_one_of_something_else_and_an_authority_of_ones_own_count_for_nothing(
    tmp_path: Path, stamp: str, root: str
) -> None:
    made = stamped(tmp_path, [stamp], root)
    assert made["eligible"] == {"captured": 1}
    assert "counts for nothing" in made["notes"][0]
