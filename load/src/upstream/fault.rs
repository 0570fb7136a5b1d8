//! The injected faults, and their rates.

use std::str::FromStr;

/// A fault in place of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// 503.
    Unavailable,
    /// 429, with `Retry-After`.
    TooMany,
    /// The connection closes before the response.
    Cut,
    /// The connection closes within the response.
    Break,
    /// The response body comes in small pieces.
    Drip,
    /// The response is late.
    Delay,
}

impl Fault {
    pub(super) const ALL: [Self; 6] = [
        Self::Unavailable,
        Self::TooMany,
        Self::Cut,
        Self::Break,
        Self::Drip,
        Self::Delay,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "503",
            Self::TooMany => "429",
            Self::Cut => "cut",
            Self::Break => "break",
            Self::Drip => "drip",
            Self::Delay => "delay",
        }
    }
}

/// The probability of each fault.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Faults(Vec<(Fault, f64)>);

impl Faults {
    /// The fault of the next request, if any.
    pub(super) fn next(&self) -> Option<Fault> {
        if self.0.is_empty() {
            return None;
        }
        let mut drawn = fastrand::f64();
        for &(fault, part) in &self.0 {
            if drawn < part {
                return Some(fault);
            }
            drawn -= part;
        }
        None
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(raw: &str) -> Result<Self, String> {
        let faults = raw.split(',').filter(|fault| !fault.is_empty());
        let faults: Vec<_> = faults.map(fault).collect::<Result<_, _>>()?;
        let sum: f64 = faults.iter().map(|(_, part)| part).sum();
        if sum > 1.0 {
            return Err("the parts are more than 1 together".to_owned());
        }
        Ok(Self(faults))
    }
}

fn fault(raw: &str) -> Result<(Fault, f64), String> {
    let wrong = || {
        let names = Fault::ALL.map(Fault::name).join(", ");
        format!(
            "`{raw}` is not a fault with its probability, for example `503=0.01`; there are {names}"
        )
    };
    let (name, part) = raw.split_once('=').ok_or_else(wrong)?;
    let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name);
    let part = part.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    fault.zip(part).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_occur_at_their_probability() {
        let faults: Faults = "503=0.25,drip=0.5".parse().expect("two faults");
        let drawn: Vec<_> = (0..10_000).map(|_| faults.next()).collect();
        let share = |fault| drawn.iter().filter(|drawn| **drawn == fault).count() as f64 / 10_000.0;
        for (fault, probability) in [
            (Some(Fault::Unavailable), 0.25),
            (Some(Fault::Drip), 0.5),
            (None, 0.25),
        ] {
            let drawn = share(fault);
            assert!((drawn - probability).abs() < 0.05, "{fault:?}: {drawn}");
        }
    }

    #[test]
    fn a_malformed_list_of_faults_is_rejected() {
        for malformed in ["503", "404=0.1", "cut=2", "cut=-1", "cut=0.6,drip=0.6"] {
            assert!(malformed.parse::<Faults>().is_err(), "{malformed}");
        }
    }
}
