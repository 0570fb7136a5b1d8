//! The size of the release binary.

use std::fs;

use crate::scenario::Settings;
use crate::scenario::table::Figures;

/// The limit, in megabytes.
const LIMIT: f64 = 15.0;

pub(super) fn run(settings: &Settings) -> Result<Figures, String> {
    let path = &settings.gateway;
    let data = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let size = data.len() as f64 / 1e6;
    let mut figures = Figures::new("program");
    let (wanted, measured) = (format!("≤ {LIMIT} MB"), format!("{size:.1} MB"));
    figures.expect(
        "size of the release build",
        &wanted,
        &measured,
        size <= LIMIT,
    );
    Ok(figures)
}
