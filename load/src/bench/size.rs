//! How large the program is.

use std::fs;

use crate::scenario::Setting;
use crate::scenario::table::Figures;

/// The most that is wanted, in megabytes.
const MOST: f64 = 15.0;

pub(super) fn of(setting: &Setting) -> Result<Figures, String> {
    let path = &setting.gateway;
    let data = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let size = data.len() as f64 / 1e6;
    let mut figures = Figures::of("program");
    let (wanted, measured) = (format!("≤ {MOST} MB"), format!("{size:.1} MB"));
    figures.want(
        "size of the release build",
        &wanted,
        &measured,
        size <= MOST,
    );
    Ok(figures)
}
