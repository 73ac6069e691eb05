//! Reading JSON strictly: duplicate keys, unknown fields, arrays for objects and wrong types are refused, each with a
//! JSON pointer (RFC 6901) to the place. `serde_json` alone keeps the last duplicate and takes arrays for structs.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use crate::error::{Code, Problem, Result};

/// Parses bytes as JSON and then as `T`: 400 for what is no JSON, 422 for what breaks the type.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    typed(&value(bytes)?)
}

/// Parses bytes as JSON without duplicate keys.
pub fn value(bytes: &[u8]) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Unique
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix(DUPLICATE) {
            Some(rest) => Problem::new(Code::DuplicateKey, format!("An object names the key {rest}.")),
            None => Problem::new(Code::InvalidJson, format!("The body is not valid JSON: {text}.")),
        }
    })
}

/// Reads a value as `T`, strictly.
pub fn typed<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(Node {
        value,
        path: &Path::Root,
    })
    .map_err(|wrong| Problem::invalid(wrong.pointer.unwrap_or_default(), wrong.code, wrong.detail))
}

const DUPLICATE: &str = "duplicate key: ";

/// Builds a [`Value`] and refuses a key that an object already has.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(Unique)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(Unique)?;
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!("{DUPLICATE}{key:?} twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Where in the document we are.
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn pointer(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Key(parent, key) => format!("{}/{}", parent.pointer(), key.replace('~', "~0").replace('/', "~1")),
            Path::Index(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// What is wrong and where; the innermost node that knows its place fills the pointer in.
#[derive(Debug)]
struct Wrong {
    pointer: Option<String>,
    code: &'static str,
    detail: String,
}

impl Wrong {
    fn new(code: &'static str, detail: String) -> Self {
        Self {
            pointer: None,
            code,
            detail,
        }
    }

    fn at(mut self, path: &Path<'_>) -> Self {
        let inner = self.pointer.take();
        self.pointer = Some(match inner {
            // A missing field knows its own name but not its parent's place.
            Some(field) if self.code == "required" && !field.starts_with('/') => format!("{}/{field}", path.pointer()),
            Some(pointer) => pointer,
            None => path.pointer(),
        });
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("invalid_value", message.to_string())
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let unexpected = match unexpected {
            de::Unexpected::Unit => "null".to_owned(),
            de::Unexpected::Map => "an object".to_owned(),
            de::Unexpected::Seq => "an array".to_owned(),
            de::Unexpected::Str(_) => "text".to_owned(),
            other => other.to_string(),
        };
        Self::new("wrong_type", format!("Expected {expected}, found {unexpected}."))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new("invalid_value", format!("Expected {expected}, found {unexpected}."))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            "invalid_value",
            format!("{variant:?} is none of {}.", expected.join(", ")),
        )
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::new(
            "unknown_field",
            format!("There is no field {field:?} here, or it cannot be written."),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            pointer: Some(field.to_owned()),
            code: "required",
            detail: format!("The field {field} is needed."),
        }
    }
}

/// A value and its place, as something serde reads from.
#[derive(Clone, Copy)]
struct Node<'a> {
    value: &'a Value,
    path: &'a Path<'a>,
}

impl<'a> Node<'a> {
    fn list<'de, V: Visitor<'de>>(self, items: &'a [Value], visitor: V) -> Result<V::Value, Wrong> {
        visitor
            .visit_seq(Items {
                items,
                next: 0,
                path: self.path,
            })
            .map_err(|wrong| wrong.at(self.path))
    }

    fn object<'de, V: Visitor<'de>>(self, map: &'a Map<String, Value>, visitor: V) -> Result<V::Value, Wrong> {
        visitor
            .visit_map(Fields {
                rest: map.iter(),
                value: None,
                path: self.path,
            })
            .map_err(|wrong| wrong.at(self.path))
    }

    fn expected(self, what: &str) -> Wrong {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Wrong::new("wrong_type", format!("Expected {what}, found {found}.")).at(self.path)
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Array(items) => return self.list(items, visitor),
            Value::Object(map) => return self.object(map, visitor),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
        }
        .map_err(|wrong: Wrong| wrong.at(self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Value::Object(map) = self.value else {
            return Err(self.expected("an object"));
        };
        if let Some(key) = map.keys().find(|key| !fields.contains(&key.as_str())) {
            let wrong: Wrong = de::Error::unknown_field(key, fields);
            return Err(wrong.at(&Path::Key(self.path, key)));
        }
        self.object(map, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Value::String(text) = self.value else {
            return Err(self.expected("text"));
        };
        let variant: StrDeserializer<'_, Wrong> = text.as_str().into_deserializer();
        visitor.visit_enum(variant).map_err(|wrong| wrong.at(self.path))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Value],
    next: usize,
    path: &'a Path<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let index = self.next;
        let Some(value) = self.items.get(index) else {
            return Ok(None);
        };
        self.next += 1;
        let path = Path::Index(self.path, index);
        // A type of ours that reads text and then refuses it does not know where it stands.
        let read = seed.deserialize(Node { value, path: &path });
        read.map(Some).map_err(|wrong| wrong.at(&path))
    }
}

struct Fields<'a> {
    rest: serde_json::map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
    path: &'a Path<'a>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((key, value));
        let key: StrDeserializer<'_, Wrong> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a key is missing"));
        };
        let path = Path::Key(self.path, key);
        let read = seed.deserialize(Node { value, path: &path });
        read.map_err(|wrong| wrong.at(&path))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::types::Patch;

    #[derive(Debug, Deserialize, PartialEq)]
    #[allow(dead_code, reason = "read by Debug")]
    struct Outer {
        title: String,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<u32>,
        #[serde(default)]
        patch: Patch<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        name: String,
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = parse::<Outer>(text.as_bytes()).expect_err(text);
        let json = problem.to_json("", "", "");
        let pointer = json["errors"][0]["pointer"].as_str().unwrap_or("-").to_owned();
        (problem.code().status().as_u16(), pointer)
    }

    #[test]
    fn every_wrong_thing_is_pointed_at() {
        assert_eq!(refused("{"), (400, "-".into()));
        assert_eq!(refused(r#"{"title":"a","title":"b"}"#), (400, "-".into()));
        assert_eq!(refused(r#"{"title":"\ud800"}"#), (400, "-".into()));
        assert_eq!(refused(r#"["a"]"#), (422, String::new()));
        assert_eq!(refused(r#"{}"#), (422, "/title".into()));
        assert_eq!(refused(r#"{"title":1}"#), (422, "/title".into()));
        assert_eq!(refused(r#"{"title":"a","inner":["x"]}"#), (422, "/inner".into()));
        assert_eq!(refused(r#"{"title":"a","inner":{}}"#), (422, "/inner/name".into()));
        assert_eq!(
            refused(r#"{"title":"a","inner":{"name":"b","x/y":1}}"#),
            (422, "/inner/x~1y".into())
        );
        assert_eq!(refused(r#"{"title":"a","list":[1,-2]}"#), (422, "/list/1".into()));
        assert_eq!(
            refused(r#"{"title":"a","status":"published"}"#),
            (422, "/status".into())
        );
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(refused(&deep), (400, "-".into()));
    }

    #[test]
    fn a_patch_tells_absent_from_null() {
        let read = |text: &str| parse::<Outer>(text.as_bytes()).expect("valid").patch;
        assert_eq!(read(r#"{"title":"a"}"#), Patch::Keep);
        assert_eq!(read(r#"{"title":"a","patch":null}"#), Patch::Clear);
        assert_eq!(read(r#"{"title":"a","patch":"x"}"#), Patch::Set("x".into()));
    }
}
