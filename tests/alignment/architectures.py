"""Small random models of several families, of which each does something in its own way."""

import torch
import transformers

SIZES = {"vocab_size": 258, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA_LIKE = {**SIZES, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 128}

FAMILIES = {
    "llama": ("Llama", LLAMA_LIKE),
    "qwen2": ("Qwen2", LLAMA_LIKE),
    # Logits are capped after the head.
    "gemma2": ("Gemma2", {**LLAMA_LIKE, "head_dim": 8, "query_pre_attn_scalar": 8}),
    # Logits are divided by a number.
    "granite": ("Granite", {**LLAMA_LIKE, "logits_scaling": 8.0}),
    # Learned positions, and dropout in training.
    "gpt2": ("GPT2", {"vocab_size": 258, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}),
    # Learned positions that begin at 2, dropout as a function.
    "opt": ("OPT", {**SIZES, "ffn_dim": 48, "max_position_embeddings": 128, "word_embed_proj_dim": 32}),
    # Parallel residuals, positions of a part of each head.
    "gpt_neox": ("GPTNeoX", {**SIZES, "intermediate_size": 48, "max_position_embeddings": 128}),
    # No positions but a bias by distance.
    "bloom": ("Bloom", {"vocab_size": 258, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
}


#: Families whose eager attention makes NaN of float64 where a row is filled up, in transformers itself.
FLOAT32_ONLY = ("gemma2", "bloom")


def tiny_of(family: str, seed: int = 0):
    """A random model of a family, with parameters large enough that positions and padding matter."""
    kind, sizes = FAMILIES[family]
    config = getattr(transformers, f"{kind}Config")(
        **sizes, bos_token_id=256, eos_token_id=257, pad_token_id=0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config)
        for value in model.parameters():
            if value.ndim == 2:
                torch.nn.init.normal_(value, std=0.25)
    return model.eval()
