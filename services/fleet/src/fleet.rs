//! The fleet: what the file says, checked as a whole.

use std::collections::BTreeMap;

use serde_json::Value;
use switchyard_events::{BuildClocks, Limits, TimeLimit};
use switchyard_file::{Place, Problems, Read};

use crate::{Clocks, Executor, FILE, InvalidFleet, Problem, Stickiness, Tenant, check::Checked, file::File, revision::revision};

/// Every executor, the clocks and the tenants, as one file describes them.
#[derive(Clone, Debug)]
pub struct Fleet {
    executors: Vec<Executor>,
    default: usize,
    stickiness: Stickiness,
    clocks: Clocks,
    tenants: BTreeMap<String, Tenant>,
    revision: String,
    warnings: Vec<Problem>,
}

/// Annotations that are ours alone: no tenant's file entry opens them.
const PROTECTED: &str = "switchyard.dev/";

/// A pod that goes is told again so often at most, whatever its build asks for.
const SHORTEST_TEARDOWN: TimeLimit = TimeLimit::seconds(1);

impl Fleet {
    /// Reads and checks a fleet file.
    ///
    /// # Errors
    /// When a key is unknown, missing, given twice or of the wrong type, a value breaks its rule, or a name has nothing
    /// behind it: everything at once.
    pub fn parse(yaml: &str) -> Result<Self, InvalidFleet> {
        let mut problems = Problems::of(FILE);
        let tree = switchyard_file::parse(yaml, &mut problems);
        let file = tree.as_ref().and_then(|tree| File::read(tree, &Place::root(), &mut problems));
        let checked = file.zip(tree.as_ref()).map(|(file, tree)| Checked::of(file, tree, &mut problems));
        let warnings = problems.into_warnings()?;
        let nothing = || InvalidFleet::nothing(FILE);
        let (checked, tree) = checked.zip(tree).ok_or_else(nothing)?;
        let Checked { executors, default, stickiness, clocks, tenants } = checked;
        let default = default.ok_or_else(nothing)?;
        Ok(Self { executors, default, stickiness, clocks, tenants, revision: revision(&tree), warnings })
    }

    /// The JSON Schema of the file, for editors.
    #[must_use]
    pub fn schema() -> Value {
        let mut schema = File::schema();
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = "Switchyard fleet".into();
        schema["required"] = serde_json::json!(["version", "executor"]);
        schema
    }

    /// The executors, in the file's order.
    #[must_use]
    pub fn executors(&self) -> &[Executor] {
        &self.executors
    }

    /// The executor of that name.
    #[must_use]
    pub fn executor(&self, name: &str) -> Option<&Executor> {
        self.executors.iter().find(|executor| executor.name == name)
    }

    /// Where a build goes that no weighted executor takes.
    #[must_use]
    pub fn default_executor(&self) -> &Executor {
        &self.executors[self.default]
    }

    /// Whether an executor may be given builds that do not name it.
    #[must_use]
    pub fn chooses(&self, executor: &Executor) -> bool {
        executor.name == self.default_executor().name || !(executor.opt_in || executor.weightage.is_zero())
    }

    /// What is always drawn the same.
    #[must_use]
    pub const fn stickiness(&self) -> Stickiness {
        self.stickiness
    }

    /// How long each phase may take.
    #[must_use]
    pub const fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// What the file says of a tenant, if it does.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.get(name)
    }

    /// Every tenant of which the file says something, by name.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, &Tenant)> {
        self.tenants.iter().map(|(name, tenant)| (name.as_str(), tenant))
    }

    /// What in the file has no effect.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The limits of one attempt on `executor` for a build that asks for `asked`: none longer than the executor's.
    #[must_use]
    pub fn limits(&self, executor: &Executor, asked: Option<TimeLimit>, clocks: BuildClocks) -> Limits {
        let (all, own) = (&self.clocks, &executor.clocks);
        let shorter = |own: TimeLimit, asked: Option<TimeLimit>| asked.map_or(own, |asked| asked.min(own));
        let running_max = executor.max_build_timeout;
        Limits {
            queued: shorter(own.queued.unwrap_or(all.queued), clocks.queued),
            reroute_after: Some(all.reroute_after),
            pending: shorter(own.pending.unwrap_or(all.pending), clocks.pending),
            running: asked.unwrap_or(executor.build_timeout).min(running_max),
            running_max,
            teardown: shorter(own.teardown.unwrap_or(all.teardown), clocks.teardown.map(|asked| asked.max(SHORTEST_TEARDOWN))),
            grace: own.grace.unwrap_or(all.grace),
            linger: own.linger.unwrap_or(all.linger),
        }
    }

    /// Whether builds of `tenant` may put the annotation `key` on their pod. Nobody may set `switchyard.dev/…`.
    #[must_use]
    pub fn allows_annotation(&self, tenant: &str, key: &str) -> bool {
        !key.starts_with(PROTECTED)
            && self.tenant(tenant).is_some_and(|tenant| tenant.annotations.iter().any(|glob| glob.matches(key)))
    }

    /// A name for this content: 16 characters, the same whatever the order of the keys, the comments and the layout.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }
}
