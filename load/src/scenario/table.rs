//! The table of figures and their limits.

use std::fmt;

/// The figures of all scenarios.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

/// The figures of one scenario.
#[derive(Debug)]
pub(crate) struct Figures {
    scenario: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    scenario: String,
    figure: String,
    wanted: String,
    measured: String,
    /// `None` for a figure without a limit.
    all_met: Option<bool>,
}

impl Figures {
    pub(crate) fn new(scenario: impl Into<String>) -> Self {
        Self {
            scenario: scenario.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a figure without a limit.
    pub(crate) fn report(&mut self, figure: &str, measured: &dyn fmt::Display) {
        self.add(figure, String::new(), measured, None);
    }

    /// Adds a figure with its limit.
    pub(crate) fn expect(
        &mut self,
        figure: &str,
        wanted: &dyn fmt::Display,
        measured: &dyn fmt::Display,
        all_met: bool,
    ) {
        self.add(figure, wanted.to_string(), measured, Some(all_met));
    }

    fn add(
        &mut self,
        figure: &str,
        wanted: String,
        measured: &dyn fmt::Display,
        all_met: Option<bool>,
    ) {
        self.rows.push(Row {
            scenario: self.scenario.clone(),
            figure: figure.to_owned(),
            wanted,
            measured: measured.to_string(),
            all_met,
        });
    }
}

impl Table {
    pub(crate) fn add(&mut self, figures: Figures) {
        self.0.extend(figures.rows);
    }

    /// Whether every limit is met.
    pub(crate) fn all_met(&self) -> bool {
        self.0.iter().all(|row| row.all_met != Some(false))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| scenario | figure | limit | measured | |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for row in &self.0 {
            let verdict = match row.all_met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            writeln!(
                f,
                "| {} | {} | {} | {} | {verdict} |",
                row.scenario, row.figure, row.wanted, row.measured
            )?;
        }
        Ok(())
    }
}
