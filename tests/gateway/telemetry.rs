mod failing_collectors;
mod metrics;
mod settings;
mod traces;
