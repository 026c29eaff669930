"""The header of a card and the distribution of a Croissant file: what a loader would read in them, and nothing else, passes."""

import json

import pytest

from store import shards
from store.verify_card import check_card, check_croissant
from tests import forge_mix

PARQUET = shards.named("parquet")
CONFIGS = "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*.parquet\n"
HUMAN = "- config_name: human\n  data_files:\n  - split: train\n    path: human/data/train-*.parquet\n"


def card(header: str, body: str = "# A mix\n") -> bytes:
    return f"---\n{header}---\n\n{body}".encode()


@pytest.mark.parametrize(
    "header",
    [
        CONFIGS,
        "license: other\n" + CONFIGS,
        CONFIGS + "tags:\n- floor\n- 'no'\nlanguage: [en, 'no']\n",
        CONFIGS + "# a comment\npretty_name: a name — with accents é\n",
        json.dumps({"configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}]})
        + "\n",
    ],
    ids=["configs", "license", "lists", "words", "json"],
)
def test_a_header_that_names_the_shards_passes(header):
    check_card(card(header), PARQUET, False)
    check_card(card(header, "---\nconfigs: elsewhere\n---\n"), PARQUET, False)


@pytest.mark.parametrize("format_", sorted(shards.formats()))
@pytest.mark.parametrize("apart", [False, True])
def test_every_format_has_its_own_configs(format_, apart):
    form = shards.named(format_)
    made = forge_mix.card(form, apart)
    check_card(made, form, apart)
    if form.pattern():
        with pytest.raises(ValueError, match="configs"):
            check_card(made, form, not apart)


WRONG = {
    "no header": (b"# A mix\n", "does not begin"),
    "byte order mark": (b"\xef\xbb\xbf" + card(CONFIGS), "does not begin"),
    "space before": (b"\n" + card(CONFIGS), "does not begin"),
    "no end": (f"---\n{CONFIGS}".encode(), "does not begin"),
    "carriage returns": (card(CONFIGS).replace(b"\n", b"\r\n"), "does not begin"),
    "a carriage return": (card(CONFIGS + "pretty_name: a\r---\rx\n"), "might see another end"),
    "next line": (card(CONFIGS + "pretty_name: a\x85b\n"), "might see another end"),
    "line separator": (card(CONFIGS + "pretty_name: a\u2028b\n"), "might see another end"),
    "tab": (card(CONFIGS + "pretty_name:\tx\n"), "might see another end"),
    "null byte": (card(CONFIGS + "pretty_name: \x00\n"), "might see another end"),
    "not UTF-8": (card(CONFIGS).replace(b"default", b"\xff\xfe"), "decode"),
    "long": (card(CONFIGS + "#" * 70_000 + "\n"), "does not begin"),
    "empty": (card(""), "no keys|does not begin"),
    "a list": (card("- configs\n"), "no keys"),
    "a text": (card("configs\n"), "no keys"),
    "no configs": (card("license: other\n"), "configs"),
    "null configs": (card("configs:\n"), "configs"),
    "other path": (card(CONFIGS.replace("data/train-*", "d*/*")), "configs"),
    "two paths": (card(CONFIGS.replace("path: data/train-*.parquet", "path: [data/train-*.parquet, x.parquet]")), "configs"),
    "second split": (card(CONFIGS + "  - split: test\n    path: x.parquet\n"), "configs"),
    "second config": (card(CONFIGS + "- config_name: more\n  data_files: x.parquet\n"), "configs"),
    "human unasked": (card(CONFIGS + HUMAN), "configs"),
    "default flag": (card(CONFIGS.replace("default\n", "default\n  default: true\n", 1)), "configs"),
    "data dir": (card(CONFIGS.replace("default\n", "default\n  data_dir: x\n", 1)), "configs"),
    "dataset_info": (card(CONFIGS + "dataset_info:\n  features: []\n"), "dataset_info"),
    "viewer": (card(CONFIGS + "viewer: false\n"), "viewer"),
    "extra gated": (card(CONFIGS + "extra_gated_prompt: x\n"), "extra_gated"),
    "key twice": (card(CONFIGS + CONFIGS), "twice"),
    "inner key twice": (card(CONFIGS.replace("split: train", "split: train\n    split: test")), "twice"),
    "number as a key": (card(CONFIGS + "1: x\n"), "no text"),
    "null as a key": (card(CONFIGS + "~: x\n"), "no text"),
    "list as a key": (card(CONFIGS + "? [a, b]\n: x\n"), "no text"),
    "anchor": (card(CONFIGS + "tags: &a [x]\n"), "anchor"),
    "alias": (card(CONFIGS + "tags: &a [x]\nlanguage: *a\n"), "anchor"),
    "merge": (card(CONFIGS + "<<: {license: other}\n"), "no text|tag"),
    "tag": (card(CONFIGS + "license: !!str other\n"), "tag"),
    "python tag": (card(CONFIGS + "license: !!python/object/apply:os.system [ls]\n"), "tag|YAML"),
    "second document": (card(CONFIGS + "--- {license: other}\n"), "YAML|mark of a document"),
    "marked document": (card("--- \n" + CONFIGS), "YAML|mark of a document"),
    "ended document": (card(CONFIGS + "...\n"), "mark of a document"),
    "directive": (card("%YAML 1.1\n--- \n" + CONFIGS), "YAML|mark of a document"),
    "number": (card(CONFIGS + "license: 1\n"), "neither a text"),
    "mapping": (card(CONFIGS + "tags: {a: b}\n"), "neither a text"),
    "deep lists": (card("tags: " + "[" * 60_000 + "\n"), "inside each other"),
    "deep items": (card("tags:\n" + "- " * 30_000 + "x\n"), "inside each other"),
    "deep mappings": (card("tags: " + "{a: " * 15_000 + "\n"), "inside each other"),
    "deep keys": (card("? " * 30_000 + "x\n"), "inside each other"),
    "broken": (card(CONFIGS + "tags: [\n"), "YAML"),
    "empty scalar": (card(CONFIGS + "license:\n"), "neither a text"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_header_that_a_loader_could_follow_elsewhere_is_refused(name):
    data, why = WRONG[name]
    with pytest.raises(ValueError, match=why):
        check_card(data, PARQUET, False)


FILES = {"data/a.parquet": ("a" * 64, 1), "data/b.parquet": ("b" * 64, 2)}


def entry(path: str, digest: str, size: int, **more):
    return {"@type": "cr:FileObject", "contentUrl": path, "sha256": digest, "contentSize": f"{size} B", **more}


ENTRIES = [entry(path, *of) for path, of in FILES.items()]
SET = {"@type": "cr:FileSet", "@id": "default", "includes": "data/train-*.parquet"}


@pytest.mark.parametrize("more", [{}, {"name": "x", "recordSet": [{"field": []}], "@context": {"contentUrl": "sc:contentUrl"}}])
def test_a_distribution_of_exactly_the_files_passes(more):
    check_croissant(json.dumps({"distribution": [*reversed(ENTRIES), SET], **more}).encode(), FILES)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"distribution": {}},
        {"distribution": ENTRIES[:1]},
        {"distribution": [*ENTRIES, ENTRIES[0]]},
        {"distribution": [*ENTRIES, entry("data/c.parquet", "c" * 64, 3)]},
        {"distribution": [ENTRIES[0], entry("data/b.parquet", "c" * 64, 2)]},
        {"distribution": [ENTRIES[0], entry("data/b.parquet", "b" * 64, 3)]},
        {"distribution": [ENTRIES[0], entry("https://elsewhere.example/data/b.parquet", "b" * 64, 2)]},
        {"distribution": [ENTRIES[0], entry(["data/b.parquet"], "b" * 64, 2)]},
        {"distribution": [*ENTRIES, "https://elsewhere.example"]},
        {"distribution": [*ENTRIES, {**SET, "contentUrl": "x"}]},
        {"distribution": [*ENTRIES, {**SET, "https://schema.org/contentUrl": "x"}]},
        {"distribution": ENTRIES, "recordSet": [{"source": {"sc:contentUrl": "x"}}]},
        {"distribution": ENTRIES, "sc:distribution": [SET]},
        {"distribution": ENTRIES, "@graph": []},
        {"distribution": ENTRIES, "isPartOf": {"@reverse": {"x": {}}}},
        {"distribution": ENTRIES, "@context": {"where": "sc:contentUrl"}},
        {"distribution": ENTRIES, "@context": {"files": "https://schema.org/distribution"}},
        {"distribution": ENTRIES, "@context": "https://elsewhere.example/context"},
        {"distribution": ENTRIES, "@context": [{}, "https://elsewhere.example/context"]},
        {"distribution": [{**ENTRIES[0], "@type": "http://mlcommons.org/croissant/FileObject"}, ENTRIES[0], ENTRIES[1]]},
    ],
)
def test_a_distribution_of_other_files_is_refused(body):
    with pytest.raises((ValueError, TypeError)):
        check_croissant(json.dumps(body).encode(), FILES)


def test_json_that_readers_take_differently_is_refused():
    for text in (
        '{"distribution": [], "distribution": []}',
        '{"distribution": [], "a": NaN}',
        '{"distribution": []} x',
        "\ufeff{}",
    ):
        with pytest.raises(ValueError):
            check_croissant(text.encode(), {})
