//! What is kept for each of the regions that are served, and the choice of a call.

use std::fmt;

use http::HeaderMap;

use super::region::{self, Region};
use crate::error::Error;

/// The metadata by which a call chooses one of the regions.
pub const REGION_METADATA: &str = "genesys-region";

/// The most characters of a wrong region that its error repeats.
const MAX_SHOWN: usize = 64;

/// A value for each region that is served, the default first; or one for an upstream
/// without regions.
///
/// Each region has an upstream of its own with all that is kept for a token, so a
/// token in one region is independent of the same token in another one.
#[derive(Debug, Clone)]
pub struct Regional<T> {
    first: Of<T>,
    others: Vec<Of<T>>,
}

/// The value of a region.
#[derive(Debug, Clone)]
pub struct Of<T> {
    /// The region; `None` if the upstream has no regions.
    pub region: Option<Region>,
    /// The value.
    pub value: T,
}

impl<T> Regional<T> {
    /// The value for an upstream without regions.
    #[must_use]
    pub fn without_regions(value: T) -> Self {
        let region = None;
        Self {
            first: Of { region, value },
            others: Vec::new(),
        }
    }

    /// The values for these regions, the default first; `None` if there are none.
    #[must_use]
    pub fn new(regions: impl IntoIterator<Item = (Region, T)>) -> Option<Self> {
        let mut regions = regions.into_iter().map(|(region, value)| {
            let region = Some(region);
            Of { region, value }
        });
        Some(Self {
            first: regions.next()?,
            others: regions.collect(),
        })
    }

    /// The values, the default first.
    pub fn iter(&self) -> impl Iterator<Item = &Of<T>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The value for calls that choose no region.
    #[must_use]
    pub fn first(&self) -> &T {
        &self.first.value
    }

    /// Whether calls have a choice.
    #[must_use]
    pub fn has_choice(&self) -> bool {
        !self.others.is_empty()
    }

    /// The names of the regions, the default first; `None` without regions.
    #[must_use]
    pub fn names(&self) -> Option<String> {
        self.first.region?;
        Some(region::names(self.iter().filter_map(|of| of.region)))
    }

    /// Other values for the same regions.
    #[must_use]
    pub fn map<U>(self, mut value: impl FnMut(T) -> U) -> Regional<U> {
        let mut map = |of: Of<T>| Of {
            region: of.region,
            value: value(of.value),
        };
        Regional {
            first: map(self.first),
            others: self.others.into_iter().map(map).collect(),
        }
    }

    /// The region that a call's metadata chooses.
    ///
    /// # Errors
    ///
    /// [`Error::RegionNotServed`], if the metadata names no region that is served, or
    /// more than one.
    pub fn choose(&self, metadata: &HeaderMap) -> Result<&Of<T>, Error> {
        let mut values = metadata.get_all(REGION_METADATA).iter();
        let Some(value) = values.next() else {
            return Ok(&self.first);
        };
        // Something on the way may have joined two values (RFC 9110, section 5.3).
        let text = String::from_utf8_lossy(value.as_bytes());
        let text = text.trim();
        if values.next().is_some() || text.contains(',') {
            return Err(self.not_served("names more than one region; send one".to_owned()));
        }
        let chosen = Region::find(text);
        let served = chosen.and_then(|_| self.iter().find(|of| of.region == chosen));
        served.ok_or_else(|| self.not_served(self.problem(text, chosen)))
    }

    /// What is wrong with a region that is not served.
    fn problem(&self, text: &str, chosen: Option<Region>) -> String {
        if text.is_empty() {
            return "is empty; leave it out for the default".to_owned();
        }
        if let Some(region) = chosen {
            return format!("names {}, which this gateway does not serve", region.name);
        }
        let shown: String = text.chars().take(MAX_SHOWN).collect();
        let served: Vec<Region> = self.iter().filter_map(|of| of.region).collect();
        let meant = Region::nearest(text, &served);
        let meant = meant.map(|meant| format!("; did you mean {}?", meant.name));
        let meant = meant.unwrap_or_default();
        format!("`{shown}` is no region of Genesys Cloud{meant}")
    }

    fn not_served(&self, problem: String) -> Error {
        Error::RegionNotServed {
            problem,
            served: self.names(),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Regional<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.value.fmt(f)?;
        let mut others = self.others.iter();
        others.try_for_each(|of| write!(f, ", {}", of.value))
    }
}
