//! Writes a model so small that it costs next to nothing: what a server spends on a request beside the model shows.
//!
//! `cargo run --package specimen --example tiny -- FILE.gguf`

use std::error::Error;

use arith::WeightType;
use specimen::Specimen;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: tiny FILE.gguf")?;
    let tiny = Specimen { layers: 1, width: 64, heads: 2, ..Specimen::llama(WeightType::Q8_0) };
    std::fs::write(path, tiny.to_gguf())?;
    Ok(())
}
