//! Which spellings of an address are one mailbox. Friends are counted and opt out by mailbox: whoever could get past that by
//! writing `victim+1@` or `v.ictim@` could fill it. Mail goes to the address as it was written.

use crate::text::email_key;

/// Two names of one house, in which dots of the local part mean nothing.
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// The key of an address's mailbox.
pub fn key(email: &str) -> String {
    let (local, domain) = parts(email);
    if GMAIL.contains(&domain.as_str()) {
        format!("{}@{}", local.replace('.', ""), GMAIL[0])
    } else {
        format!("{local}@{domain}")
    }
}

/// Keys under which its owner may have opted out before mailboxes had keys: the address as it was written then, also without
/// its tag and under both names of its house. Of the stored HMACs nothing can be told but whether they are these.
pub fn earlier_keys(email: &str) -> Vec<String> {
    let (local, domain) = parts(email);
    let mut keys = vec![email_key(email)];
    if GMAIL.contains(&domain.as_str()) {
        let plain = local.replace('.', "");
        keys.extend(
            [&local, &plain]
                .iter()
                .flat_map(|local| GMAIL.map(|house| format!("{local}@{house}"))),
        );
    }
    keys
}

/// The local part without its tag, and the domain in ASCII, both in lower case.
fn parts(email: &str) -> (String, String) {
    let email = email_key(email);
    let (local, domain) = email.rsplit_once('@').unwrap_or((&email, ""));
    let local = match local.split_once('+') {
        // Nothing would be left of `+an@`, and all such addresses be one.
        Some((plain, _)) if !plain.is_empty() => plain,
        _ => local,
    };
    let ascii = url::Host::parse(domain).map_or_else(|_| domain.to_owned(), |host| host.to_string());
    (local.to_owned(), ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_have_one_key() {
        for (key_wanted, spellings) in [
            (
                "victim@gmail.com",
                &[
                    "victim@gmail.com",
                    " Victim+1@Gmail.com ",
                    "v.i.c.t.i.m@gmail.com",
                    "vic.tim+a+b@googlemail.com",
                ][..],
            ),
            ("v.ictim@example.vn", &["v.ictim@example.vn", "V.ictim+tin@EXAMPLE.vn"]),
            (
                "an@xn--bcher-kva.example",
                &["an@bücher.example", "an+1@XN--BCHER-KVA.example"],
            ),
            ("+an@example.vn", &["+an@example.vn"]),
            ("an@1.2.3.4.5", &["an@1.2.3.4.5"]),
        ] {
            for spelling in spellings {
                assert_eq!(key(spelling), key_wanted, "{spelling}");
            }
        }
        assert_ne!(
            key("vic.tim@example.vn"),
            key("victim@example.vn"),
            "dots mean something elsewhere"
        );
    }

    #[test]
    fn earlier_keys_are_those_that_were_stored() {
        assert_eq!(earlier_keys("An+1@Example.vn"), ["an+1@example.vn"]);
        let keys = earlier_keys("Vic.tim+2@gmail.com");
        for stored in [
            "vic.tim+2@gmail.com",
            "vic.tim@gmail.com",
            "vic.tim@googlemail.com",
            "victim@googlemail.com",
        ] {
            assert!(keys.iter().any(|key| key == stored), "{stored}");
        }
    }
}
