//! A body as it was frozen: its JSON, which most answers only pass on.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Body;
use crate::error::{Problem, Result};

/// The JSON of a body whose content was checked when it was kept. Reading it is left to those who need more than its
/// bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeptBody(Box<RawValue>);

impl KeptBody {
    /// Freezes a body.
    pub fn new(body: &Body) -> Result<Self> {
        serde_json::value::to_raw_value(body)
            .map(Self)
            .map_err(Problem::internal)
    }

    /// The body.
    pub fn read(&self) -> Result<Body> {
        serde_json::from_str(self.0.get()).map_err(Problem::internal)
    }

    /// The same with `caption` in each figure: what `shown` knows of its `caption_id`, or null. The other blocks are
    /// passed on unread.
    pub fn with_captions<T: Serialize>(self, shown: impl Fn(&str) -> Option<T>) -> Result<Self> {
        if !self.0.get().contains(FIGURE) {
            return Ok(self);
        }
        let blocks: Vec<&RawValue> = serde_json::from_str(self.0.get()).map_err(Problem::internal)?;
        let mut json = String::with_capacity(self.0.get().len() + 1024);
        for block in blocks {
            json.push(if json.is_empty() { '[' } else { ',' });
            if !block.get().contains(FIGURE) {
                json.push_str(block.get());
                continue;
            }
            let mut block: Value = serde_json::from_str(block.get()).map_err(Problem::internal)?;
            if block["_type"] == "figure" {
                let caption = block["caption_id"].as_str().and_then(&shown);
                block["caption"] = serde_json::to_value(caption).map_err(Problem::internal)?;
            }
            json.push_str(&block.to_string());
        }
        json.push(']');
        RawValue::from_string(json).map(Self).map_err(Problem::internal)
    }
}

/// What the JSON of a figure contains, and that of other blocks seldom.
const FIGURE: &str = "\"figure\"";

impl PartialEq for KeptBody {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(json: &Value) -> KeptBody {
        serde_json::from_value(json.clone()).expect("JSON")
    }

    #[test]
    fn figures_get_their_captions_and_nothing_else_is_touched() {
        let text = json!({ "_type": "block", "_key": "a", "children": [{ "_type": "span", "text": "a \"figure\" of speech" }] });
        let shown = json!({ "_type": "figure", "_key": "b", "caption_id": "one" });
        let unknown = json!({ "_type": "figure", "_key": "c", "caption_id": "two" });
        let body = kept(&json!([text, shown, unknown]));
        let body = body
            .with_captions(|id| (id == "one").then_some("its words"))
            .expect("a body");
        let expected = json!([
            text,
            { "_type": "figure", "_key": "b", "caption_id": "one", "caption": "its words" },
            { "_type": "figure", "_key": "c", "caption_id": "two", "caption": null },
        ]);
        assert_eq!(body, kept(&expected));
    }

    #[test]
    fn bodies_without_figures_stay_as_they_are() {
        for body in [json!([]), json!([{ "_type": "divider", "_key": "a" }])] {
            assert_eq!(kept(&body).with_captions(|_| Some(1)).expect("a body"), kept(&body));
        }
    }
}
