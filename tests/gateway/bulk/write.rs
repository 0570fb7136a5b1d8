mod batches;
mod failures;
mod in_flight;
mod partial_results;
mod properties;
