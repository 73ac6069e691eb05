//! What is printed: a line for each path as soon as it is known, and the whole as a table for benches/README.md.

use crate::measure::Figures;

/// A goal of the project, and what was reached.
pub struct Goal {
    /// What was reached.
    pub value: f64,
    /// What is to be reached.
    pub limit: f64,
    /// Whether more is better.
    pub at_least: bool,
    /// The unit of both.
    pub unit: &'static str,
}

impl Goal {
    /// At most this.
    pub fn at_most(value: f64, limit: f64, unit: &'static str) -> Option<Self> {
        Some(Self {
            value,
            limit,
            at_least: false,
            unit,
        })
    }

    /// At least this.
    pub fn at_least(value: f64, limit: f64, unit: &'static str) -> Option<Self> {
        Some(Self {
            value,
            limit,
            at_least: true,
            unit,
        })
    }

    fn reached(&self) -> bool {
        if self.at_least {
            self.value >= self.limit
        } else {
            self.value <= self.limit
        }
    }

    fn words(&self) -> String {
        let sign = if self.at_least { "≥" } else { "≤" };
        format!("{sign} {}{}", short(self.limit), self.unit)
    }
}

/// One line.
#[derive(Default)]
pub struct Line {
    /// What was asked for.
    pub path: String,
    /// Bytes of the answer's body.
    pub bytes: Option<usize>,
    /// What newsdesk did.
    pub figures: Option<Figures>,
    /// CPU of the constant handler, and the ratio to it.
    pub constant: Option<(f64, f64)>,
    /// More to say.
    pub note: String,
    /// What it is measured by.
    pub goal: Option<Goal>,
}

/// All lines so far.
pub struct Report {
    title: String,
    trial: bool,
    rows: Vec<[String; 10]>,
    missed: usize,
}

const HEADINGS: [&str; 10] = [
    "Path",
    "Bytes",
    "CPU µs",
    "Constant µs",
    "Ratio",
    "Req/s",
    "p50 ms",
    "p99 ms",
    "Note",
    "Goal",
];

impl Report {
    /// Starts a part with a heading of its own. A trial reaches and misses nothing.
    pub fn new(title: String, trial: bool) -> Self {
        eprintln!("\n{title}");
        let report = Self {
            title,
            trial,
            rows: Vec::new(),
            missed: 0,
        };
        eprintln!("{}", aligned(&HEADINGS.map(str::to_owned)));
        report
    }

    /// Prints a line and keeps it.
    pub fn add(&mut self, line: Line) {
        let figures = line.figures.as_ref();
        let goal = line.goal.as_ref().map_or(String::new(), |goal| {
            let verdict = match goal.reached() {
                _ if self.trial => "trial",
                true => "pass",
                false => "MISS",
            };
            format!("{} {verdict}", goal.words())
        });
        let missed = line.goal.as_ref().is_some_and(|goal| !goal.reached());
        self.missed += usize::from(missed && !self.trial);
        let row = [
            line.path,
            line.bytes.map_or(String::new(), |bytes| bytes.to_string()),
            figures.map_or(String::new(), |figures| short(figures.cpu)),
            line.constant.map_or(String::new(), |(cpu, _)| short(cpu)),
            line.constant.map_or(String::new(), |(_, ratio)| format!("{ratio:.2}")),
            figures.map_or(String::new(), |figures| format!("{:.0}", figures.rate)),
            figures.map_or(String::new(), |figures| format!("{:.2}", figures.p50)),
            figures.map_or(String::new(), |figures| format!("{:.2}", figures.p99)),
            line.note,
            goal,
        ];
        eprintln!("{}", aligned(&row));
        self.rows.push(row);
    }

    /// How many goals were missed.
    pub fn missed(&self) -> usize {
        self.missed
    }

    /// The part as Markdown.
    pub fn markdown(&self) -> String {
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("### {}\n\n", self.title);
        text.push_str(&row(&HEADINGS.map(str::to_owned)));
        text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|---|---|\n");
        for cells in &self.rows {
            text.push_str(&row(cells));
        }
        text
    }
}

fn aligned(row: &[String; 10]) -> String {
    let [path, bytes, cpu, constant, ratio, rate, p50, p99, note, goal] = row;
    let line =
        format!("{path:<44}{bytes:>8}{cpu:>9}{constant:>13}{ratio:>7}{rate:>8}{p50:>8}{p99:>9}  {goal:<14} {note}");
    line.trim_end().to_owned()
}

/// Three digits that matter.
pub fn short(value: f64) -> String {
    if value.fract() == 0.0 || value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Where this runs: processor, cores, memory, system.
pub fn machine() -> String {
    let line = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(name));
        found
            .and_then(|line| line.split_once(':'))
            .map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kib: f64 = line("/proc/meminfo", "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0.0);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {:.0} GiB, Linux {}",
        line("/proc/cpuinfo", "model name"),
        kib / 1024.0 / 1024.0,
        kernel.trim()
    )
}
