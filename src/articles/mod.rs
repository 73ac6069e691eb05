pub mod delivery;
pub mod management;
