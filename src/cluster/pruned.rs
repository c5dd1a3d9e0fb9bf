//! Deserializes a type without one part of its input: the part is skipped while reading and never held in memory.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor, value::StringDeserializer,
};
use serde::forward_to_deserialize_any;

/// Reads a map without the value at the end of this path. Each part of the path but the last must be a map itself; the format
/// must be self-describing, as JSON is.
pub(super) struct Without<D> {
    pub(super) from: D,
    pub(super) path: &'static [&'static str],
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Without<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.from.deserialize_any(Pruned { into: visitor, path: self.path })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Reads with `into`, without the value at the end of the path.
struct Pruned<T> {
    into: T,
    path: &'static [&'static str],
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Pruned<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.into.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.into.visit_map(Entries { from: entries, path: self.path, below: None })
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.into.visit_unit()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Pruned<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.into.deserialize(Without { from, path: self.path })
    }
}

struct Entries<A> {
    from: A,
    path: &'static [&'static str],
    /// The rest of the path for the next value, if the path leads there.
    below: Option<&'static [&'static str]>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.from.next_key::<String>()? {
            self.below = match self.path {
                [last] if key == *last => {
                    self.from.next_value::<IgnoredAny>()?;
                    continue;
                }
                [first, rest @ ..] if key == *first && !rest.is_empty() => Some(rest),
                _ => None,
            };
            let key: StringDeserializer<A::Error> = key.into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.below.take() {
            Some(path) => self.from.next_value_seed(Pruned { into: seed, path }),
            None => self.from.next_value_seed(seed),
        }
    }
}
