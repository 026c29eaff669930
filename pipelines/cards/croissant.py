"""`croissant.json` of a mix: its files, fields, provenance and known limits as Croissant 1.1 with the Responsible AI vocabulary.

The vocabulary is that of the Croissant Format Specification 1.1 and of Croissant RAI 1.0 (MLCommons), provenance is PROV-O's. Digests
are named by `nih:` URIs (RFC 6920, section 7). There is no date, creator or address in it: a mix does not know by whom and when it is published,
and the same input gives the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipelines.cards import words
from provenance import schema
from store import shards

PATH = "croissant.json"
CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]

_OWN = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format includes isArray "
    "isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source subField "
    "transform"
).split()
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _OWN},
}
"""The context of Croissant 1.1 as its reference library writes it, and the prefix of PROV-O."""

PARQUET = "application/x-parquet"
MEDIA_TYPES = {".parquet": PARQUET, ".json": "application/json", ".zst": "application/zstd", ".zstd": "application/zstd"}
OTHER_TYPE = "application/octet-stream"
PROOF = "proof/"

_TYPES: dict[pa.DataType, str] = {pa.string(): "sc:Text", pa.int32(): "sc:Integer", schema.TIME: "sc:DateTime"}


def written(body: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> bytes:
    """The file's bytes, from the manifest without its list of files and the entries (path, size, sha256) of the data files."""
    return (json.dumps(described(body, entries), ensure_ascii=False, indent=2) + "\n").encode()


def described(body: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The dataset as JSON-LD."""
    mix = body["config"]["mix"]
    form = shards.named(mix["format"])
    roots = {"": "default"} | ({shards.HUMAN: "human"} if mix["human_apart"] else {})
    readable = {root: name for root, name in roots.items() if (form.pattern(root) or "").endswith(".parquet")}
    files = sorted((entry for entry in entries if not entry["path"].startswith(PROOF)), key=lambda entry: entry["path"])
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": words.title(body),
        "description": " ".join([words.headline(body), *_promises(body)]),
        "license": {
            "@type": "sc:CreativeWork",
            "name": "unspecified: the texts are their authors', and what is crawled bears no one license",
        },
        "version": f"1.0.0+{body['job'][:16]}",
        "citeAs": _cited(body),
        "isLiveDataset": False,
        **_spoken(words.languages(body)),
        "keywords": list(words.TAGS),
        "distribution": [
            *(_file(entry) for entry in files),
            *(_file_set(form.pattern(root), name) for root, name in readable.items()),
        ],
        **({"recordSet": [_record_set(name, form.TOKENS, mix) for name in readable.values()]} if readable else {}),
        **provenance(body),
        **responsible(body),
    }


def named_digest(digest: str) -> str:
    """The `nih:` URI of a SHA-256 in hex, RFC 6920."""
    return f"nih:sha-256;{digest}"


def _promises(body: Mapping[str, Any]) -> list[str]:
    return [
        f"Rows tagged human are documents of snapshot {body['snapshot']['id']}, unchanged since they were frozen and dated before "
        f"{body['snapshot']['cutoff'][:10]} by the witnesses that README.md names; `lowbackground verify` proves both from these files. "
        "That a human wrote them is not proven, and what is said of all other rows is an estimate."
    ]


def _cited(body: Mapping[str, Any]) -> str:
    note = f"Job {body['job']}, snapshot {body['snapshot']['id']}"
    return f"@misc{{mix-{body['job'][:16]}, title = {{{words.title(body)}}}, note = {{{note}}}}}"


def _spoken(languages: Sequence[str]) -> dict[str, Any]:
    return {"inLanguage": list(languages)} if languages else {}


def _file(entry: Mapping[str, Any]) -> dict[str, Any]:
    suffix = entry["path"][entry["path"].rfind(".") :]
    return {
        "@type": "cr:FileObject",
        "@id": entry["path"],
        "name": entry["path"],
        "contentUrl": entry["path"],
        "contentSize": f"{entry['size']} B",
        "sha256": entry["sha256"],
        "encodingFormat": MEDIA_TYPES.get(suffix, OTHER_TYPE),
    }


def _file_set(pattern: str | None, name: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-shards",
        "name": f"{name}-shards",
        "description": "The shards, in the order of their names." if name == "default" else "The human side once more, by itself.",
        "includes": pattern,
        "encodingFormat": PARQUET,
    }


def _record_set(name: str, tokens: bool, mix: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of a set of shards: a field per column, as the schema describes it."""
    fields = [_field(name, field, mix) for field in (schema.PACKED if tokens else schema.SHARD)]
    said = "One row per chunk of a document." if not tokens else "One row per packed sequence; specials and padding are nobody's."
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": said, "field": fields}


def _field(record_set: str, field: pa.Field, mix: Mapping[str, Any]) -> dict[str, Any]:
    array = pa.types.is_list(field.type)
    kind = field.type.value_type if array else field.type
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{field.name}",
        "name": field.name,
        "description": schema.doc(field),
        "dataType": _TYPES[kind],
        **({"isArray": True, "arrayShape": str(mix["sequence_length"])} if array else {}),
        "source": {"fileSet": {"@id": f"{record_set}-shards"}, "extract": {"column": field.name}},
    }


def provenance(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the mix was made from and by what, in the terms of PROV-O."""
    frozen = {
        "@id": named_digest(body["snapshot"]["id"]),
        "@type": "prov:Entity",
        "prov:label": f"snapshot {body['snapshot']['id']}",
    }
    runs = [{"@id": named_digest(run), "@type": "prov:Entity", "prov:label": f"curated run {run}"} for run in body["runs"]]
    scores = [{"@id": named_digest(table["sha256"])} for table in body["scores"]]
    made = {
        "@type": "prov:Activity",
        "prov:label": "lowbackground mix",
        "prov:used": [*({"@id": source["@id"]} for source in (frozen, *runs)), *scores],
        "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "prov:label": "lowbackground"},
        "identifier": body["job"],
    }
    return {"prov:wasDerivedFrom": [frozen, *runs], "prov:wasGeneratedBy": made}


def responsible(body: Mapping[str, Any]) -> dict[str, Any]:
    """The Responsible AI fields, each from a number or a rule that the manifest holds."""
    mix, counts = body["config"]["mix"], body["counts"]
    machine = sum(counts["origins"].get(origin, {}).get("documents", 0) for origin in words.MACHINE)
    share = (body["stated"].get("machine_share") or {}).get("share")
    other = sum(counts["origins"].get(origin, {}).get("documents", 0) for origin in schema.ORIGINS if origin != "human")
    return {
        "rai:dataCollection": (
            f"Documents of a frozen snapshot, {_years(body)}, and documents of {words.counted(len(body['runs']), 'curated run')}, drawn by "
            f"`lowbackground mix` in the order of a seed ({mix['seed']}) so that the human share keeps a floor of {body['floor']} at every prefix "
            "of every shard."
        ),
        "rai:dataCollectionType": ["Web Scraping", "Secondary Data analysis"],
        "rai:dataPreprocessingProtocol": words.steps(body),
        "rai:dataAnnotationProtocol": (
            "Nobody annotated rows by hand. `human` follows from a proof that is checked against the snapshot's id; every other origin is a tag "
            "that detectors gave by thresholds set on human text."
        ),
        "rai:dataBiases": words.biases(body),
        "rai:dataLimitations": words.limits(body),
        "rai:dataUseCases": ["Training: language models, where a least share of text from before machine text is wanted."],
        "rai:personalSensitiveInformation": [
            "Texts stand as they were published: people named in them can be named here. Nothing was searched or removed for that reason."
        ],
        # What is neither tagged nor estimated to be machine text may still be: nothing is said then.
        **({"rai:hasSyntheticData": True} if machine or (other and share) else {}),
    }


def _years(body: Mapping[str, Any]) -> str:
    dated = [year for year in body["counts"]["years"] if year.isdigit()]
    cutoff = body["snapshot"]["cutoff"][:10]
    if not dated:
        return f"dated before {cutoff}"
    first, last = min(dated), max(dated)
    return f"captured {f'in {first}' if first == last else f'{first} to {last}'} and before {cutoff}"
