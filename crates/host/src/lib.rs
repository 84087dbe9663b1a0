//! Serves a model: fetches it, queues, batches, signs receipts.
