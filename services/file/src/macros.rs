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

/// A struct whose fields are the keys of a map: each with its spelling, its default, and its place in the schema.
///
/// `inert` keys are read and without effect, which is warned of; `refused` keys may hold nothing.
#[macro_export]
macro_rules! keys {
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
                $crate::serde_json::json!({"type": ["object", "null"], "additionalProperties": false, "properties": properties})
            }
        }
    };
}

/// A word out of a few.
#[macro_export]
macro_rules! words {
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
