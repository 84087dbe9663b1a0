//! What request bytes mean: the OpenAI-compatible vocabulary, parsed once at the edge.
