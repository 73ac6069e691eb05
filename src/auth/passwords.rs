//! Passwords: which ones are taken, how they are kept (argon2id), and how much of this machine hashing may use.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::Rng;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Code, Problem, Result};
use crate::text::{Check, fold};

/// Fewest characters of a password.
pub const SHORTEST: usize = 15;
/// Most characters of a password.
pub const LONGEST: usize = 128;
/// Most characters that a login reads: more than any password has, so that longer ones need no hashing.
pub const LONGEST_TRIED: usize = 1000;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Bytes of salt.
const SALT_BYTES: usize = 16;
/// Lanes.
const LANES: u32 = 1;
/// Hashes that may wait for their turn; more are answered 503.
const QUEUE: usize = 64;

/// Hashes at the same time, however many cores there are: each needs the memory above.
const AT_ONCE: usize = 4;

/// What comparing a password with a stored hash tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Whether it is the right one.
    pub right: bool,
    /// Whether its stored hash took less work than those made today and should be made anew.
    pub cheap: bool,
}

/// Hashes passwords off the async threads, one a core at a time, with a short queue: a hash takes 19 MiB and tens of
/// milliseconds, so an unbounded number of logins would take the machine.
pub struct Hashing {
    /// Places at work and in the queue.
    places: Arc<Semaphore>,
    /// Places at work.
    permits: Arc<Semaphore>,
    /// The memory of hashes that are done, for the next ones. Left to the allocator, every thread of the pool would
    /// keep a piece of its own: hundreds of MiB after a storm of logins.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl Hashing {
    /// One hash a core at the same time, and never more than four.
    pub fn new(cores: usize) -> Self {
        let at_once = cores.clamp(1, AT_ONCE);
        Self {
            places: Arc::new(Semaphore::new(at_once + QUEUE)),
            permits: Arc::new(Semaphore::new(at_once)),
            memory: Arc::default(),
        }
    }

    /// The text that is stored for a password (PHC string format).
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = normal(password);
        self.run(move |memory| {
            let mut salt = [0; SALT_BYTES];
            rand::rng().fill_bytes(&mut salt);
            let recipe = Recipe::today()?;
            let out = recipe.cook(password.as_bytes(), &salt, Params::DEFAULT_OUTPUT_LEN, memory)?;
            let (salt, out) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(out));
            Ok(format!(
                "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${out}"
            ))
        })
        .await
    }

    /// Compares a password with a stored hash. Without one it works as long and says no, so that the time of an answer
    /// does not tell whether there is an account.
    pub async fn check(&self, password: &str, stored: Option<String>) -> Result<Checked> {
        let password = normal(password);
        self.run(move |memory| match &stored {
            Some(stored) => compare(password.as_bytes(), stored, memory),
            None => {
                let recipe = Recipe::today()?;
                let out = recipe.cook(
                    password.as_bytes(),
                    b"no such account!",
                    Params::DEFAULT_OUTPUT_LEN,
                    memory,
                )?;
                std::hint::black_box(out);
                Ok(Checked {
                    right: false,
                    cheap: false,
                })
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Problem::new(Code::Unavailable, "Too many people sign in just now: try again.").header("Retry-After", "2")
        })?;
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(Problem::internal)?;
        let shared = Arc::clone(&self.memory);
        let joined = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a client that goes away does not free a place that is still used.
            let _held = (place, permit);
            let pieces = || shared.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = pieces().pop();
            let mut memory = taken.unwrap_or_default();
            let result = work(&mut memory);
            pieces().push(memory);
            result
        });
        joined.await.map_err(Problem::internal)?
    }
}

/// How a hash is made.
struct Recipe {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Recipe {
    /// How hashes are made now.
    fn today() -> Result<Self> {
        Ok(Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(Problem::internal)?,
        })
    }

    /// How a stored hash was made.
    fn of(stored: &PasswordHash) -> Result<Self> {
        let version = stored.version.unwrap_or(Version::V0x13.into());
        Ok(Self {
            algorithm: Algorithm::try_from(stored.algorithm.as_str()).map_err(Problem::internal)?,
            version: Version::try_from(version).map_err(Problem::internal)?,
            params: Params::try_from(stored).map_err(Problem::internal)?,
        })
    }

    /// Whether it takes less work than today's.
    fn is_cheap(&self) -> bool {
        self.params.m_cost() < MEMORY_KIB
            || self.params.t_cost() < PASSES
            || self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
    }

    fn cook(self, password: &[u8], salt: &[u8], length: usize, memory: &mut Vec<Block>) -> Result<Vec<u8>> {
        let blocks = self.params.block_count();
        if memory.len() < blocks {
            memory.resize(blocks, Block::new());
        }
        let mut out = vec![0; length];
        Argon2::new(self.algorithm, self.version, self.params)
            .hash_password_into_with_memory(password, salt, &mut out, &mut memory[..blocks])
            .map_err(Problem::internal)?;
        Ok(out)
    }
}

fn compare(password: &[u8], stored: &str, memory: &mut Vec<Block>) -> Result<Checked> {
    let stored = PasswordHash::new(stored).map_err(Problem::internal)?;
    let recipe = Recipe::of(&stored)?;
    let cheap = recipe.is_cheap();
    let (Some(salt), Some(right)) = (&stored.salt, &stored.hash) else {
        return Err(Problem::internal("a stored password has no salt or no hash"));
    };
    let out = recipe.cook(password, salt, right.len(), memory)?;
    // Compared in constant time.
    let right = Output::new(&out).map_err(Problem::internal)? == *right;
    Ok(Checked {
        right,
        cheap: right && cheap,
    })
}

/// The form in which a password is hashed, so that one keyboard's accents equal another's: NFC, and every space a plain
/// one (the OpaqueString profile of RFC 8265). Nothing is trimmed or folded.
fn normal(password: &str) -> String {
    password
        .nfc()
        .map(|c| if c.is_whitespace() && !c.is_control() { ' ' } else { c })
        .collect()
}

/// Checks a new password and notes what is wrong with it. `own` is what an attacker tries first for this account: the
/// e-mail address, the name of the site.
pub fn check_new(check: &mut Check, pointer: &str, password: &str, own: &[&str]) {
    let password = normal(password);
    let length = password.chars().count();
    if password.chars().any(char::is_control) {
        check.fail(
            pointer,
            "invalid_text",
            "A password has no control characters: they cannot be typed again.",
        );
    } else if length < SHORTEST {
        check.fail(
            pointer,
            "too_short",
            format!("A password has at least {SHORTEST} characters; a few unrelated words are easy to remember."),
        );
    } else if length > LONGEST {
        check.fail(
            pointer,
            "too_long",
            format!("A password has at most {LONGEST} characters."),
        );
    } else if is_guessable(&password, own) {
        check.fail(
            pointer,
            "too_guessable",
            "This password is among the first that are tried: it is little more than common words, keys in a row, \
             repetitions, a year, the e-mail address or the name of the site. Use a few unrelated words.",
        );
    }
}

/// What people stretch to reach a length, folded and without spaces. Long passwords that leak are mostly these.
const WORDS: &[&str] = &[
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "passcode",
    "motdepasse",
    "contrasena",
    "senha",
    "wachtwoord",
    "matkhau",
    "matma",
    "newsdesk",
    "newsroom",
    "toasoan",
    "bientap",
    "administrator",
    "admin",
    "quantri",
    "manager",
    "letmein",
    "welcome",
    "changeme",
    "changethis",
    "changeit",
    "default",
    "secret",
    "login",
    "signin",
    "access",
    "master",
    "superuser",
    "root",
    "user",
    "guest",
    "test",
    "temp",
    "demo",
    "example",
    "iloveyou",
    "anhyeuem",
    "emyeuanh",
    "yeuem",
    "trustno",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "dragon",
    "monkey",
    "shadow",
    "superman",
    "batman",
    "starwars",
    "whatever",
    "hello",
    "vietnam",
    "saigon",
    "hanoi",
];

/// Keys and letters that stand in a row.
const ROWS: &[&str] = &[
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "abcdefghijklmnopqrstuvwxyz",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "!@#$%^&*()",
    "q1w2e3r4t5y6u7i8o9p0",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// Keys in a row that count as one thing.
const RUN: usize = 4;
/// Different characters that must be left when everything an attacker would try first is taken away.
const LEFT: usize = 5;

/// Takes away everything that is tried first and looks whether enough is left.
fn is_guessable(password: &str, own: &[&str]) -> bool {
    let plain = bare(password);
    let spoken: Vec<char> = plain.iter().map(|c| unmasked(*c)).collect();
    let mut worth = vec![true; plain.len()];
    let own = own.iter().flat_map(|text| own_words(text));
    for word in WORDS.iter().map(|word| word.chars().collect()).chain(own) {
        strike(&mut worth, &plain, &word);
        strike(&mut worth, &spoken, &word);
    }
    for row in ROWS {
        let forward: Vec<char> = row.chars().collect();
        let backward: Vec<char> = row.chars().rev().collect();
        for row in [forward, backward] {
            for run in row.windows(RUN) {
                strike(&mut worth, &plain, run);
            }
        }
    }
    for at in 0..plain.len() {
        let year = plain.get(at..at + 4).is_some_and(|four| {
            (four.starts_with(&['1', '9']) || four.starts_with(&['2', '0'])) && four.iter().all(char::is_ascii_digit)
        });
        if year {
            worth[at..at + 4].fill(false);
        }
    }
    let unit = repeated_unit(&plain);
    let left: HashSet<char> = plain
        .iter()
        .zip(&worth)
        .take(unit)
        .filter(|(_, worth)| **worth)
        .map(|(c, _)| *c)
        .collect();
    left.len() < LEFT
}

/// Folded, and without what only separates.
fn bare(text: &str) -> Vec<char> {
    fold(text)
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_' | '.' | ',' | '/'))
        .collect()
}

/// The letter that a digit or sign is written for.
fn unmasked(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// The whole of an address or a name, and its parts of four letters or more.
fn own_words(text: &str) -> Vec<Vec<char>> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    let mut words: Vec<Vec<char>> = parts.map(bare).filter(|word| word.len() >= 4).collect();
    words.push(bare(text));
    words.retain(|word| word.len() >= 3);
    words
}

/// Marks every place where the word stands as worth nothing.
fn strike(worth: &mut [bool], text: &[char], word: &[char]) {
    for at in 0..text.len() {
        if text[at..].starts_with(word) {
            worth[at..at + word.len()].fill(false);
        }
    }
}

/// How long the unit is that the text repeats; all of it when it repeats none.
fn repeated_unit(text: &[char]) -> usize {
    let repeats = |unit: &usize| (*unit..text.len()).all(|at| text[at] == text[at - unit]);
    (1..=text.len() / 2).find(repeats).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(password: &str) -> Option<String> {
        let mut check = Check::new();
        check_new(
            &mut check,
            "/password",
            password,
            &["thu.ha@baothainguyen.vn", "Báo Thái Nguyên"],
        );
        let json = check.done().err()?.to_json("", "", "");
        Some(json["errors"][0]["code"].as_str().unwrap_or("").to_owned())
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(
            refused("đường làng quê"),
            Some("too_short".into()),
            "14 characters, 20 bytes"
        );
        assert_eq!(refused("đường làng quê!"), None);
        let long: String = "xanh đỏ tím vàng lục lam chàm ".chars().cycle().take(128).collect();
        assert_eq!(refused(&long), None);
        assert_eq!(refused(&(long + "x")), Some("too_long".into()));
        assert_eq!(refused("correct\u{0}horse battery"), Some("invalid_text".into()));
    }

    #[test]
    fn stretched_and_patterned_passwords_are_refused() {
        for guessable in [
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "passwordpassword",
            "Password-12345678",
            "P@ssw0rdP@ssw0rd!",
            "qwertyuiopasdfghjkl",
            "1qaz2wsx3edc4rfv",
            "0987654321098765",
            "2024202420242024",
            "newsdesk-newsdesk-1",
            "newsdesk admin 2026",
            "thu.ha@baothainguyen.vn",
            "bao thai nguyen 2026",
            "Mật khẩu mật khẩu 123",
            "!@#$%^&*()!@#$%^&*()",
            "                    ",
            "abcabcabcabcabcabc",
        ] {
            assert_eq!(refused(guessable), Some("too_guessable".into()), "{guessable}");
        }
    }

    #[test]
    fn words_and_noise_are_taken_without_rules_of_composition() {
        for good in [
            "correct horse battery staple",
            "mat-khau-rat-dai-2024",
            "con mèo trèo cây cau",
            "8f3a1c77d09e4b52",
            "🍊🍋🍐🍎🍓🍒🍑🥝🍉🍇🫐🍈🍌🍍🥭",
            "A long test password",
        ] {
            assert_eq!(refused(good), None, "{good}");
        }
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_in_every_spelling() {
        let hashing = Hashing::new(1);
        let stored = hashing.hash("đường làng\u{a0}quê xa").await.expect("a hash");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let decomposed: String = "đường làng quê xa".nfd().collect();
        let checked = hashing.check(&decomposed, Some(stored.clone())).await.expect("checked");
        assert_eq!(
            checked,
            Checked {
                right: true,
                cheap: false
            }
        );
        assert!(
            !hashing
                .check("Đường làng quê xa", Some(stored))
                .await
                .expect("checked")
                .right
        );
        assert!(!hashing.check("đường làng quê xa", None).await.expect("checked").right);
    }

    #[tokio::test]
    async fn cheap_hashes_are_told_apart() {
        let cheap = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8 * 1024, 1, 1, None).expect("parameters"),
        );
        let stored = argon2::PasswordHasher::hash_password(&cheap, b"correct horse").expect("a hash");
        let stored = stored.to_string();
        let checked = Hashing::new(1)
            .check("correct horse", Some(stored))
            .await
            .expect("checked");
        assert!(checked.right && checked.cheap);
    }
}
