//! The page at `/`: one file without a build step, embedded in the program.

/// The page.
pub const PAGE: &str = include_str!("index.html");
