//! `candor model`: fetch, list and describe models.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use host::catalogue::Entry;
use host::fetch::{Cached, Fetcher, Found};
use serde::Serialize;

use super::{Context, block_on};
use crate::exit::Exit;
use crate::machine;
use crate::output::{self, size};

/// What to do with models.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  candor model list\n  candor model pull smollm2")]
pub(crate) enum Model {
    /// Fetch a model into the data folder
    #[command(
        after_help = "Examples:\n  candor model pull smollm2\n  candor model pull gemma3-270m --data /srv/candor"
    )]
    Pull(Named),
    /// List the models of the catalogue and those at hand
    #[command(after_help = "Examples:\n  candor model list\n  candor model list --json")]
    List,
    /// Describe one model: size, SHA-256, licence, sources, place
    #[command(after_help = "Examples:\n  candor model show smollm2\n  candor model show ./mine.gguf")]
    Show(Named),
    /// Copy a GGUF file into the data folder, so that it has a name
    #[command(after_help = "Examples:\n  candor model import ~/Downloads/mine.gguf\n  candor up --model mine")]
    Import(Filed),
    /// Compute the model root that receipts carry for a model
    #[command(after_help = "Examples:\n  candor model root mine.gguf\n  candor model root smollm2 --json")]
    Root(Named),
}

/// A model by its name.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// A name of the catalogue, the name of an imported model, or a GGUF file
    #[arg(value_name = "NAME|FILE.gguf")]
    model: String,
}

/// A model's file.
#[derive(Debug, Args)]
pub(crate) struct Filed {
    /// The GGUF file
    #[arg(value_name = "FILE.gguf")]
    file: PathBuf,
}

/// Runs the command.
pub(crate) fn run(context: &Context<'_>, command: &Model) -> anyhow::Result<Exit> {
    let fetcher = context.fetcher();
    match command {
        Model::Pull(Named { model }) => {
            context.config.data.create()?;
            let found = block_on(async { Ok(fetcher.resolve(model, &context.fetch_bars()).await?) })?;
            print_place(context, &found)?;
        }
        Model::Import(Filed { file }) => {
            context.config.data.create()?;
            let found = block_on(async { Ok(fetcher.import(file, &context.fetch_bars()).await?) })?;
            print_place(context, &found)?;
        }
        Model::List => list(context, &fetcher)?,
        Model::Show(Named { model }) => show(context, &fetcher, model)?,
        Model::Root(Named { model }) => root(context, &fetcher, model)?,
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Place<'a> {
    name: &'a str,
    path: &'a Path,
}

fn print_place(context: &Context<'_>, found: &Found) -> anyhow::Result<()> {
    if context.output.is_json() {
        return output::json(&Place { name: &found.name, path: &found.path });
    }
    output::line(&format!("{} is at {}", found.name, found.path.display()))
}

/// One model, of the catalogue, at hand, or both.
#[derive(Serialize)]
struct Line {
    name: String,
    size_bytes: u64,
    weights: Option<String>,
    licence: Option<String>,
    context_tokens: Option<u32>,
    description: Option<String>,
    path: Option<PathBuf>,
}

fn list(context: &Context<'_>, fetcher: &Fetcher) -> anyhow::Result<()> {
    let cached = fetcher.list()?;
    let place_of = |name: &str| cached.iter().find(|cached| cached.name == name).map(|cached| cached.path.clone());
    let known = fetcher.catalogue().entries().iter().map(|entry| Line {
        name: entry.name.clone(),
        size_bytes: entry.size_bytes,
        weights: Some(entry.weights.clone()),
        licence: Some(entry.licence.clone()),
        context_tokens: Some(entry.context_tokens),
        description: Some(entry.description.clone()),
        path: place_of(&entry.name),
    });
    let own = cached.iter().filter(|cached| fetcher.catalogue().entry(&cached.name).is_none()).map(imported);
    let lines: Vec<Line> = known.chain(own).collect();
    if context.output.is_json() {
        return lines.iter().try_for_each(output::json);
    }
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let at_hand = if line.path.is_some() { "yes" } else { "no" };
            let name = line.name.clone();
            let described = line.description.clone().unwrap_or_else(|| "imported".into());
            vec![name, size(line.size_bytes), or_dash(&line.weights), or_dash(&line.licence), at_hand.into(), described]
        })
        .collect();
    context.output.table(&["name", "size", "weights", "licence", "at hand", "description"], &rows)
}

fn imported(cached: &Cached) -> Line {
    Line {
        name: cached.name.clone(),
        size_bytes: cached.size_bytes,
        weights: None,
        licence: None,
        context_tokens: None,
        description: None,
        path: Some(cached.path.clone()),
    }
}

#[derive(Serialize)]
struct Description {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    about: Option<String>,
    path: Option<PathBuf>,
    size_bytes: Option<u64>,
    sha256: Option<String>,
    licence: Option<String>,
    weights: Option<String>,
    context_tokens: Option<u32>,
    model_root: Option<String>,
    sources: Vec<String>,
}

fn show(context: &Context<'_>, fetcher: &Fetcher, reference: &str) -> anyhow::Result<()> {
    let found = block_on(async { Ok(fetcher.at_hand(reference, &context.fetch_bars()).await?) })?;
    let name = found.as_ref().map(|found| found.name.clone());
    let description = match fetcher.catalogue().entry(reference) {
        Some(entry) => describe(entry, found),
        None => Description {
            name: name.unwrap_or_else(|| reference.to_owned()),
            size_bytes: found.as_ref().map(|found| std::fs::metadata(&found.path)).transpose()?.map(|file| file.len()),
            path: found.map(|found| found.path),
            aliases: Vec::new(),
            about: None,
            sha256: None,
            licence: None,
            weights: None,
            context_tokens: None,
            model_root: None,
            sources: Vec::new(),
        },
    };
    if context.output.is_json() {
        return output::json(&description);
    }
    print_description(&description)
}

fn describe(entry: &Entry, found: Option<Found>) -> Description {
    Description {
        name: entry.name.clone(),
        aliases: entry.aliases.clone(),
        about: Some(entry.description.clone()),
        path: found.map(|found| found.path),
        size_bytes: Some(entry.size_bytes),
        sha256: Some(entry.hash.to_string()),
        licence: Some(entry.licence.clone()),
        weights: Some(entry.weights.clone()),
        context_tokens: Some(entry.context_tokens),
        model_root: entry.model_root.map(|root| root.to_string()),
        sources: entry.sources.iter().map(ToString::to_string).collect(),
    }
}

fn print_description(description: &Description) -> anyhow::Result<()> {
    let Description { name, aliases, about, path, size_bytes, .. } = description;
    let also = if aliases.is_empty() { String::new() } else { format!(" (also {})", aliases.join(", ")) };
    output::line(&format!("{name}{also}"))?;
    let size_text = size_bytes.map(|bytes| format!("{} ({bytes} bytes)", size(bytes)));
    let place = path.as_ref().map_or_else(|| "not at hand".to_owned(), |path| path.display().to_string());
    let facts = [
        ("about", about.clone()),
        ("file", Some(place)),
        ("size", size_text),
        ("sha256", description.sha256.clone()),
        ("licence", description.licence.clone()),
        ("weights", description.weights.clone()),
        ("context", description.context_tokens.map(|tokens| format!("{tokens} tokens"))),
        ("root", description.model_root.clone()),
    ];
    let sources = description.sources.iter().map(|source| ("source", Some(source.clone())));
    for (label, value) in facts.into_iter().chain(sources) {
        if let Some(value) = value {
            output::line(&format!("  {label:<8} {value}"))?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Root<'a> {
    name: &'a str,
    model_root: String,
}

fn root(context: &Context<'_>, fetcher: &Fetcher, reference: &str) -> anyhow::Result<()> {
    let found = block_on(async { Ok(fetcher.resolve(reference, &context.fetch_bars()).await?) })?;
    let machine = machine::build(None, context.environment)?;
    let model = host::load_model(&found.path, &machine)?;
    let model_root = model.root().to_string();
    if context.output.is_json() {
        return output::json(&Root { name: &found.name, model_root });
    }
    output::line(&model_root)
}
