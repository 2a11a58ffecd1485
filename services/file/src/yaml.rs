//! YAML as a tree of texts that know their lines: numbers keep the digits that are written, which a float would not.

use std::{borrow::Cow, collections::BTreeMap};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, options};

use crate::{Place, Problems};

/// One value of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it begins; 0 where it stands in no file.
    pub line: usize,
    /// Whether a text stands without quotes: `6` is a number then, and `'6'` is a text.
    pub plain: bool,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A text, number or truth value, as it is written.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in the file's order.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Its line.
    pub line: usize,
}

/// No file has more values than this, aliases counted as often as they stand: a few lines can else unfold to gigabytes.
const MOST_NODES: usize = 200_000;

impl Node {
    /// An empty map: what stands for keys that are not written.
    pub const EMPTY: Self = Self { line: 0, plain: false, content: Content::Map(Vec::new()) };

    /// Whether something is written here: no empty text, list, map, `false` or null.
    #[must_use]
    pub fn says_something(&self) -> bool {
        match &self.content {
            Content::Null => false,
            Content::Text(text) => !text.is_empty() && text != "false",
            Content::List(items) => !items.is_empty(),
            Content::Map(entries) => !entries.is_empty(),
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Text(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "keys and values",
        }
    }

    fn size(&self) -> usize {
        match &self.content {
            Content::Null | Content::Text(_) => 1,
            Content::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Content::Map(entries) => 1 + entries.iter().map(|(_, value)| value.size()).sum::<usize>(),
        }
    }
}

/// Reads one document. What is wrong is told to `problems`; `None` where nothing can be made of the text at all.
pub fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let options = options! { emit_comments: false };
    let mut reading =
        Reading { events: Parser::new_from_str_with_options(text, options), anchors: BTreeMap::new(), nodes: 0, problems };
    match reading.document() {
        Ok(node) => Some(node),
        Err(Stop { line, rule }) => {
            reading.problems.add(&Place::root(), line, rule);
            None
        }
    }
}

/// Nothing can be read beyond this.
struct Stop {
    line: usize,
    rule: String,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self { line: error.marker().line(), rule: error.info() }
    }
}

struct Reading<'a, I> {
    events: I,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    problems: &'a mut Problems,
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, granit_parser::Span), ScanError>>> Reading<'_, I> {
    fn next(&mut self) -> Result<(Event<'a>, usize), Stop> {
        match self.events.next() {
            Some(event) => event.map(|(event, span)| (event, span.start.line())).map_err(Stop::from),
            None => Err(Stop { line: 0, rule: "the file ends too early".to_owned() }),
        }
    }

    fn document(&mut self) -> Result<Node, Stop> {
        let mut found = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(found.unwrap_or(Node { line: 1, plain: false, content: Content::Null })),
                (event, line) if event.is_node() => {
                    if found.is_some() {
                        return Err(Stop { line, rule: "one document is expected, and a second begins here".to_owned() });
                    }
                    found = Some(self.node(event, line)?);
                }
                _ => {}
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "every other event is no value")]
    fn node(&mut self, event: Event<'a>, line: usize) -> Result<Node, Stop> {
        self.nodes += 1;
        let anchor = event.anchor_id();
        let mut plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, ..));
        let content = match event {
            Event::Alias(id) => self.anchors.get(&id).map_or(Content::Null, |node| {
                plain = node.plain;
                node.content.clone()
            }),
            Event::Scalar(text, style, ..) => scalar(text, style),
            Event::SequenceStart(..) => Content::List(self.list()?),
            Event::MappingStart(..) => Content::Map(self.map()?),
            other => return Err(Stop { line, rule: format!("{other:?} is not expected here") }),
        };
        let node = Node { line, plain, content };
        if anchor.is_none() && matches!(node.content, Content::List(_) | Content::Map(_)) {
            self.nodes = self.nodes.max(node.size());
        }
        if self.nodes > MOST_NODES {
            return Err(Stop { line, rule: format!("more than {MOST_NODES} values") });
        }
        if let Some(id) = anchor {
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, line) if event.is_node() => items.push(self.node(event, line)?),
                _ => {}
            }
        }
    }

    fn map(&mut self) -> Result<Vec<(Key, Node)>, Stop> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            if !event.is_node() {
                continue;
            }
            let key = self.key(event, line)?;
            let (event, line) = self.next()?;
            let value = self.node(event, line)?;
            if key.text == "<<" {
                merged.push(value);
            } else if entries.iter().any(|(known, _)| known.text == key.text) {
                self.problems.add(&Place::root(), key.line, format!("the key {:?} is given twice", key.text));
            } else {
                entries.push((key, value));
            }
        }
        for node in merged {
            merge(&mut entries, node);
        }
        Ok(entries)
    }

    fn key(&mut self, event: Event<'a>, line: usize) -> Result<Key, Stop> {
        match self.node(event, line)?.content {
            Content::Text(text) => Ok(Key { text, line }),
            Content::Null | Content::List(_) | Content::Map(_) => Err(Stop { line, rule: "a key must be a text".to_owned() }),
        }
    }
}

/// What `<<` brings in: the keys that do not stand here already.
fn merge(entries: &mut Vec<(Key, Node)>, node: Node) {
    match node.content {
        Content::Map(more) => {
            for (key, value) in more {
                if !entries.iter().any(|(known, _)| known.text == key.text) {
                    entries.push((key, value));
                }
            }
        }
        Content::List(nodes) => nodes.into_iter().for_each(|node| merge(entries, node)),
        Content::Null | Content::Text(_) => {}
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Content {
    let plain = matches!(style, ScalarStyle::Plain);
    if plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL") {
        return Content::Null;
    }
    Content::Text(text.into_owned())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn tree(text: &str) -> Node {
        let mut problems = Problems::of("file");
        let node = parse(text, &mut problems).unwrap();
        assert!(problems.is_empty(), "{text}");
        node
    }

    fn wrong(text: &str) -> String {
        let mut problems = Problems::of("file");
        parse(text, &mut problems);
        problems.into_error().unwrap().to_string()
    }

    #[test]
    fn numbers_keep_their_digits_and_values_their_lines() {
        let Content::Map(entries) = tree("a: 1.20\nb:\n  - x\n  - ~\n").content else { panic!() };
        assert_eq!((entries[0].1.content.clone(), entries[0].1.line), (Content::Text("1.20".into()), 1));
        let Content::List(items) = &entries[1].1.content else { panic!() };
        assert_eq!((items[0].line, items[1].content.clone()), (3, Content::Null));
    }

    #[test]
    fn an_alias_stands_for_its_anchor_and_a_merge_fills_what_is_missing() {
        let Content::Map(entries) = tree("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n").content else { panic!() };
        assert_eq!(entries[2].1.content, entries[0].1.content);
        let Content::Map(b) = &entries[1].1.content else { panic!() };
        let b: Vec<_> = b.iter().map(|(key, value)| (key.text.as_str(), value.content.clone())).collect();
        assert_eq!(b, [("y", Content::Text("3".into())), ("x", Content::Text("1".into()))]);
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        assert!(wrong("a: [").contains("line "), "{}", wrong("a: ["));
        assert!(wrong("a: 1\n---\nb: 2\n").contains("a second begins here"));
        assert!(wrong("a: 1\nb: 2\na: 3\n").contains("line 3: the key \"a\" is given twice"));
    }

    #[test]
    fn a_few_lines_do_not_unfold_to_gigabytes() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let item = format!("*a{}", n - 1);
            writeln!(text, "a{n}: &a{n} [{}]", vec![item; 10].join(", ")).unwrap();
        }
        assert!(wrong(&text).contains("more than 200000 values"), "{}", wrong(&text));
    }
}
