//! What is wanted, beside what was measured.

use std::fmt;

/// The figures of all scenarios.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

/// The figures of one scenario.
#[derive(Debug)]
pub(crate) struct Figures {
    scenario: &'static str,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    scenario: &'static str,
    figure: String,
    wanted: String,
    measured: String,
    /// Nothing where nothing is wanted of the figure.
    is_met: Option<bool>,
}

impl Figures {
    pub(crate) fn of(scenario: &'static str) -> Self {
        let rows = Vec::new();
        Self { scenario, rows }
    }

    /// A figure that is told and no more.
    pub(crate) fn tell(&mut self, figure: &str, measured: &dyn fmt::Display) {
        self.add(figure, String::new(), measured, None);
    }

    /// A figure of which something is wanted.
    pub(crate) fn want(
        &mut self,
        figure: &str,
        wanted: &dyn fmt::Display,
        measured: &dyn fmt::Display,
        is_met: bool,
    ) {
        self.add(figure, wanted.to_string(), measured, Some(is_met));
    }

    fn add(
        &mut self,
        figure: &str,
        wanted: String,
        measured: &dyn fmt::Display,
        is_met: Option<bool>,
    ) {
        self.rows.push(Row {
            scenario: self.scenario,
            figure: figure.to_owned(),
            wanted,
            measured: measured.to_string(),
            is_met,
        });
    }
}

impl Table {
    pub(crate) fn add(&mut self, figures: Figures) {
        self.0.extend(figures.rows);
    }

    /// Whether all is as it is wanted.
    pub(crate) fn is_met(&self) -> bool {
        self.0.iter().all(|row| row.is_met != Some(false))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| scenario | figure | wanted | measured | |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for row in &self.0 {
            let verdict = match row.is_met {
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
