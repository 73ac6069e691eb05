//! Where the database is.

use std::path::PathBuf;

/// Where the database is, read from `DATABASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `sqlite://path`: a file, made when absent.
    Sqlite(PathBuf),
    /// `postgres://…`: given to libpq, with deadlines where it names none.
    Postgres(String),
}

impl Location {
    /// Reads a URL; the error says what is wrong in one line.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err("DATABASE_URL names no file: write sqlite://data/newsdesk.db".into());
            }
            Ok(Self::Sqlite(PathBuf::from(path)))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Self::Postgres(with_deadlines(url)))
        } else {
            Err("DATABASE_URL must begin with sqlite:// or postgres://".into())
        }
    }

    /// Whether this is the embedded database.
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

/// What libpq knows of a server that is gone without a word: by itself it waits for hours.
const DEADLINES: [&str; 5] = [
    "connect_timeout=5",
    "tcp_user_timeout=15000",
    "keepalives_idle=10",
    "keepalives_interval=3",
    "keepalives_count=3",
];

/// The URL with those deadlines that it does not set itself.
fn with_deadlines(url: &str) -> String {
    let mut whole = url.trim_end_matches(['?', '&']).to_owned();
    // What a name and a password hold are no parameters.
    let host = whole.find("://").map_or(0, |at| at + 3);
    let path = whole[host..].find('/').map_or(whole.len(), |at| host + at);
    let host = whole[host..path].rfind('@').map_or(host, |at| host + at + 1);
    let query = whole[host..].find('?').map(|at| host + at + 1);
    let named = query.map_or("", |at| &whole[at..]);
    let is_named = |name: &str| {
        let mut names = named.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
        names.any(|known| known == name)
    };
    let missing = DEADLINES
        .iter()
        .filter(|deadline| !is_named(deadline.split('=').next().unwrap_or_default()));
    let missing: Vec<&str> = missing.copied().collect();
    if !missing.is_empty() {
        whole.push(if query.is_some() { '&' } else { '?' });
        whole.push_str(&missing.join("&"));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_gone_without_a_word_is_not_waited_for() {
        let all =
            "connect_timeout=5&tcp_user_timeout=15000&keepalives_idle=10&keepalives_interval=3&keepalives_count=3";
        let rest = &all["connect_timeout=5&".len()..];
        for (given, made) in [
            ("postgres://h/db", format!("postgres://h/db?{all}")),
            ("postgres://h/db?", format!("postgres://h/db?{all}")),
            ("postgres://u:a?b@h/db", format!("postgres://u:a?b@h/db?{all}")),
            ("postgres://h?dbname=db&", format!("postgres://h?dbname=db&{all}")),
            (
                "postgres://a:1,b:2/db?target_session_attrs=read-write",
                format!("postgres://a:1,b:2/db?target_session_attrs=read-write&{all}"),
            ),
            (
                "postgres:///db?host=/run/postgresql",
                format!("postgres:///db?host=/run/postgresql&{all}"),
            ),
            (
                "postgres://h/db?connect_timeout=2",
                format!("postgres://h/db?connect_timeout=2&{rest}"),
            ),
            (
                "postgres://connect_timeout=1@h/db",
                format!("postgres://connect_timeout=1@h/db?{all}"),
            ),
        ] {
            assert_eq!(Location::parse(given), Ok(Location::Postgres(made)));
        }
    }
}
