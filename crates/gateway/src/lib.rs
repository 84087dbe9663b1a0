//! OpenAI-compatible HTTP, receipts store and the page.
