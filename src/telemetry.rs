//! Logs: one JSON line an event on standard error, with times in UTC. Values are escaped by the encoder, so nobody can
//! forge a line.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

/// Starts logging with a filter such as `info` or `newsdesk=debug`. The error is one line for the operator.
pub fn start(filter: &str) -> Result<(), String> {
    // Requests that are none are answered 400 and are their senders' fault: at `error` anybody could wake the operator.
    let filter = match filter.trim() {
        "" => "error,actix_http::h1::dispatcher=off".to_owned(),
        filter if filter.contains("actix_http") => filter.to_owned(),
        filter => format!("{filter},actix_http::h1::dispatcher=off"),
    };
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("LOG is no filter such as info: {error}"))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_timer(ChronoUtc::new("%Y-%m-%dT%H:%M:%S%.3fZ".into()))
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| error.to_string())
}
