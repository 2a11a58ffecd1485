//! A fleet, ready to route by: what can be computed once is.

use std::collections::{BTreeMap, BTreeSet};

use regex::{RegexSet, RegexSetBuilder};
use regex_automata::{
    Input,
    dfa::{Automaton as _, StartKind, dense},
    util::syntax,
};
use switchyard_fleet::{Exclusion, Executor, Fleet, Stickiness, Wanted};

use crate::{
    candidate::Candidate,
    draw::{Drawer, Ticket},
};

/// The rules of one fleet.
#[derive(Debug)]
pub struct Rules {
    fleet: Fleet,
    /// In the order of the names, so that the order in the file does not matter.
    lines: Vec<Line>,
    default: usize,
    images: Images,
    /// Of each tenant that has a list: which lines it may use.
    allowed: BTreeMap<String, Vec<bool>>,
}

/// What the rules know of one executor.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its place in the fleet.
    place: usize,
    pub(crate) ticket: Option<Ticket>,
    by_image: bool,
    by_parts: bool,
}

/// Whether an image could be excluded by any regular expression at all: one search instead of one for each.
#[derive(Debug)]
enum Images {
    Nothing,
    /// All of them as one table: a step a byte.
    Table(Box<dense::DFA<Vec<u32>>>),
    /// They make no table of a sensible size.
    Set(RegexSet),
    /// Nor can they be compiled together in any other way.
    Unknown,
}

/// What speaks against an executor.
pub(crate) enum Against<'a> {
    Tenant,
    Exclusion(&'a Exclusion),
}

/// The largest table, in bytes.
const LARGEST_TABLE: usize = 8 << 20;

/// The largest set, in bytes.
const LARGEST_SET: usize = 64 << 20;

impl Rules {
    /// The rules of a fleet.
    #[must_use]
    pub fn new(fleet: Fleet) -> Self {
        let mut places: Vec<usize> = (0..fleet.executors().len()).collect();
        places.sort_by_key(|place| &fleet.executors()[*place].name);
        let lines: Vec<Line> = places.iter().map(|&place| Line::of(place, &fleet.executors()[place])).collect();
        let name = |line: &Line| fleet.executors()[line.place].name.as_str();
        let default = lines.iter().position(|line| name(line) == fleet.default_executor().name).unwrap_or_default();
        let allowed = fleet.tenants().filter_map(|(tenant, policy)| {
            let executors = policy.executors.as_ref()?;
            Some((tenant.to_owned(), lines.iter().map(|line| executors.iter().any(|one| one == name(line))).collect()))
        });
        let allowed = allowed.collect();
        Self { images: Images::of(&fleet), lines, default, allowed, fleet }
    }

    /// The fleet.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate()
    }

    pub(crate) fn executor(&self, line: usize) -> &Executor {
        &self.fleet.executors()[self.lines[line].place]
    }

    pub(crate) const fn default_line(&self) -> usize {
        self.default
    }

    pub(crate) fn line_of(&self, name: &str) -> Option<usize> {
        self.lines.binary_search_by(|line| self.fleet.executors()[line.place].name.as_str().cmp(name)).ok()
    }

    /// Who draws for a build: itself, or what its builds have in common, where the request names it.
    pub(crate) fn drawer(&self, candidate: &Candidate<'_>) -> Drawer {
        let (tenant, spec) = (candidate.tenant, candidate.spec);
        match (self.fleet.stickiness(), &spec.pipeline, &spec.job) {
            (Stickiness::Pipeline, Some(pipeline), _) => Drawer::of(&["pipeline", tenant, pipeline]),
            (Stickiness::Job, Some(pipeline), Some(job)) => Drawer::of(&["job", tenant, pipeline, job]),
            (Stickiness::Build | Stickiness::Job | Stickiness::Pipeline, ..) => Drawer::build(candidate.build),
        }
    }

    /// What there is to know of a candidate before any executor is asked.
    pub(crate) fn view<'a>(&'a self, candidate: &Candidate<'a>) -> View<'a> {
        let wanted = candidate.wanted();
        View {
            image_could_match: self.images.could_match(wanted.image),
            wanted,
            allowed: self.allowed.get(candidate.tenant).map(Vec::as_slice),
            rules: self,
        }
    }
}

/// A candidate before the rules.
pub(crate) struct View<'a> {
    wanted: Wanted<'a>,
    image_could_match: bool,
    allowed: Option<&'a [bool]>,
    rules: &'a Rules,
}

impl<'a> View<'a> {
    /// What speaks against an executor, if anything does.
    pub(crate) fn against(&self, line: usize) -> Option<Against<'a>> {
        if self.allowed.is_some_and(|allowed| !allowed[line]) {
            return Some(Against::Tenant);
        }
        let Line { by_image, by_parts, .. } = self.rules.lines[line];
        if !(by_parts || by_image && self.image_could_match) {
            return None;
        }
        self.rules.executor(line).excludes(&self.wanted).map(Against::Exclusion)
    }
}

impl Line {
    fn of(place: usize, executor: &Executor) -> Self {
        let is_image = |exclusion: &Exclusion| matches!(exclusion, Exclusion::Image(_));
        Self {
            place,
            ticket: if executor.opt_in { None } else { Ticket::of(&executor.name, executor.weightage) },
            by_image: executor.exclusions.iter().any(is_image),
            by_parts: !executor.exclusions.iter().all(is_image),
        }
    }
}

impl Images {
    fn of(fleet: &Fleet) -> Self {
        let exclusions = fleet.executors().iter().flat_map(|executor| &executor.exclusions);
        let patterns = exclusions.filter_map(|exclusion| match exclusion {
            Exclusion::Image(pattern) => Some(pattern.as_str()),
            Exclusion::Parts(_) => None,
        });
        let patterns: Vec<_> = patterns.collect::<BTreeSet<_>>().into_iter().collect();
        if patterns.is_empty() {
            return Self::Nothing;
        }
        Self::table(&patterns).map_or_else(|| Self::set(&patterns), |table| Self::Table(Box::new(table)))
    }

    /// An image reference is printable ASCII, so that the table need not know Unicode; other text is not looked up in it. It is short too:
    /// to look ahead for a byte that matters would take longer than to step through.
    fn table(patterns: &[&str]) -> Option<dense::DFA<Vec<u32>>> {
        let limits = dense::Config::new().dfa_size_limit(Some(LARGEST_TABLE)).determinize_size_limit(Some(LARGEST_TABLE));
        let built = dense::Builder::new()
            .configure(limits.start_kind(StartKind::Unanchored).accelerate(false))
            .syntax(syntax::Config::new().case_insensitive(true).unicode(false).utf8(false))
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .build_many(patterns);
        built.ok()
    }

    fn set(patterns: &[&str]) -> Self {
        RegexSetBuilder::new(patterns).case_insensitive(true).size_limit(LARGEST_SET).build().map_or(Self::Unknown, Self::Set)
    }

    fn could_match(&self, image: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Table(table) => {
                !image.is_ascii() || table.try_search_fwd(&Input::new(image).earliest(true)).map_or(true, |found| found.is_some())
            }
            Self::Set(set) => set.is_match(image),
            Self::Unknown => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn images(patterns: &[&str]) -> Images {
        Images::Table(Box::new(Images::table(patterns).unwrap()))
    }

    #[test]
    fn patterns_that_make_no_table_are_searched_for_as_a_set() {
        assert!(Images::table(&[r"\p{Greek}"]).is_none());
        assert!(matches!(Images::set(&[r"\p{Greek}", "a"]), Images::Set(_)));
        assert!(images(&["a"]).could_match("größe"), "what the table does not know could match");
    }

    proptest! {
        #[test]
        fn the_table_finds_what_any_pattern_finds(image in "[a-cA-C0-9:/.-]{0,12}") {
            let patterns = ["ab+c", "^A", r"c\.b$", r"[0-9]{2}:(a|B)", r"\ba\b", "(?-i)Cc", r"a/\w.+x?B"];
            let each = patterns.iter().any(|one| regex::RegexBuilder::new(one).case_insensitive(true).build().unwrap().is_match(&image));
            prop_assert_eq!(images(&patterns).could_match(&image), each);
            prop_assert_eq!(Images::set(&patterns).could_match(&image), each);
        }
    }
}
