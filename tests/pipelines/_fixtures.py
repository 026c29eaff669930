"""Small runs, snapshots and mixes, written straight from the schemas: realistic in shape, made up in content."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from provenance import schema
from provenance.identity import content_id
from store import manifest, tables
from tests import mixes

HOSTILE = (
    "</script></style><img src=x onerror=alert(1)><script>alert(document.cookie)</script> &amp; \"quoted\" 'single' \u202e reversed"
)
CUTOFF = datetime(2022, 1, 1, tzinfo=UTC)

WORDS = {
    "en": "the harbour was quiet when ferries returned and people walked home along a wet stone road talking about weather bread work".split(),
    "de": "der Hafen war still als die Boote kamen und Leute gingen nach Hause über eine nasse Straße mit Brot und Arbeit".split(),
    "fr": "le port était calme quand les bateaux sont revenus et les gens marchaient vers la maison sur une route mouillée".split(),
    "es": "el puerto estaba tranquilo cuando los barcos volvieron y la gente caminaba a casa por un camino mojado".split(),
    "ar": "كان الميناء هادئا عندما عادت القوارب ومشى الناس إلى بيوتهم على طريق حجري مبلل يتحدثون عن الطقس".split(),
    "ja": "港は静かで 船が戻ると 人々は家に向かって 濡れた石の道を 歩きながら 天気や仕事の話をした".split(),
}
LANGUAGES = ("en", "en", "en", "en", "de", "de", "fr", "es", "ar", "ja")
HOSTS = (
    "www.harbour-chronicle.example",
    "blog.stonebridge.example",
    "docs.ferryline.example",
    "forum.kleinstadt-archiv.example",
    "a-really-quite-unreasonably-long-subdomain-name.content-network.example",
    "notizen.example",
    "m.example",
)


def number(*parts: object) -> int:
    """A number that looks random and is always the same for the same parts."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8], "big")


def hexname(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]


def prose(language: str, seed: str, words: int) -> str:
    bag = WORDS[language]
    chosen = [bag[number(seed, i) % len(bag)] for i in range(words)]
    return "\n\n".join(" ".join(chosen[i : i + 45]).capitalize() + "." for i in range(0, words, 45))


def document(name: str, i: int, start: datetime, days: int) -> dict[str, Any]:
    language = LANGUAGES[number(name, "language", i) % len(LANGUAGES)]
    text = prose(language, f"{name}{i}", 60 + number(name, "length", i) % 180)
    date = start + timedelta(days=int(number(name, "date", i) % days), hours=i % 24)
    host = HOSTS[min(number(name, "host", i) % 11, len(HOSTS) - 1)]
    return {
        "key": hexname(name, i),
        "id": f"<urn:uuid:{hexname('id', name, i)}>",
        "content_id": content_id(text),
        "file_path": f"crawl/part-{i % 3}.warc.gz",
        "offset": i * 4096,
        "member_offset": 0,
        "record_type": "response",
        "url": f"https://{host}/{language}/page-{i}.html",
        "dump": None,
        "date": date,
        "date_end": date,
        "attestation": "captured",
        "payload_digest": hashlib.sha256(text.encode()).hexdigest(),
        "digest_check": "agrees",
        "charset": "utf-8",
        "language": language,
        "language_score": 0.97,
        "token_count": None,
        "word_count": len(text.split()),
        "byte_count": len(text.encode()),
        "metadata": "{}",
        "text": text,
    }


def settle(row: dict[str, Any], text: str) -> None:
    row.update(text=text, content_id=content_id(text), byte_count=len(text.encode()), word_count=len(text.split()))


def tag(row: dict[str, Any], origin: str, llr: float | None, **more: Any) -> dict[str, Any]:
    prior = -1.0
    return {
        "key": row["key"],
        "id": row["id"],
        "origin": origin,
        "log_likelihood_ratio": llr,
        "prior": prior,
        "p_machine": None if llr is None else 1 / (1 + 2.718281828459045 ** -(llr + prior)),
        "attestation": row["attestation"],
        "basis": [],
        "reason": "no evidence decides",
        "canonical": None,
        "rules": "r" * 64,
        "snapshot": None,
        **more,
    }


def evidence(row: dict[str, Any], signal: str, value: float, detail: str, llr: float | None) -> dict[str, Any]:
    return {"key": row["key"], "signal": signal, "version": "1", "value": value, "detail": detail, "log_likelihood_ratio": llr}


def match(key: str, other: str, similarity: float, scope: str, snapshot: str | None, duplicate: bool = True) -> dict[str, Any]:
    return {
        "key": key,
        "other": other,
        "similarity": similarity,
        "containment": similarity,
        "contained": similarity,
        "exact": True,
        "identical": similarity == 1.0,
        "scope": scope,
        "snapshot": snapshot,
        "duplicate": duplicate,
    }


def reject(name: str, i: int, stage: str, reason: str) -> dict[str, Any]:
    return {
        "key": hexname(name, "reject", i),
        "id": None,
        "file_path": f"crawl/part-{i % 3}.warc.gz",
        "offset": 10_000_000 + i,
        "member_offset": 0,
        "record_type": "response",
        "url": None,
        "stage": stage,
        "reason": reason,
        "detail": f"<b>{reason}</b> at {i}",
    }


REASONS = (
    [("http", "not-a-page")] * 9
    + [("read", "request")] * 7
    + [("read", "warcinfo")]
    + [("http", "status")] * 4
    + [("extract", "too short")] * 3
)


def sources(rows: list[dict[str, Any]], rejects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    paths = sorted({row["file_path"] for row in rows + rejects})
    out = []
    for path in paths:
        here, lost = (sum(row["file_path"] == path for row in group) for group in (rows, rejects))
        numbers = {"copy": 0, "size": 1_000_000, "records": here + lost, "boundaries": here + lost, "unaccounted": 0}
        out.append(
            {"file_path": path, "sha256": hexname(path) * 2, "format": "warc", **numbers, "documents": here, "rejects": lost}
        )
    return out


def parts(target: Path, dataset: str, rows: list[dict[str, Any]], kind: pa.Schema, count: int = 2) -> list[dict[str, Any]]:
    """Writes rows as `count` files; the manifest's lines."""
    step = -(-len(rows) // count) or 1
    cut = [rows[i * step : (i + 1) * step] for i in range(count)]
    return [
        tables.write(str(target), f"{dataset}/part-{i:05d}.parquet", pa.Table.from_pylist(piece, schema=kind), kind)
        for i, piece in enumerate(cut)
    ]


def verdict(
    row: dict[str, Any], i: int, reference: list[dict[str, Any]], snapshot: str
) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """Tag, evidence and matches of the i-th crawl document, of a kind that its number picks."""
    luck = number("kind", i) % 100
    late = (row["date"] - CUTOFF).days / 1200 if row["date"] else 0
    if luck < 22 and reference:
        other = reference[i % len(reference)]
        settle(row, other["text"])
        row["language"] = other["language"]
        seen = [evidence(row, "snapshot_match", 1.0, f"equals {other['key']} of the snapshot", None)]
        certain = {
            "attestation": other["attestation"],
            "basis": ["snapshot_match"],
            "canonical": other["key"],
            "snapshot": snapshot,
            "reason": "equals an eligible snapshot document",
        }
        return tag(row, "human", None, **certain), seen, [match(row["key"], other["key"], 1.0, "snapshot", snapshot)]
    if luck < 30 and reference:
        other = reference[i % len(reference)]
        similarity = 0.75 + (number("near", i) % 25) / 100
        near = {"canonical": other["key"], "reason": "a near copy of a snapshot document"}
        return tag(row, "unknown", -0.3, **near), [], [match(row["key"], other["key"], similarity, "snapshot", snapshot)]
    if luck < 30 + 35 * late:
        llr = 2.5 + (number("llr", i) % 300) / 100
        seen = [evidence(row, "combined", llr, "calibrated", llr)]
        if luck % 3 == 0:
            seen.append(evidence(row, "residue", 1.0, "As an AI language model, I cannot <b>", 6.0))
        return (
            tag(row, "machine_generated", llr, basis=[e["signal"] for e in seen], reason="evidence reaches the threshold"),
            seen,
            [],
        )
    if luck > 92:
        seen = [evidence(row, "translation_markup", 1.0, '<meta name="generator" content="GTranslate">', 4.0)]
        seen.append(evidence(row, "parallelism", 3.0, "in 3 languages by address", 0.3))
        return tag(row, "machine_translated", 4.0, basis=["translation_markup"], reason="machine-translation markup"), seen, []
    llr = -1.5 + (number("llr", i) % 200) / 100
    pairs = (
        [match(row["key"], hexname("pair", i), 0.4 + (number("c", i) % 30) / 100, "crawl", None, False)] if luck % 5 == 0 else []
    )
    return (
        tag(row, "unknown", llr),
        [evidence(row, "combined", llr, "calibrated", llr), evidence(row, "site", 0.2, "3 of 15 other pages", -0.2)],
        pairs,
    )


INELIGIBLE = {
    0: "fewer than 50 words",
    1: 'translation_markup: <meta name="generator" content="GTranslate">',
    2: "residue: As an AI language model, I cannot <b>",
    3: "disclosure: ai-generated meta tag",
    4: "boilerplate: on 20 or more hosts",
    5: "the capture looks false: capture_time: residue of 2023",
}
LIBRARY = "Example Library, catalogue of 2019"
INDEX = "cc-main-2019-35-index"
TRUSTED = {INDEX: {"kind": "index", "custodian": "Common Crawl", "published": "2019-09-10T00:00:00.000000Z", "sha256": ["b" * 64]}}


def reference_rows(documents: int = 240) -> list[dict[str, Any]]:
    rows = [document("frozen", i, datetime(2011, 3, 1, tzinfo=UTC), 3900) for i in range(documents)]
    for i, row in enumerate(rows):
        level = "declared" if i % 5 == 0 else "captured"
        why = INELIGIBLE.get(number("eligible", i) % 24)
        if level == "declared":
            row.update(date=None, date_end=None)
        row.update(
            attestation=level,
            witness=f"sha256:{hexname('archive', i % 3) * 2}" if level == "captured" else LIBRARY,
            eligible=why is None,
            ineligible_reason=why,
        )
    return sorted(rows, key=lambda row: row["key"])


def snapshot(target: Path, documents: int = 240, grown: bool = False) -> manifest.Opened:
    """A snapshot; where `grown`, its second version: an index is a further witness of 30 documents, and two were redacted."""
    rows = reference_rows(documents)
    rejects = [reject("frozen", i, "attest", "after the cutoff") for i in range(documents // 10)]
    extensions, gone, sourced = [[mixes.leaf(row) for row in rows]], {}, rows
    if grown:
        chosen = [row for row in rows if row["eligible"] and row["attestation"] == "captured"]
        better = {"attestation": "corroborated", "witness": INDEX}
        extensions.append([mixes.leaf(row | better, mixes.leaf(row).hash().hex()) for row in chosen[:30]])
        gone = {row["key"]: "erasure <b>" for row in chosen[40:42]}
        empty = dict.fromkeys(schema.SNAPSHOT_DOCUMENTS.names)
        why = {"eligible": False, "ineligible_reason": "redacted: erasure <b>", "byte_count": 0, "word_count": 0}
        rows = [empty | {name: row[name] for name in ("key", "attestation")} | why if row["key"] in gone else row for row in rows]
    listing = parts(target, "documents", rows, schema.SNAPSHOT_DOCUMENTS)
    listing += mixes.write_leaves(target, extensions, gone)
    listing += parts(target, "rejects", rejects, schema.REJECTS, 1)
    listing += parts(target, "sources", sources(sourced, rejects), schema.SOURCES, 1)
    readings = [evidence(row, "capture", 1.0, "captured before the cutoff", None) for row in rows if row["key"] not in gone]
    listing += parts(target, "evidence", readings, schema.EVIDENCE, 1)
    listing += parts(target, "tags", [tag(row, "human" if row["eligible"] else "unknown", None) for row in rows], schema.TAGS, 1)
    body = mixes.snapshot_body(listing, extensions, rows, declaration=LIBRARY, redacted={"leaves": len(gone), "removed": []})
    body["counts"] |= {"records": len(rows) + len(rejects), "rejects": len(rejects)}
    if grown:
        body["witnesses"] = TRUSTED
    return manifest.write_snapshot(str(target), body)


def crawl_rows(
    documents: int, reference: list[dict[str, Any]], snapshot_id: str
) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    rows = [document("crawl", i, datetime(2022, 2, 1, tzinfo=UTC), 1200) for i in range(documents)]
    tags, readings, pairs = [], [], []
    for i, row in enumerate(rows):
        if i == 3:
            row.update(date=None, date_end=None, url=None, language=None)
        tagged, seen, matched = verdict(row, i, reference, snapshot_id)
        tags.append(tagged)
        readings += seen
        pairs += matched
    for row, tagged in zip(rows, tags, strict=True):
        if tagged["origin"] == "machine_generated":
            settle(row, HOSTILE + "\n\n" + row["text"])
            row["url"] = 'javascript:alert(1)//" onclick="x'
            break
    return rows, tags, readings, pairs


def prevalence(rows: list[Any], tags: list[Any]) -> list[dict[str, Any]]:
    """Estimates as a run holds them, the same everywhere but in placebos; a month that is too small has none."""
    found = []
    groups: dict[tuple[str, str], list[str]] = {}
    for row, tagged in zip(rows, tags, strict=True):
        month = row["date"].strftime("%Y-%m") if row["date"] else "no date"
        for group in (
            ("all", "all documents"),
            ("month", month),
            ("language", row["language"] or "unknown"),
            ("host", "m.example"),
        ):
            groups.setdefault(group, []).append(tagged["origin"])
    groups |= {("placebo", "captured before 2020"): ["unknown"] * 40, ("month", "2019-12"): ["unknown"] * 40} if rows else {}
    groups |= {("file", HOSTILE): groups[("all", "all documents")]} if rows else {}
    for (dimension, value), origins in sorted(groups.items()):
        placebo, some = value < "2020" or dimension == "placebo", len(origins) >= 10
        shares = (0.004, 0.0, 0.02, 0.0, 0.03) if placebo else (0.21, 0.15, 0.28, 0.05, 0.6)
        names = ("share", "share_low", "share_high", "rogan_gladen_low", "rogan_gladen_high")
        found.append(
            {"dimension": dimension, "value": value, "documents": len(origins), "estimated": len(origins) - 1, "hosts": 7}
            | {origin: origins.count(origin) for origin in schema.ORIGINS}
            | dict(zip(names, shares if some else (None,) * 5, strict=True))
            | {"placebo": placebo, "covers_zero": placebo if some else None, "note": None if some else "too few documents"}
        )
    return found


def run(target: Path, documents: int = 420, against: manifest.Opened | None = None, name: str = "crawl") -> manifest.Opened:
    """A run; with no documents, a run over nothing: files without rows."""
    frozen = reference_rows() if against else []
    rows, tags, readings, pairs = crawl_rows(documents, [row for row in frozen if row["eligible"]], against.id if against else "")
    rejects = [reject(name, i, *REASONS[number("why", i) % len(REASONS)]) for i in range(documents * 2 // 3)]
    listing: list[dict[str, Any]] = []
    data = {
        "documents": rows,
        "rejects": rejects,
        "sources": sources(rows, rejects),
        "evidence": readings,
        "matches": pairs,
        "tags": tags,
        "prevalence": prevalence(rows, tags),
    }
    if documents:
        for dataset, content in data.items():
            listing += parts(target, dataset, content, schema.DATASETS[dataset])
    reasons: dict[str, int] = {}
    for row in rejects:
        reasons[f"{row['stage']}/{row['reason']}"] = reasons.get(f"{row['stage']}/{row['reason']}", 0) + 1
    origins = {origin: sum(row["origin"] == origin for row in tags) for origin in schema.ORIGINS}
    counts = {
        "records": len(rows) + len(rejects),
        "documents": len(rows),
        "rejects": len(rejects),
        "kept": sum(row["canonical"] is None for row in tags),
    }
    body = {
        "kind": "run",
        "config": {"match": {"similarity": 0.75}},
        "config_digest": "d" * 64,
        "snapshots": [{"id": against.id, "cutoff": against.manifest["cutoff"], "index_only": False}] if against else [],
        "files": manifest.sorted_files(listing),
        "counts": {**counts, "origins": origins, "rejects_by_reason": reasons},
    }
    return manifest.write(str(target), body)


def shard_rows(target: int, humans: list[dict[str, Any]], others: list[dict[str, Any]], honest: bool) -> list[dict[str, Any]]:
    """Rows of one shard with at least half of the bytes human at every row; a dishonest shard breaks it once, in the middle."""
    rows: list[dict[str, Any]] = []
    deficit = 0
    humans, others = humans[target::3], others[target::3]
    while humans:
        size = others[0]["byte_count"] if others else 0
        row = others.pop(0) if others and deficit - size >= 0 else humans.pop(0)
        deficit += row["byte_count"] if row["origin"] == "human" else -row["byte_count"]
        rows.append(row)
    if not honest:
        human = next(i for i, row in enumerate(rows) if i > len(rows) // 2 and row["origin"] == "human")
        big = {**rows[human], "text": rows[human]["text"] * 40, "byte_count": rows[human]["byte_count"] * 40, "url": HOSTILE}
        rows[human:human] = [{**big, "origin": "unknown", "key": "f" * 32}, {**big, "key": "e" * 32}]
    return rows


def survival(kept: list[dict[str, Any]], frozen: int) -> dict[str, dict[str, int]]:
    """What of each origin is left at each step into a mix."""
    none = dict.fromkeys(schema.ORIGINS, 0)
    there = {origin: sum(row["origin"] == origin for row in kept) for origin in schema.ORIGINS}
    fewer = {origin: number // 2 for origin, number in there.items()}
    steps = {
        "documents": {origin: 2 * number for origin, number in there.items()},
        "kept": there,
        "may_enter": there,
        "in_shards": fewer,
    }
    steps |= dict.fromkeys(("origin_not_allowed", "crawled_revoked", "equal_to_human", "equal_to_other"), none)
    offered = none | {"human": frozen}
    passed = {"passed": there | {"human": frozen}, "in_shards": fewer | {"human": frozen}}
    return steps | {"frozen": offered, "attested": offered} | passed


def mix(
    target: Path, frozen: manifest.Opened, curated: manifest.Opened, honest: bool = True, empty: bool = False
) -> manifest.Opened:
    """A mix at floor 1/2 by bytes, in three shards, with every human document twice at most."""
    reference = [] if empty else [row for row in reference_rows() if row["eligible"]]
    rows, tags, _, _ = crawl_rows(0 if empty else 420, reference, frozen.id)
    kept = [{**row, "origin": found["origin"]} for row, found in zip(rows, tags, strict=True) if found["canonical"] is None]
    humans = [{**row, "origin": "human", "epoch": 0} for row in reference] + [
        {**row, "origin": "human", "epoch": 1} for row in reference[:60]
    ]
    listing, written, realised = [], list[dict[str, Any]](), {"human": 0, "total": 0}
    for i in range(0 if empty else 3):
        chosen = shard_rows(i, humans, kept, honest or i != 1)
        for row in chosen:
            year = f"{row['date']:%Y}" if row["date"] else "none"
            row.update(chunk=0, chunks=1, epoch=row.get("epoch", 0), stratum=f"{row['origin']}/{row['language'] or 'none'}/{year}")
            written.append(row)
            realised["total"] += row["byte_count"]
            realised["human"] += row["byte_count"] * (row["origin"] == "human")
        table = pa.Table.from_pylist([{name: row[name] for name in schema.SHARD.names} for row in chosen], schema=schema.SHARD)
        listing.append(tables.write(str(target), f"data/train-{i:05d}-of-00003.parquet", table, schema.SHARD))
    body = {
        "kind": "mix",
        "config": {
            "mix": {"format": "parquet", "floor": "0.5", "units": ["bytes"], "max_epochs": 4, "strata": ["language", "year"]}
        },
        "config_digest": "m" * 64,
        "floor": "1/2",
        "units": ["bytes"],
        "snapshot": {"id": frozen.id, "cutoff": frozen.manifest["cutoff"]},
        "runs": [curated.id],
        "requested": {"floor": "1/2", "budget": None},
        "realised": {"bytes": realised},
        "files": manifest.sorted_files(listing),
        "shards": [{"path": entry["path"], "rows": entry["rows"]} for entry in listing],
        "counts": {"rows": sum(entry["rows"] for entry in listing), "strata": grouped(written)},
        "orders": orders(len(written), realised),
        "stated": {
            "plan": plan(realised),
            "strata": {label: stratum(of["documents"]) for label, of in grouped([*written, *kept]).items()},
            "filter": None,
            "clusters": {"clusters": 2, "documents": 5, "largest": 3, "left_out": 1},
            "coverage": None if empty else coverage(),
            "machine_share": machine_share(),
            "supply": {"declared": {"documents": 40, "bytes": 40_000}, "captured": {"documents": 157, "bytes": 157_000}},
            "crawled": {
                origin: {"documents": sum(row["origin"] == origin for row in kept), "bytes": 1} for origin in schema.ORIGINS[1:]
            },
            "kept_out": {"redacted": 2, "revoked": 0, "near_copies": 1},
            "survival": survival(kept, 0 if empty else 197),
            "purity": {
                "unit": "documents",
                "documents": 0 if empty else 197,
                "estimated": 0 if empty else 180,
                "before_2020": 0 if empty else 150,
                **dict.fromkeys(("share", "share_low", "rogan_gladen_low"), None if empty else 0.0),
                **dict.fromkeys(("share_high", "rogan_gladen_high"), None if empty else 0.012),
                "human_side": None if empty else "the mix's own documents of before 2020",
                "placebo": None,
                "note": None,
            },
            "estimated_against": ["9" * 64],
            "left_over": {"unknown": {"documents": 20, "bytes": 20_000}},
            "alternative": {
                "what": "the human side alone, repeated",
                "unit": "bytes",
                "unique": 197_000,
                "total": 533_000,
                "effective": 500_000,
            },
        },
    }
    return manifest.write(str(target), body)


def grouped(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Rows, documents and bytes by stratum."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        of = found.setdefault(row.get("stratum", f"{row['origin']}/none/none"), {"documents": 0, "rows": 0, "bytes": 0})
        for name, more in (("documents", 1), ("rows", 1), ("bytes", row["byte_count"])):
            of[name] += more
    return dict(sorted(found.items()))


def stratum(documents: int) -> dict[str, Any]:
    held = {"documents": documents, "bytes": 1000 * documents}
    return {"available": held, "passed": held, "target": 0.25, "chosen": held | {"epochs": 1.0}}


def orders(rows: int, realised: dict[str, int]) -> dict[str, Any]:
    """What is said of reading orders; the numbers are made up."""
    rank = {"whole_shards": False, **realised, "minimum_surplus": -3_000}
    worlds = dict.fromkeys(("2", "4", "8"), rank)
    return {"bytes": {"rows": rows, "longest_row": 9_000, "shuffle_buffer": 0, "strided": worlds, "contiguous": worlds}}


def plan(realised: dict[str, int]) -> dict[str, Any]:
    return {
        "unit": "bytes",
        "requested": {"floor": "1/2", "budget": None, "human": None},
        "reachable": {"human": realised["human"], "other": realised["total"], "total": realised["total"]},
        "effective": {"human": realised["human"], "other": realised["total"] - realised["human"], "law": "D'"},
        "alternatives": None,
    }


def coverage() -> dict[str, Any]:
    line = {"types": 1000, "kept": 700, "share": 0.7, "expected": 0.65}
    return {
        "documents": {"before": 200, "after": 190},
        "frequencies": {str(number): line for number in range(1, 6)},
        "all": line,
        "types": {"before": 9000, "kept": 8000},
        "expectation": "the hypergeometric law",
    }


def machine_share() -> dict[str, Any]:
    side = {"units": 5, "share": 0.1, "share_low": 0.05, "share_high": 0.2}
    ends = {"share": 0.1, "share_low": 0.05, "share_high": 0.2}
    return {"unit": "bytes", "level": 0.95, **ends, "note": None, "human_side": side, "other": side}
