#!/usr/bin/env python3
"""Measures llama.cpp the way the benchmarks measure Candor; prints one JSON object.

    peer.py LIBRARIES system
    peer.py LIBRARIES speed MODEL [--threads N] [--prompt 512] [--context 64] [--generate 128] [--repeat 3]
    peer.py LIBRARIES batch MODEL [--threads N] [--sequences 8] [--context 64] [--generate 64]
    peer.py LIBRARIES load MODEL [--repeat 3]
    peer.py LIBRARIES greedy MODEL [--threads N] [--generate 128] < JSON list of prompts, each a list of token ids
    peer.py LIBRARIES perplexity MODEL [--threads N] < JSON list of windows, each a list of token ids
    peer.py LIBRARIES tokens MODEL < text
    peer.py LIBRARIES quantise SOURCE TARGET q8_0|q4_k_m

LIBRARIES is the folder of shared objects in the npm package @node-llama-cpp/linux-x64. `speed` and `batch` run the
forward pass alone, without a sampler, on fixed pseudo-random tokens: the best case for llama.cpp.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

from binding import Q4_K_M, Q8_0, Context, Library, Model


def pseudo_random_tokens(count: int, vocab_size: int) -> list[int]:
    """The same tokens on every run, from a multiplicative congruential generator."""
    state, tokens = 20251125, []
    for _ in range(count):
        state = state * 48271 % 2147483647
        tokens.append(state % vocab_size)
    return tokens


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def speed(library: Library, options) -> dict:
    model = Model(library, options.model)
    tokens = pseudo_random_tokens(max(options.prompt, options.context + options.generate), model.vocab_size)
    context = Context(model, max(options.prompt, options.context + options.generate), options.threads)
    context.prefill(tokens[:16])
    prefill, decode = [], []
    for _ in range(options.repeat):
        context.clear()
        prefill.append(options.prompt / seconds(lambda: context.prefill(tokens[: options.prompt])))
        context.clear()
        context.prefill(tokens[: options.context])

        def generate():
            for position in range(options.context, options.context + options.generate):
                context.decode([(tokens[position], position, 0, True)])

        decode.append(options.generate / seconds(generate))
    return {
        "threads": options.threads,
        "prompt": options.prompt,
        "context": options.context,
        "generate": options.generate,
        "prefill_tokens_per_second": prefill,
        "decode_tokens_per_second": decode,
    }


def batch(library: Library, options) -> dict:
    model = Model(library, options.model)
    length = options.context + options.generate
    tokens = pseudo_random_tokens(length + options.sequences, model.vocab_size)
    rates = {}
    for sequences in (1, options.sequences):
        context = Context(model, length, options.threads, sequences)
        for sequence in range(sequences):
            context.prefill(tokens[sequence : sequence + options.context], sequence)

        def generate():
            for i in range(options.context, length):
                context.decode([(tokens[sequence + i], i, sequence, True) for sequence in range(sequences)])

        rates[sequences] = sequences * options.generate / seconds(generate)
        context.close()
    return {"threads": options.threads, "tokens_per_second": rates}


def load(library: Library, options) -> dict:
    """Seconds to open the model and make a context. Pages that the file cache holds are cheap here as for Candor."""

    def once():
        Context(Model(library, options.model), options.context, options.threads).close()

    return {"load_seconds": [seconds(once) for _ in range(options.repeat)]}


def greedy(library: Library, options) -> dict:
    model = Model(library, options.model)
    sampler = library.llama.llama_sampler_init_greedy()
    prompts = json.load(sys.stdin)
    context = Context(model, max(map(len, prompts)) + options.generate, options.threads)
    answers = []
    for prompt in prompts:
        context.clear()
        context.prefill(prompt)
        text, output = b"", []
        for position in range(len(prompt), len(prompt) + options.generate):
            token = library.llama.llama_sampler_sample(sampler, context.handle, -1)
            output.append(token)
            if library.llama.llama_vocab_is_eog(model.vocab, token):
                break
            text += model.piece(token)
            context.decode([(token, position, 0, True)])
        answers.append({"output": output, "text": text.decode("utf-8", "replace")})
    library.llama.llama_sampler_free(sampler)
    return {"answers": answers}


def negative_log_likelihood(logits, vocab_size: int, target: int) -> float:
    row = logits[:vocab_size]
    highest = max(row)
    return highest + math.log(math.fsum(math.exp(x - highest) for x in row)) - row[target]


def perplexity(library: Library, options) -> dict:
    """Over the second half of each window, its first token excepted, as llama.cpp's own tool scores."""
    model = Model(library, options.model)
    windows = json.load(sys.stdin)
    context = Context(model, max(map(len, windows)), options.threads)
    total, count = 0.0, 0
    for window in windows:
        first = len(window) // 2
        context.clear()
        context.decode([(token, i, 0, i >= first) for i, token in enumerate(window)])
        for i in range(first, len(window) - 1):
            total += negative_log_likelihood(context.logits(i), model.vocab_size, window[i + 1])
            count += 1
    return {"scored": count, "perplexity": math.exp(total / count)}


ACTIONS = {"speed": speed, "batch": batch, "load": load, "greedy": greedy, "perplexity": perplexity}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", type=Path)
    parser.add_argument("action", choices=["system", "tokens", "quantise", *ACTIONS])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("target", type=Path, nargs="?")
    parser.add_argument("type", choices=["q8_0", "q4_k_m"], nargs="?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sequences", type=int, default=8)
    options = parser.parse_args()

    library = Library(options.libraries)
    if options.action == "system":
        result = {}
    elif options.action == "quantise":
        library.quantise(options.model, options.target, {"q8_0": Q8_0, "q4_k_m": Q4_K_M}[options.type])
        result = {"written": options.target.name, "size_bytes": options.target.stat().st_size}
    elif options.action == "tokens":
        result = {"tokens": Model(library, options.model).tokenize(sys.stdin.buffer.read(), False, True)}
    else:
        result = ACTIONS[options.action](library, options)
    print(json.dumps({"peer": "llama.cpp", **library.system(), **result}))


if __name__ == "__main__":
    main()
