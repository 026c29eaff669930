"""Tokenizers by path and name: what travels of them, and that no text becomes a special token."""

import json

import numpy as np
import pytest

from pipelines import tokenizer
from pipelines.tokenizer import Tokenizer
from provenance.identity import canonical_json
from store.errors import UsageError
from tests import vocabularies

SPECIAL = ["<|endoftext|>", "<|pad|>", "</s>", "<pad>", "[CLS]", "[SEP]", "[PAD]", "a</s>b", "</s></s>", "water <|endoftext|>stone"]


@pytest.fixture(scope="module", params=vocabularies.DECLARED)
def named(request, tmp_path_factory):
    return request.param, vocabularies.folder(request.param, tmp_path_factory.mktemp(request.param))


def test_what_travels_names_the_special_tokens_and_cuts_nothing(named):
    name, folder = named
    data = tokenizer.load(folder, packing=True)
    stated = json.loads(data)
    inner = json.loads(stated["tokenizer"])
    ids = {token["content"]: token["id"] for token in inner["added_tokens"]}
    wanted = {
        "byte_level": ("<|endoftext|>", "<|endoftext|>", "<|pad|>"),
        "word_pieces": ("[CLS]", "[CLS]", "[PAD]"),
        "unigram": ("</s>", "</s>", "<pad>"),
    }[name]
    assert [stated[kind] for kind in ("boundary", "end", "pad")] == [ids[token] for token in wanted]
    assert stated["specials"] == sorted(id_ for token, id_ in ids.items() if token not in ("[UNK]", "<unk>"))
    assert inner["truncation"] is inner["padding"] is None
    assert canonical_json(stated) == data == tokenizer.load(folder)


def test_a_file_that_merges_by_chance_is_read_without(tmp_path):
    made = json.loads(vocabularies.byte_level().to_str())
    assert made["model"]["type"] == "BPE"
    made["model"]["dropout"] = 0.5
    (tmp_path / "tokenizer.json").write_text(json.dumps(made))
    stated = json.loads(tokenizer.load(str(tmp_path / "tokenizer.json")))
    assert json.loads(stated["tokenizer"])["model"]["dropout"] is None


def test_a_file_that_cuts_and_pads_is_read_without(tmp_path):
    made = vocabularies.byte_level()
    made.enable_truncation(4)
    made.enable_padding(length=9)
    made.save(str(tmp_path / "tokenizer.json"))
    found = Tokenizer(tokenizer.load(str(tmp_path / "tokenizer.json")))
    text = "harbour stone 東京 " * 9
    assert found.count([text])[0] > 9
    assert found.decode(next(iter(found.encode([text])))) == text


@pytest.mark.parametrize("text", SPECIAL)
def test_no_text_becomes_a_special_token(named, text):
    made = Tokenizer(tokenizer.load(named[1]))
    specials = json.loads(tokenizer.load(named[1]))["specials"]
    (ids,) = made.encode([text])
    assert not np.isin(ids, specials).any()
    assert made.count([text]) == [len(ids)]
    if named[0] == "byte_level":
        assert made.decode(ids) == text and len(ids) > 0


def test_what_a_vocabulary_knows_of_special_names_is_left_out():
    """The Unigram vocabulary alone has a piece for its end of text, and no other way to write it as short."""
    made = Tokenizer(vocabularies.packed("unigram"))
    assert [ids.tolist() for ids in made.encode(["stone</s>", "stone"])] == [[4], [4]]


def test_counts_are_those_of_transformers(named):
    from transformers import AutoTokenizer

    texts = [*vocabularies.TEXTS, "", " ", "\n\n", "😀 naïve"]
    wanted = AutoTokenizer.from_pretrained(named[1])(texts, add_special_tokens=False)["input_ids"]
    made = Tokenizer(tokenizer.load(named[1]))
    assert [ids.tolist() for ids in made.encode(texts)] == wanted
    assert made.count(texts) == [len(ids) for ids in wanted]


def test_a_file_alone_declares_no_boundary(tmp_path):
    path = tmp_path / "some.json"
    vocabularies.byte_level().save(str(path))
    stated = json.loads(tokenizer.load(str(path)))
    assert (stated["boundary"], stated["end"], stated["pad"], stated["specials"]) == (None, None, None, [0, 1])
    with pytest.raises(UsageError, match=r"declares no bos, eos, cls or sep.*tokenizer_config\.json"):
        tokenizer.load(str(path), packing=True)


def test_a_folder_with_a_tokenizer_json_alone_is_that_file(tmp_path):
    path = tmp_path / "tokenizer.json"
    vocabularies.byte_level().save(str(path))
    assert tokenizer.load(str(tmp_path)) == tokenizer.load(str(path))


def test_a_token_that_only_the_configuration_calls_special_is_found_in_no_text(tmp_path):
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    made = vocabularies.byte_level()
    made.add_tokens([AddedToken("<turn>", special=False), AddedToken("<tool>", special=False)])
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<turn>").save_pretrained(tmp_path)
    data = tokenizer.load(str(tmp_path))
    stated, found = json.loads(data), Tokenizer(data)
    assert stated["boundary"] == stated["end"] == stated["pad"] == made.token_to_id("<turn>")
    turn, tool = found.encode(["<turn>", "<tool>"])
    assert found.boundary not in turn and found.decode(turn) == "<turn>"
    assert tool.tolist() == [made.token_to_id("<tool>")]  # no special token: a word of this vocabulary


def test_padding_by_the_unknown_token_is_padding_by_the_end(tmp_path):
    from transformers import PreTrainedTokenizerFast

    made = vocabularies.unigram()
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", pad_token="<unk>", unk_token="<unk>").save_pretrained(tmp_path)
    stated = json.loads(tokenizer.load(str(tmp_path)))
    assert stated["pad"] == stated["end"] == 1 and 2 not in stated["specials"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.json", "cannot be read"),
        ("folder/missing.json", "cannot be read"),
        ("{folder}/broken.json", "is no tokenizer.json"),
        ("{folder}/binary.json", "cannot be read"),
        ("{folder}", "none that transformers can load"),
        ("nobody/has-this-tokenizer", "the hub did not give it"),
        ("no-such-folder", "the hub did not give it"),
    ],
)
def test_what_is_no_tokenizer_is_said(tmp_path, monkeypatch, name, said):
    import huggingface_hub

    def refused(*_arguments, **_options):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    (tmp_path / "broken.json").write_text("{}")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=said) as error:
        tokenizer.load(name.format(folder=tmp_path))
    assert "Name a tokenizer.json, a folder" in str(error.value)


def test_a_tokenizer_without_a_file_of_its_own_is_refused(tmp_path):
    from transformers import ByT5Tokenizer

    ByT5Tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="no backend of the tokenizers library"):
        tokenizer.load(str(tmp_path))


def test_a_tokenizer_of_a_class_of_transformers_is_that_class(tmp_path):
    from transformers import GPT2Tokenizer

    model = json.loads(vocabularies.byte_level().to_str())["model"]
    GPT2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]]).save_pretrained(tmp_path)
    data = tokenizer.load(str(tmp_path), packing=True)
    made, ours = Tokenizer(data), Tokenizer(vocabularies.packed("byte_level"))
    assert made.boundary == made.end == made.pad == ours.boundary
    for got, wanted in zip(made.encode(SPECIAL), ours.encode(SPECIAL), strict=True):
        assert got.tolist() == wanted.tolist()


def test_a_name_of_the_hub_is_taken_from_the_cache_before_the_network(tmp_path, monkeypatch):
    import huggingface_hub

    vocabularies.folder("byte_level", tmp_path)
    asked = []

    def cached(_name, local_files_only=False, **_options):
        asked.append(local_files_only)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert tokenizer.load("some/tokenizer") == tokenizer.load(str(tmp_path))
    assert asked == [True]


def test_a_name_whose_cache_has_no_tokenizer_is_fetched(tmp_path, monkeypatch):
    import huggingface_hub

    (tmp_path / "weights").mkdir()
    vocabularies.folder("byte_level", tmp_path / "fetched")
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda _name, local_files_only=False, **_: str(tmp_path / ("weights" if local_files_only else "fetched")),
    )
    assert tokenizer.load("some/tokenizer") == tokenizer.load(str(tmp_path / "fetched"))
