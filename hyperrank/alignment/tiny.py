"""A language model made on the spot, without a download: for tests, examples and trying things out."""

from __future__ import annotations

from typing import Any

import torch

from hyperrank._checks import import_extra


def tiny_model(*, random_state: int = 0) -> tuple[Any, Any]:
    r"""A random Llama of two layers over bytes, and its tokenizer.

    Parameters
    ----------
    random_state : int, default 0
        Of its parameters.

    Returns
    -------
    model : LlamaForCausalLM
    tokenizer : PreTrainedTokenizerFast
        A token per byte of UTF-8, 256 for the beginning and 257 for the end of a text.

    Examples
    --------
    >>> model, tokenizer = tiny_model()
    >>> tokenizer("\u00e9!").input_ids
    [256, 195, 169, 33]
    """
    tokenizers, transformers = import_extra("tokenizers", "llm"), import_extra("transformers", "llm")
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"vocab_size": 258, "num_key_value_heads": 2, "max_position_embeddings": 512}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        config = transformers.LlamaConfig(**sizes, bos_token_id=256, eos_token_id=257)
        model = transformers.LlamaForCausalLM(config).eval()
    # Byte-level models spell bytes that cannot be printed as other characters.
    spelling = import_extra("transformers.convert_slow_tokenizer", "llm").bytes_to_unicode()
    vocabulary = {character: byte for byte, character in spelling.items()} | {"<s>": 256, "</s>": 257}
    core = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    core.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 256)]
    )
    special = {"bos_token": "<s>", "eos_token": "</s>", "model_input_names": ["input_ids", "attention_mask"]}
    return model, transformers.PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=512, **special)
