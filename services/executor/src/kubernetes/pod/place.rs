//! Where the pod may run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PreferredSchedulingTerm, Toleration,
};
use switchyard_events::BuildSpec;
use switchyard_fleet::{Executor, KubernetesOptions};

/// The labels of disks that the build asks for: what a node must have, where the executor names the label.
fn disks(options: &KubernetesOptions, spec: &BuildSpec) -> BTreeMap<String, String> {
    let asked = |label: &Option<String>, annotation| {
        let label = label.clone().filter(|label| !label.is_empty())?;
        Some((label, spec.screwdriver(annotation)?.to_ascii_lowercase()))
    };
    let disk = &options.resources.disk;
    [asked(&disk.space, "disk"), asked(&disk.speed, "diskSpeed")].into_iter().flatten().collect()
}

/// Which nodes it must have and which it should. Each list is one term: all of it together.
pub(super) fn affinity(options: &KubernetesOptions, spec: &BuildSpec) -> Option<Affinity> {
    let (required, preferred) = (disks(options, spec), &options.preferred_node_selectors);
    if required.is_empty() && preferred.is_empty() {
        return None;
    }
    let nodes = NodeAffinity {
        required_during_scheduling_ignored_during_execution: (!required.is_empty())
            .then(|| NodeSelector { node_selector_terms: vec![term(&required)] }),
        preferred_during_scheduling_ignored_during_execution: (!preferred.is_empty())
            .then(|| vec![PreferredSchedulingTerm { weight: 100, preference: term(preferred) }]),
    };
    Some(Affinity { node_affinity: Some(nodes), ..Affinity::default() })
}

fn term(labels: &BTreeMap<String, String>) -> NodeSelectorTerm {
    let requirement = |(key, value): (&String, &String)| NodeSelectorRequirement {
        key: key.clone(),
        operator: "In".to_owned(),
        values: Some(vec![value.clone()]),
    };
    NodeSelectorTerm { match_expressions: Some(labels.iter().map(requirement).collect()), ..NodeSelectorTerm::default() }
}

/// As Screwdriver has it: what a node must be labelled with, its taint of the same name keeps others away. Then the executor's own.
pub(super) fn tolerations(executor: &Executor, spec: &BuildSpec) -> Vec<Toleration> {
    let options = &executor.kubernetes;
    let tainted = |(key, value): (&String, &String)| Toleration {
        key: Some(key.clone()),
        operator: Some("Equal".to_owned()),
        value: Some(value.clone()),
        effect: Some("NoSchedule".to_owned()),
        ..Toleration::default()
    };
    let own = executor.tolerations.iter().map(|own| Toleration {
        key: own.key.clone(),
        operator: Some(own.operator.as_str().to_owned()),
        value: own.value.clone(),
        effect: own.effect.map(|effect| effect.as_str().to_owned()),
        toleration_seconds: own.toleration_seconds.map(i64::from),
    });
    options.node_selectors.iter().map(tainted).chain(disks(options, spec).iter().map(tainted)).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::pod::tests::{executor, executor_with, launch};

    #[test]
    fn preferred_labels_are_preferred_together() {
        let executor = executor("preferredNodeSelectors: {zone: a, disk: fast}");
        let affinity = affinity(&executor.kubernetes, &launch("image: a").spec).unwrap();
        let terms = json!([
            {"key": "disk", "operator": "In", "values": ["fast"]},
            {"key": "zone", "operator": "In", "values": ["a"]}
        ]);
        let wanted = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "preference": {"matchExpressions": terms}}]}});
        assert_eq!(serde_json::to_value(affinity).unwrap(), wanted);
    }

    #[test]
    fn a_disk_that_is_asked_for_by_label_must_be_there_and_its_taint_is_tolerated() {
        let executor = executor("resources: {disk: {space: sd/space, speed: sd/speed}}");
        let mut spec = launch("image: a").spec;
        assert_eq!(affinity(&executor.kubernetes, &spec), None, "nothing is asked for");
        spec.annotations = [("screwdriver.cd/disk", "HIGH"), ("screwdriver.cd/diskSpeed", "FAST")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let required = affinity(&executor.kubernetes, &spec).unwrap().node_affinity.unwrap();
        let required = required.required_during_scheduling_ignored_during_execution.unwrap().node_selector_terms;
        let labels: Vec<_> =
            required[0].match_expressions.as_ref().unwrap().iter().map(|r| (r.key.as_str(), r.values.clone().unwrap())).collect();
        assert_eq!(labels, [("sd/space", vec!["high".to_owned()]), ("sd/speed", vec!["fast".to_owned()])]);
        let keys: Vec<_> = tolerations(&executor, &spec).into_iter().map(|t| t.key.unwrap()).collect();
        assert_eq!(keys, ["dedicated", "sd/space", "sd/speed"]);
    }

    #[test]
    fn tolerations_of_its_own_come_beside_those_of_the_selectors() {
        let executor =
            executor_with("", "tolerations: [{key: spot, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]");
        let all = tolerations(&executor, &launch("image: a").spec);
        let wanted = json!([
            {"key": "dedicated", "operator": "Equal", "value": "screwdriver-kata", "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
        ]);
        assert_eq!(serde_json::to_value(all).unwrap(), wanted);
    }
}
