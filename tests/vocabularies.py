"""Real tokenizers for the tests, trained here on a few texts by the `tokenizers` library."""

import functools
from pathlib import Path
from typing import Any

from pipelines import tokenizer

TEXTS = [
    "The harbour was quiet, and letters from a quiet year lay in the cellar of the house.",
    "Der Hafen war still; naïve café 東京 летом, water and stone, 1234 5678.",
    "stone water harbour bread the of and with letters from a quiet year " * 8,
]


def byte_level() -> Any:
    """Byte-level BPE, which gives every text back. Its end of text is a special token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<|endoftext|>", "<|pad|>"], initial_alphabet=sorted(alphabet), show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return made


def word_pieces() -> Any:
    """Lower-casing WordPiece, which gives few texts back. Text in brackets is split, so that it is no special token."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False))
    return made


def unigram() -> Any:
    """Unigram over Metaspace, whose vocabulary knows the names of its special tokens as pieces of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁stone", -3.0), ("▁water", -3.0)]
    pieces += [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz</>"]
    made = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return made


DECLARED = {
    "byte_level": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|pad|>"},
    "word_pieces": {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"},
    "unigram": {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
}
"""What the configuration of each declares."""


def folder(name: str, into: Path) -> str:
    """The tokenizer of a name as a folder of transformers."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=globals()[name](), **DECLARED[name]).save_pretrained(into)
    return str(into)


@functools.cache
def packed(name: str) -> bytes:
    """What of the tokenizer of a name travels with a mix."""
    import tempfile

    with tempfile.TemporaryDirectory() as into:
        return tokenizer.load(folder(name, Path(into)), packing=True)
