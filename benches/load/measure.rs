//! Rounds in turn: every side of a comparison gets a part of its requests, then the next side, and again, so that what
//! else the machine does falls on all of them alike. Each figure is the median of the rounds.

use std::time::Duration;

use crate::client::{Bytes, Plan, load};
use crate::cores::Seats;
use crate::process::Process;

/// Rounds of a measurement; an odd number has a middle.
pub const ROUNDS: usize = 5;
/// Parts of each round, in which the sides take turns: what a shared machine gives changes within seconds.
const TURNS: usize = 3;

/// How much is asked.
#[derive(Clone, Copy)]
pub struct Amount {
    /// Requests of a round, for each side.
    pub requests: usize,
    /// Connections at once.
    pub connections: usize,
}

/// One side of a comparison.
pub struct Side<'s> {
    /// Who answers.
    pub process: &'s Process,
    /// The requests of a round; round 0 warms up.
    pub requests: &'s dyn Fn(usize) -> Vec<Bytes>,
    /// The status of every answer.
    pub status: u16,
    /// The body of the answers, where all are alike.
    pub body: Option<&'s [u8]>,
}

/// What one side did.
pub struct Figures {
    /// CPU a request in microseconds, round by round.
    rounds: Vec<f64>,
    /// CPU a request in microseconds.
    pub cpu: f64,
    /// Answers a second.
    pub rate: f64,
    /// Half of the answers took so many milliseconds at most.
    pub p50: f64,
    /// All but one in a hundred took so many at most.
    pub p99: f64,
}

impl Figures {
    /// How many times the CPU of another side, round by round.
    pub fn ratio(&self, other: &Figures) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(ours, theirs)| ours / theirs.max(0.001)).collect())
    }
}

/// Measures all sides in turn.
pub fn in_turn(sides: &[Side<'_>], amount: Amount) -> Result<Vec<Figures>, String> {
    let _seats = Seats::take(sides.iter().map(|side| side.process), amount.connections)?;
    let mut taken: Vec<Vec<Round>> = sides.iter().map(|_| Vec::new()).collect();
    let part = Amount {
        requests: amount.requests.div_ceil(TURNS),
        ..amount
    };
    for round in 0..=ROUNDS * TURNS {
        // Who is first after the other's rest is not always the same.
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for side in order {
            if let (Some(side), Some(taken)) = (sides.get(side), taken.get_mut(side)) {
                let one = one_round(side, round, if round == 0 { amount } else { part })?;
                if round > 0 {
                    taken.push(one);
                }
            }
        }
    }
    Ok(taken.iter().map(|rounds| figures(rounds)).collect())
}

struct Round {
    cpu: f64,
    rate: f64,
    latencies: Vec<u32>,
}

fn one_round(side: &Side<'_>, round: usize, amount: Amount) -> Result<Round, String> {
    let requests = (side.requests)(round);
    // A warm-up need not be as long as what is measured.
    let total = if round == 0 {
        amount.requests.div_ceil(4)
    } else {
        amount.requests
    };
    let plan = Plan {
        requests: &requests,
        total,
        connections: amount.connections,
        status: side.status,
        body: side.body,
        keep: false,
    };
    let before = side.process.cpu()?;
    let done = load(side.process.address, &plan)?;
    let cpu = side.process.cpu()?.saturating_sub(before);
    Ok(Round {
        cpu: micros(cpu) / total as f64,
        rate: total as f64 / done.wall.as_secs_f64(),
        latencies: done.latencies,
    })
}

fn figures(rounds: &[Round]) -> Figures {
    let mut all: Vec<u32> = rounds
        .iter()
        .flat_map(|round| round.latencies.iter().copied())
        .collect();
    all.sort_unstable();
    let cpus: Vec<f64> = rounds.iter().map(|round| round.cpu).collect();
    Figures {
        cpu: median(cpus.clone()),
        rounds: cpus,
        rate: median(rounds.iter().map(|round| round.rate).collect()),
        p50: percentile(&all, 50),
        p99: percentile(&all, 99),
    }
}

/// A percentile of ascending microseconds, in milliseconds.
pub fn percentile(ascending: &[u32], percent: usize) -> f64 {
    let at = (ascending.len() * percent / 100).min(ascending.len().saturating_sub(1));
    ascending.get(at).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
