// Prints the SHA-256 of the tokens that llama.cpp gives for a text, as little-endian u32 numbers.
//
//     npm install node-llama-cpp@3.22.1
//     cargo run -p model --example mixed_text < tinyshakespeare.txt > mixed.txt
//     node llama_cpp_tokens.mjs mixed.txt MODEL.gguf ... [--tokens FILE]

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { getLlama } from "node-llama-cpp";

const [textFile, ...rest] = process.argv.slice(2);
const tokensAt = rest.indexOf("--tokens");
const models = tokensAt < 0 ? rest : rest.slice(0, tokensAt);
const text = readFileSync(textFile, "utf8");
const llama = await getLlama({ gpu: false, build: "never" });
for (const path of models) {
    const model = await llama.loadModel({ modelPath: path, vocabOnly: true });
    const tokens = Uint32Array.from(model.tokenize(text, false));
    const bytes = Buffer.from(tokens.buffer);
    console.log(path, tokens.length, createHash("sha256").update(bytes).digest("hex"));
    if (tokensAt >= 0) writeFileSync(rest[tokensAt + 1], bytes);
    await model.dispose();
}
process.exit(0);
