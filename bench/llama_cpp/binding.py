"""Calls llama.cpp's C interface in the shared objects that the npm package @node-llama-cpp/linux-x64 carries.

The interface passes structures by value, so a changed layout would read garbage without a word. The layouts here
belong to one release; `Library` compares the defaults that the library itself fills in with the values written here
and refuses to go on when they differ.
"""

import ctypes
from ctypes import POINTER, byref, c_bool, c_char_p, c_float, c_int8, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path

RELEASE = "v0.5.0"
Q8_0, Q4_K_M = 7, 15


class ModelParams(ctypes.Structure):
    _fields_ = [
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int32),
        ("load_mode", c_int32),
        ("lazy_mode", c_int32),
        ("main_gpu", c_int32),
        ("tensor_split", c_void_p),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        ("vocab_only", c_bool),
        ("check_tensors", c_bool),
        ("use_extra_bufts", c_bool),
        ("no_host", c_bool),
        ("no_alloc", c_bool),
        ("load_mtp", c_bool),
    ]


class ContextParams(ctypes.Structure):
    _fields_ = [
        ("n_ctx", c_uint32),
        ("n_batch", c_uint32),
        ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32),
        ("n_rs_seq", c_uint32),
        ("n_outputs_max", c_uint32),
        ("n_outputs_max_per_seq", c_uint32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("ctx_type", c_int32),
        ("rope_scaling_type", c_int32),
        ("pooling_type", c_int32),
        ("attention_type", c_int32),
        ("flash_attn_type", c_int32),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float),
        ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", c_uint32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32),
        ("type_v", c_int32),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        ("embeddings", c_bool),
        ("offload_kqv", c_bool),
        ("no_perf", c_bool),
        ("op_offload", c_bool),
        ("swa_full", c_bool),
        ("kv_unified", c_bool),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
    ]


class QuantizeParams(ctypes.Structure):
    _fields_ = [
        ("nthread", c_int32),
        ("ftype", c_int32),
        ("output_tensor_type", c_int32),
        ("token_embedding_type", c_int32),
        ("allow_requantize", c_bool),
        ("quantize_output_tensor", c_bool),
        ("only_copy", c_bool),
        ("pure", c_bool),
        ("keep_split", c_bool),
        ("dry_run", c_bool),
        ("imatrix", c_void_p),
        ("kv_overrides", c_void_p),
        ("tt_overrides", c_void_p),
        ("prune_layers", c_void_p),
        ("max_buf_size", c_size_t),
    ]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", c_int32),
        ("token", POINTER(c_int32)),
        ("embd", POINTER(c_float)),
        ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)),
        ("seq_id", POINTER(POINTER(c_int32))),
        ("logits", POINTER(c_int8)),
    ]


# What the release fills in by itself; one wrong offset and at least one of these reads differently.
MODEL_DEFAULTS = {"n_gpu_layers": -1, "split_mode": 1, "load_mode": -1, "use_extra_bufts": True, "load_mtp": False}
CONTEXT_DEFAULTS = {
    "n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "rope_scaling_type": -1, "flash_attn_type": -1,
    "yarn_ext_factor": -1.0, "defrag_thold": -1.0, "type_k": 1, "type_v": 1, "embeddings": False, "no_perf": True,
    "ctx_other": None,
}
QUANTIZE_DEFAULTS = {"nthread": 0, "ftype": Q8_0, "quantize_output_tensor": True, "max_buf_size": 8 << 30}

FUNCTIONS = {
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_quantize_default_params": (QuantizeParams, []),
    "llama_backend_init": (None, []),
    "llama_print_system_info": (c_char_p, []),
    "llama_model_load_from_file": (c_void_p, [c_char_p, ModelParams]),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_model_free": (None, [c_void_p]),
    "llama_init_from_model": (c_void_p, [c_void_p, ContextParams]),
    "llama_free": (None, [c_void_p]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_batch_init": (Batch, [c_int32, c_int32, c_int32]),
    "llama_batch_free": (None, [Batch]),
    "llama_decode": (c_int32, [c_void_p, Batch]),
    "llama_synchronize": (None, [c_void_p]),
    "llama_get_logits_ith": (POINTER(c_float), [c_void_p, c_int32]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    "llama_vocab_is_eog": (c_bool, [c_void_p, c_int32]),
    "llama_tokenize": (c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool]),
    "llama_token_to_piece": (c_int32, [c_void_p, c_int32, c_char_p, c_int32, c_int32, c_bool]),
    "llama_sampler_init_greedy": (c_void_p, []),
    "llama_sampler_sample": (c_int32, [c_void_p, c_void_p, c_int32]),
    "llama_sampler_free": (None, [c_void_p]),
    "llama_model_quantize": (c_uint32, [c_char_p, c_char_p, POINTER(QuantizeParams)]),
}


class Library:
    """The loaded shared objects, with the interface declared and its layout checked."""

    def __init__(self, folder: Path):
        folder = folder.resolve()
        base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        ggml = ctypes.CDLL(str(folder / f"libggml.{RELEASE}.so"), mode=ctypes.RTLD_GLOBAL)
        self.llama = ctypes.CDLL(str(folder / f"libllama.{RELEASE}.so"), mode=ctypes.RTLD_GLOBAL)
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(self.llama, name)
            function.restype, function.argtypes = result, arguments
        self._log = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)(lambda level, text, user: None)
        self.llama.llama_log_set(self._log, None)
        base.ggml_log_set(self._log, None)
        check_defaults(self.llama.llama_model_default_params(), MODEL_DEFAULTS)
        check_defaults(self.llama.llama_context_default_params(), CONTEXT_DEFAULTS)
        check_defaults(self.llama.llama_model_quantize_default_params(), QUANTIZE_DEFAULTS)
        ggml.ggml_backend_load_all_from_path.argtypes = [c_char_p]
        ggml.ggml_backend_load_all_from_path(str(folder).encode())
        self.llama.llama_backend_init()

    def system(self) -> dict:
        """The release, and which of the package's kernels it picked for this processor."""
        with open("/proc/self/maps", encoding="ascii") as maps:
            backends = sorted({Path(line.split()[-1]).name for line in maps if "libggml-cpu" in line})
        return {
            "release": RELEASE,
            "backends": backends,
            "system_info": self.llama.llama_print_system_info().decode(),
        }

    def quantise(self, source: Path, target: Path, file_type: int) -> None:
        """Writes `source` as another file type with llama.cpp's own quantiser."""
        params = self.llama.llama_model_quantize_default_params()
        params.ftype = file_type
        params.allow_requantize = True
        if self.llama.llama_model_quantize(str(source).encode(), str(target).encode(), byref(params)) != 0:
            raise RuntimeError(f"llama.cpp refuses to quantise {source} to {target}")


def check_defaults(found: ctypes.Structure, expected: dict) -> None:
    for name, value in expected.items():
        if getattr(found, name) != value:
            kind = type(found).__name__
            raise RuntimeError(f"{kind}.{name} is {getattr(found, name)!r}, expected {value!r}: not release {RELEASE}")


class Model:
    """One open model file."""

    def __init__(self, library: Library, path: Path):
        self.library, self.llama = library, library.llama
        params = self.llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self.handle = self.llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise RuntimeError(f"llama.cpp cannot open {path}")
        self.vocab = self.llama.llama_model_get_vocab(self.handle)
        self.vocab_size = self.llama.llama_vocab_n_tokens(self.vocab)

    def tokenize(self, text: bytes, add_special: bool, parse_special: bool) -> list[int]:
        room = len(text) + 8
        tokens = (c_int32 * room)()
        count = self.llama.llama_tokenize(self.vocab, text, len(text), tokens, room, add_special, parse_special)
        if count < 0:
            raise RuntimeError(f"llama.cpp wants room for {-count} tokens, given {room}")
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        room = ctypes.create_string_buffer(256)
        size = self.llama.llama_token_to_piece(self.vocab, token, room, len(room), 0, True)
        if size < 0:
            raise RuntimeError(f"token {token} has {-size} bytes, more than {len(room)}")
        return room.raw[:size]


class Context:
    """A KV cache of `context` positions for each of `sequences` sequences; `threads` for both phases."""

    def __init__(self, model: Model, context: int, threads: int, sequences: int = 1):
        self.model, self.llama = model, model.llama
        params = self.llama.llama_context_default_params()
        params.n_ctx = context * sequences
        params.n_batch = max(context, sequences)
        params.n_seq_max = sequences
        params.n_outputs_max_per_seq = 0
        params.n_threads = params.n_threads_batch = threads
        self.handle = self.llama.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise RuntimeError(f"llama.cpp refuses a context of {context} positions for {sequences} sequences")
        self.batch = self.llama.llama_batch_init(params.n_batch, 0, 1)

    def clear(self) -> None:
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.handle), True)

    def decode(self, rows: list[tuple[int, int, int, bool]]) -> None:
        """Runs rows of (token, position, sequence, want logits) and waits for the end."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, logits) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = logits
        status = self.llama.llama_decode(self.handle, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode returned {status} for {len(rows)} tokens")
        self.llama.llama_synchronize(self.handle)

    def prefill(self, tokens: list[int], sequence: int = 0) -> None:
        """Runs a prompt from position 0; logits of its last token only."""
        last = len(tokens) - 1
        self.decode([(token, i, sequence, i == last) for i, token in enumerate(tokens)])

    def logits(self, row: int):
        return self.llama.llama_get_logits_ith(self.handle, row)

    def close(self) -> None:
        self.llama.llama_batch_free(self.batch)
        self.llama.llama_free(self.handle)
