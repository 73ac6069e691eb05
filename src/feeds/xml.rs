//! XML 1.0, written piece by piece.

use std::borrow::Cow;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::error::{Problem, Result};

/// A document under construction.
pub struct Xml(Writer<Vec<u8>>);

/// Names and values.
type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Xml {
    /// A document in UTF-8.
    pub fn new() -> Result<Self> {
        let mut xml = Self(Writer::new(Vec::new()));
        xml.write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        Ok(xml)
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str, attributes: Attributes<'_>) -> Result<()> {
        self.write(Event::Start(start(name, attributes)))
    }

    /// Closes an element.
    pub fn close(&mut self, name: &str) -> Result<()> {
        self.write(Event::End(BytesEnd::new(name)))
    }

    /// An element without content.
    pub fn empty(&mut self, name: &str, attributes: Attributes<'_>) -> Result<()> {
        self.write(Event::Empty(start(name, attributes)))
    }

    /// An element with text in it.
    pub fn text(&mut self, name: &str, attributes: Attributes<'_>, text: &str) -> Result<()> {
        self.open(name, attributes)?;
        self.write(Event::Text(BytesText::new(&allowed(text))))?;
        self.close(name)
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner()
    }

    fn write(&mut self, event: Event<'_>) -> Result<()> {
        self.0.write_event(event).map_err(Problem::internal)
    }
}

fn start<'a>(name: &'a str, attributes: Attributes<'a>) -> BytesStart<'a> {
    let attributes = attributes.iter().map(|(name, value)| (*name, allowed(value)));
    BytesStart::new(name).with_attributes(attributes)
}

/// Without the characters that XML 1.0 has no way to write.
fn allowed(text: &str) -> Cow<'_, str> {
    let fits = |c: char| !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    if text.chars().all(fits) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter(|c| fits(*c)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        let mut xml = Xml::new().expect("a document");
        xml.text("a", &[("b", "\"<&\u{1}")], "]]></a><script>&\u{0}\u{fffe}")
            .expect("written");
        let text = String::from_utf8(xml.finish()).expect("UTF-8");
        let (_, text) = text.split_once("?>").expect("a declaration");
        assert_eq!(text, "<a b=\"&quot;&lt;&amp;\">]]&gt;&lt;/a&gt;&lt;script&gt;&amp;</a>");
    }
}
