pub mod management;
pub mod process;
