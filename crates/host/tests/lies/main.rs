//! Every lie that a receipt is there to expose, told by a real host on a real model, and every honest case that must never
//! be refuted. `docs/verification.md` lists which test tells which lie.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod computing;
mod evidence;
mod finish;
mod honest;
mod model_identity;
mod price;
mod prompt;
mod question;
mod sampling;
mod seed;
mod signature;
mod state;
mod statement;
mod subject;
mod token;
