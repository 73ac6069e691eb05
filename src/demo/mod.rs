//! The sample newsroom (stub).
/// Runs.
pub fn run() -> Result<(), String> {
    Ok(())
}
