//! What tests stand on: the running program, people who call it, and the contract their answers are held against.

pub mod client;
pub mod contract;
pub mod database;
pub mod desk;
pub mod newsroom;
pub mod receiver;
pub mod smtp;
pub mod sweep;

pub use client::{Ask, Person, Reply};
pub use desk::Desk;

/// Tests that get a running newsroom: `async fn what_holds(desk) { … }`.
macro_rules! newsroom_tests {
    ($($(#[$meta:meta])* async fn $name:ident($desk:ident $(, $setting:ident = $value:literal)*) $body:block)+) => {
        $(
            $(#[$meta])*
            #[test]
            fn $name() {
                $crate::support::run(&[$((stringify!($setting), $value)),*], |$desk| async move {
                    $body
                });
            }
        )+
    };
}
pub(crate) use newsroom_tests;

/// Runs one test with a newsroom of its own.
pub fn run<F: Future<Output = ()>>(settings: &[(&str, &str)], test: impl FnOnce(Desk) -> F) {
    let desk = Desk::open(settings);
    runtime().block_on(test(desk));
}

/// One thread is enough for a test: what runs in parallel is the server.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Waits for all, in order.
pub async fn all<F: IntoFuture>(asked: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(asked.into_iter().map(F::into_future)).await
}

/// What a test says a merge patch or a filter with, in short.
pub use serde_json::{Value, json};
