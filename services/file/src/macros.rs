//! The macros that say a key's name, type, default and meaning once, and give the struct, the reader and the schema.

/// What is read of a key, and what holds without it.
#[doc(hidden)]
#[macro_export]
macro_rules! absent {
    ($type:ty) => {
        <$type as $crate::Read>::absent
    };
    ($type:ty, $default:expr) => {
        || Some($default)
    };
}

/// A struct whose fields are the keys of a map: each with its spelling, its default, and its place in the schema. What begins
/// with `written` can be written again, too.
///
/// `inert` keys are read and without effect, which is warned of; `refused` keys may hold nothing.
#[macro_export]
macro_rules! keys {
    (written $($struct:tt)*) => {
        $crate::keys! { $($struct)* }
        $crate::written! { $($struct)* }
    };
    (
        $(#[doc = $about:literal])* $(#[derive($($derive:ident),*)])?
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $field:ident : $type:ty = $key:literal $(| $alias:literal)* $(or $default:expr)?,)*
        }
        $(inert { $($inert:literal => $why:literal,)* })?
        $(refused { $($refused:literal => $remedy:literal,)* })?
    ) => {
        $(#[doc = $about])* $(#[derive($($derive),*)])?
        $vis struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl $crate::Read for $name {
            fn read(
                node: &$crate::Node,
                at: &$crate::Place,
                problems: &mut $crate::Problems,
            ) -> Option<Self> {
                const KNOWN: &[&str] = &[$($key, $($alias,)*)* $($($inert,)*)? $($($refused,)*)?];
                let fields = $crate::Fields::of(node, at, KNOWN, problems)?;
                $($(fields.inert($inert, $why, problems);)*)?
                $($(fields.refused($refused, $remedy, problems);)*)?
                $(let $field = fields.take::<$type>(
                    &[$key, $($alias),*], $crate::absent!($type $(, $default)?), problems,
                );)*
                Some(Self { $($field: $field?,)* })
            }

            fn absent() -> Option<Self> {
                let (node, at) = (&$crate::Node::EMPTY, &$crate::Place::root());
                Self::read(node, at, &mut $crate::Problems::of(""))
            }

            fn schema() -> $crate::serde_json::Value {
                let mut properties = $crate::serde_json::Map::new();
                $(
                    let mut schema = <$type as $crate::Read>::schema();
                    schema["description"] = concat!($($doc,)*).trim().into();
                    $(properties.insert($alias.to_owned(), schema.clone());)*
                    properties.insert($key.to_owned(), schema);
                )*
                $($(properties.insert($inert.to_owned(), $crate::serde_json::json!({
                    "description": concat!("Has no effect: ", $why), "deprecated": true,
                }));)*)?
                let mut schema = $crate::serde_json::json!({
                    "type": ["object", "null"], "additionalProperties": false, "properties": properties,
                });
                let required = [$(([$key, $($alias),*].as_slice(), $crate::required::<$type>($crate::absent!($type $(, $default)?))),)*];
                let required = required.into_iter().filter(|(keys, required)| *required && keys.len() == 1);
                let required: Vec<_> = required.map(|(keys, _)| keys[0]).collect();
                if !required.is_empty() {
                    schema["type"] = "object".into();
                    schema["required"] = required.into();
                }
                schema
            }
        }
    };
}

/// Writes a struct of [`keys!`] as it would be read.
#[doc(hidden)]
#[macro_export]
macro_rules! written {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $field:ident : $type:ty = $key:literal $(| $alias:literal)* $(or $default:expr)?,)*
        }
        $($rest:tt)*
    ) => {
        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::fields(serializer, &[$(($key, $crate::field(&self.$field)),)*])
            }
        }
    };
}

/// A word out of a few. What begins with `written` can be written again, too.
#[macro_export]
macro_rules! words {
    (written $type:ty { $($word:literal => $value:expr,)* }) => {
        $crate::words!($type { $($word => $value,)* });

        impl $type {
            /// As it is written.
            #[must_use]
            pub fn word(self) -> &'static str {
                [$(($value, $word)),*].into_iter().find(|(value, _)| *value == self).map_or("", |(_, word)| word)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::serde::Serialize for $type {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $type {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as $crate::serde::Deserialize>::deserialize(deserializer)?;
                <Self as $crate::Word>::parse(&word).map_err($crate::serde::de::Error::custom)
            }
        }
    };
    ($type:ty { $($word:literal => $value:expr,)* }) => {
        impl $crate::Word for $type {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)*
                    _ => Err(format!("{text:?} is none of {}", [$($word),*].join(", "))),
                }
            }

            fn schema() -> $crate::serde_json::Value {
                $crate::serde_json::json!({"enum": [$($word),*]})
            }
        }
    };
}
