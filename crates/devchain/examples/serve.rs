//! A chain that answers on a port of its own choice, until its standard input ends. Prints its URL.
//!
//! Tests and benchmarks start it as a process of its own: to kill it, and to compare it with other chains.

use std::io::{Read as _, Write as _};

use devchain::{Config, Devchain, Durability, Hardfork};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut config = Config::development();
    let mut path = None;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--data" => path = Some(value()?),
            "--timestamp" => config.genesis_timestamp = Some(value()?.parse()?),
            "--hardfork" => {
                config.hardfork = match value()?.as_str() {
                    "cancun" => Hardfork::Cancun,
                    "prague" => Hardfork::Prague,
                    "osaka" => Hardfork::Osaka,
                    other => return Err(format!("unknown hardfork {other}").into()),
                }
            }
            "--durability" => {
                config.durability = match value()?.as_str() {
                    "power" => Durability::Power,
                    "process" => Durability::Process,
                    other => return Err(format!("unknown durability {other}").into()),
                }
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let chain = match path {
        Some(path) => Devchain::open(path, config)?,
        None => Devchain::in_memory(config)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let serving = runtime.block_on(async { chain.serve(([127, 0, 0, 1], 0).into()) })?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "http://{}", serving.address())?;
    output.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(serving.stop());
    Ok(())
}
