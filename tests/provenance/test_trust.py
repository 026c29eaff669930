"""The trust list is read strictly: whom a snapshot believes hangs on it."""

from datetime import UTC, datetime

import pytest

from provenance.trust import parse

A, B = "a" * 64, "1" * 64
LIST = f"""
witnesses:
  - name: cc-main-2019-35
    kind: index
    custodian: Common Crawl
    published: 2019-09-10
    sha256: [{A}, {B.upper()}]
  - {{name: sums, kind: checksums, custodian: Someone, published: "2020-01-01T12:00:00Z", sha256: {"c" * 64}}}
  - name: tsa
    kind: authority
    custodian: An Authority
    published: 2015
    sha256: [{"d" * 64}]
    file: roots/tsa.pem
  - {{name: chain, kind: bitcoin, custodian: everybody, published: 2022-02-03, sha256: [{"e" * 64}], file: headers.txt}}
"""


def entry(**changes: str) -> bytes:
    fields = {"name": "n", "kind": "index", "custodian": "C", "published": "2019-09-10", "sha256": f"[{A}]"} | changes
    return ("witnesses:\n  - " + "\n    ".join(f"{key}: {value}" for key, value in fields.items() if value != "-")).encode()


def test_a_list_is_read_with_its_digests_as_text() -> None:
    trust = parse(LIST.encode())
    assert [item.name for item in trust.entries] == ["cc-main-2019-35", "sums", "tsa", "chain"]
    assert trust.by_digest("index") == {A: trust.entries[0], B: trust.entries[0]}
    assert trust.by_digest("checksums") == {"c" * 64: trust.entries[1]}
    assert trust.of("authority")[0].file == "roots/tsa.pem" and trust.of("bitcoin")[0].file == "headers.txt"
    assert trust.custodians()["sums"] == "Someone"
    assert parse(b"witnesses: []").entries == ()


def test_a_date_counts_from_its_end_anywhere_on_earth() -> None:
    day, instant, year, _ = parse(LIST.encode()).entries
    assert day.published == datetime(2019, 9, 11, 11, 59, 59, 999999, UTC)
    assert instant.published == datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert year.published > datetime(2015, 12, 31, 23, tzinfo=UTC)


def test_what_a_manifest_says_of_an_entry() -> None:
    assert parse(LIST.encode()).entries[0].plain() == {
        "kind": "index",
        "custodian": "Common Crawl",
        "published": "2019-09-11T11:59:59.999999Z",
        "sha256": sorted([A, B]),
    }


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "one key, `witnesses`"),
        (b"[]", "one key, `witnesses`"),
        (b"witnesses: {}", "one key, `witnesses`"),
        (b"witnesses: []\nmore: 1", "one key, `witnesses`"),
        (b"witnesses: [", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"witnesses: [1]", "entry 1: is no mapping"),
        (entry(name="n\n    name: m"), "not YAML.*stands twice"),
        (entry(colour="red"), r"entry 1 \(n\): unknown key 'colour'"),
        (entry(custodian="-"), r"entry 1 \(n\): custodian is missing"),
        (entry(custodian='" "'), r"entry 1 \(n\): custodian is empty"),
        (entry(custodian="[a]"), r"entry 1 \(n\): custodian has to be text"),
        (entry(kind="oracle"), r"entry 1 \(n\): kind 'oracle' is unknown"),
        (entry(name="-n"), r"entry 1 \(-n\): name has to be"),
        (entry(name='"a b"'), r"entry 1 \(a b\): name has to be"),
        (entry(name="n" * 65), "name has to be"),
        (entry(published="soon"), r"entry 1 \(n\): published 'soon' is no date"),
        (entry(published="2019-02-30"), r"entry 1 \(n\): published '2019-02-30' is no date"),
        (entry(sha256="[]"), r"entry 1 \(n\): sha256 has to be a list"),
        (entry(sha256="[abc]"), r"entry 1 \(n\): sha256 'abc' is not 64"),
        (entry(sha256=f"[{A}, {A.upper()}]"), r"entry 1 \(n\): sha256 names a digest twice"),
        (entry(sha256=f"[[{A}]]"), r"entry 1 \(n\): sha256 .* is not 64"),
        (entry(file="a.pem"), r"entry 1 \(n\): file belongs to authority and bitcoin"),
        (entry(kind="authority"), r"entry 1 \(n\): file is missing"),
        (entry(kind="authority", file="/etc/a.pem"), r"entry 1 \(n\): file '/etc/a.pem' has to be relative"),
        (entry(kind="bitcoin", file="s3://x/a"), r"entry 1 \(n\): file 's3://x/a' has to be relative"),
        (entry(kind="authority", file="a.pem", sha256=f"[{A}, {B}]"), r"entry 1 \(n\): sha256 of kind authority is one digest"),
        (entry() + entry().removeprefix(b"witnesses:"), r"entry 2: name 'n' is also that of entry 1"),
        (entry() + entry(name="m").removeprefix(b"witnesses:"), r"entry 2 \(m\): sha256 a+ is also that of n"),
        (b"[" * 100_000, "not YAML"),
    ],
)
def test_anything_else_is_an_error_that_names_the_entry_and_the_key(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(data)
