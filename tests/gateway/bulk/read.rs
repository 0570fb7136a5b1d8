mod batches;
mod failures;
mod in_flight;
mod properties;
