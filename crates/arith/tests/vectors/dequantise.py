"""Writes dequantise.json: random blocks of every weight type and what the `gguf` package makes of them.

    pip install gguf==0.19.0 && python dequantise.py
"""

import json
import random

import numpy as np
from gguf import GGMLQuantizationType, dequantize
from gguf.constants import GGML_QUANT_SIZES

random.seed(20261125)
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def finite(exponent_bits, mantissa_bits):
    exponent = random.randrange((1 << exponent_bits) - 1)
    sign = random.randrange(2)
    return (sign << exponent_bits | exponent) << mantissa_bits | random.randrange(1 << mantissa_bits)


rows = []
for name in ["F32", "F16", "BF16", *SCALES]:
    kind = GGMLQuantizationType[name]
    _, size = GGML_QUANT_SIZES[kind]
    for _ in range(2 if size > 100 else 6):
        block = bytearray(random.randbytes(size))
        if name == "F32":
            block[:] = finite(8, 23).to_bytes(4, "little")
        elif name == "BF16":
            block[:] = finite(8, 7).to_bytes(2, "little")
        for offset in SCALES.get(name, [0] if name == "F16" else []):
            block[offset : offset + 2] = finite(5, 10).to_bytes(2, "little")
        values = dequantize(np.frombuffer(bytes(block), dtype=np.uint8), kind).astype(np.float32)
        rows.append({"kind": name, "block": block.hex(), "values": values.tobytes().hex()})

with open("dequantise.json", "w", encoding="ascii") as out:
    out.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
