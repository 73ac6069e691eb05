pub mod delivery;
pub mod management;
/// stub
pub async fn forget_senders(_: &crate::app::State, _: i64) -> crate::error::Result<i64> {
    Ok(0)
}
