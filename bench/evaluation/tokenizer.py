#!/usr/bin/env python3
"""Writes the tokenizer of a GGUF file as a folder that lm-evaluation-harness reads.

    tokenizer.py MODEL.gguf FOLDER

The harness counts tokens on its own side. Where it can reach the Hugging Face hub it takes a model's tokenizer from
there; this serves where it cannot. Byte-level vocabularies with the pre-tokenisers below are understood.
"""

import argparse
import json
from pathlib import Path

from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
DIGITS = pre_tokenizers.Digits(individual_digits=True)
# By the names that GGUF files give them.
PRE_TOKENIZERS = {"gpt-2": WORDS, "smollm": pre_tokenizers.Sequence([DIGITS, WORDS])}
# Kinds of tokens that no text is cut into: unknown, control.
SPECIAL = {2, 3}


def read(path: Path) -> tuple[Tokenizer, dict[str, str]]:
    """The tokenizer, and what its start and end tokens are called."""
    fields = GGUFReader(path).fields
    values = {name.removeprefix("tokenizer.ggml."): field for name, field in fields.items()}
    pre = values["pre"].contents()
    if pre not in PRE_TOKENIZERS:
        raise SystemExit(f"{path} wants the pre-tokeniser {pre}; known are {', '.join(PRE_TOKENIZERS)}")
    tokens = values["tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in values["merges"].contents()]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[pre]
    tokenizer.decoder = decoders.ByteLevel()
    kinds = values["token_type"].contents()
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False) for token, kind in zip(tokens, kinds, strict=True) if kind in SPECIAL]
    )
    names = {f"{end}_token": tokens[values[f"{end}_token_id"].contents()] for end in ("bos", "eos")}
    return tokenizer, names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    tokenizer, names = read(arguments.model)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **names}
    (arguments.folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
