//! What a judged window says to the policy.

use switchyard_drift::Level;
use switchyard_events::Drifted;

use crate::{Judged, policy::Window};

impl From<&Judged> for Window {
    fn from(judged: &Judged) -> Self {
        let columns = || judged.columns.iter().map(|(name, column)| (name.clone(), column));
        let parts = judged
            .segments
            .iter()
            .flat_map(|(part, columns)| columns.iter().map(move |(name, column)| (format!("{part}/{name}"), column)));
        let all: Vec<_> = columns().chain(parts).collect();
        let drifted = all.iter().filter(|(_, (_, verdict))| verdict.standing.drifted).map(|(name, (evidence, _))| Drifted {
            column: name.clone(),
            measure: serde_json::to_value(evidence.measure)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned))
                .unwrap_or_default(),
            effect: evidence.effect,
            threshold: evidence.threshold,
            p: evidence.p,
        });
        let differs = |(_, (_, verdict)): &(String, &(_, switchyard_drift::Verdict))| {
            !verdict.standing.drifted && verdict.standing.recent.back() == Some(&Level::Over)
        };
        let poor = judged.performance.as_ref().filter(|performed| performed.bad).map(|performed| {
            let value = performed.value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"));
            let limit = performed.limit.map(|limit| format!(" and has to keep to {limit:.4}")).unwrap_or_default();
            format!("{} is {value}{limit}", performed.metric)
        });
        Self {
            reference: judged.reference.clone(),
            number: judged.window,
            rows: judged.rows,
            new_rows: judged.rows,
            drifted: drifted.collect(),
            suspected: all.iter().any(differs),
            poor,
        }
    }
}
