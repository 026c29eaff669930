"""Counts tokens with a named tokenizer, for floors and budgets in tokens."""

from store.errors import UsageError


class Tokenizer:
    """Counts tokens as `transformers` does with this tokenizer.json, without special tokens."""

    def __init__(self, data: bytes):
        import tokenizers
        from transformers import PreTrainedTokenizerFast

        try:
            made = tokenizers.Tokenizer.from_str(data.decode())
        except Exception as error:  # the library raises bare exceptions; SystemExit and KeyboardInterrupt pass
            raise UsageError(
                f"mix.tokenizer is no tokenizer.json ({error}); tokens could not be counted. Name such a file."
            ) from error
        self._tokenizer = PreTrainedTokenizerFast(tokenizer_object=made)

    def count(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        encoded = self._tokenizer(texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False)
        return [len(ids) for ids in encoded["input_ids"]]
