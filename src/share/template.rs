//! The words of the mail: fixed, in two languages, as text and as HTML.

/// What the mail tells.
#[derive(Debug)]
pub struct Words<'w> {
    /// `vi`, or anything else for English.
    pub language: &'w str,
    /// The site's name.
    pub site: &'w str,
    /// Who sends it, as they say.
    pub sender: &'w str,
    /// Their words.
    pub note: Option<&'w str>,
    /// Headline.
    pub title: &'w str,
    /// Opening paragraph.
    pub lead: Option<&'w str>,
    /// The story's address.
    pub url: &'w str,
    /// Where the recipient ends this.
    pub opt_out: &'w str,
}

impl Words<'_> {
    fn pick<'t>(&self, vi: &'t str, en: &'t str) -> &'t str {
        if self.language == "vi" { vi } else { en }
    }

    /// The subject, in which nothing is the sender's.
    pub fn subject(&self) -> String {
        format!(
            "{} {}",
            self.pick("Một bài viết gửi tới bạn từ", "A story for you from"),
            self.site
        )
    }

    fn opening(&self) -> String {
        let rest = self.pick("gửi tới bạn một bài viết.", "sends you a story.");
        format!("{} {rest}", self.sender)
    }

    fn closing(&self) -> &str {
        self.pick(
            "Không muốn nhận những thư như thế này nữa:",
            "To get no more mails like this:",
        )
    }

    /// The plain part.
    pub fn text(&self) -> String {
        let mut parts = vec![self.opening()];
        parts.extend(self.note.map(str::to_owned));
        parts.push(self.title.to_owned());
        parts.extend(self.lead.map(str::to_owned));
        parts.push(self.url.to_owned());
        parts.push(format!("-- \n{}\n{}", self.closing(), self.opt_out));
        parts.join("\n\n") + "\n"
    }

    /// The HTML part.
    pub fn html(&self) -> String {
        let note = self
            .note
            .map(|note| format!("<blockquote>{}</blockquote>", escaped(note).replace('\n', "<br>")));
        let lead = self.lead.map(|lead| format!("<p>{}</p>", escaped(lead)));
        format!(
            "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><body><p>{}</p>{}<h1><a href=\"{}\">{}</a></h1>{}<hr><p>{} <a href=\"{opt_out}\">{opt_out}</a></p></body></html>",
            self.pick("vi", "en"),
            escaped(&self.opening()),
            note.unwrap_or_default(),
            escaped(self.url),
            escaped(self.title),
            lead.unwrap_or_default(),
            self.closing(),
            opt_out = escaped(self.opt_out),
        )
    }
}

/// Text as HTML shows it, in an attribute too.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_senders_is_markup() {
        let words = Words {
            language: "vi",
            site: "Tin",
            sender: "<b>An</b>",
            note: Some("<script>\nx"),
            title: "A & B",
            lead: None,
            url: "http://a.vn/?x=\"",
            opt_out: "http://a.vn/o",
        };
        let html = words.html();
        assert!(html.contains("&lt;b&gt;An") && html.contains("&lt;script&gt;<br>x") && html.contains("A &amp; B"));
        assert!(!html.contains("<script>") && html.contains("?x=&quot;"));
        assert!(words.text().contains("<b>An</b>") && !words.subject().contains("An"));
    }
}
