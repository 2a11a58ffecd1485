//! How many more builds a namespace's quotas take.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceQuota, apimachinery::pkg::api::resource::Quantity};
use switchyard_fleet::KubernetesOptions;

/// What one more pod takes of a quota: its limits and what its virtual machine needs beside them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Need {
    cpu: f64,
    memory: f64,
}

impl Need {
    /// Of a build that asks for nothing, in a runtime class with this overhead.
    pub(crate) fn of_usual(options: &KubernetesOptions, overhead: Option<&BTreeMap<String, Quantity>>) -> Self {
        let over = |name: &str| overhead.and_then(|sizes| number(&sizes.get(name)?.0)).unwrap_or_default();
        let size = |text: String| number(&text).unwrap_or_default();
        Self {
            cpu: size(options.resources.cpu.low.to_string()) + over("cpu"),
            memory: size(options.resources.memory.low.to_string()) + over("memory"),
        }
    }

    /// Of a resource of a quota; `None` for those that builds take nothing of. Requests that are not set are the limits.
    fn of(&self, resource: &str) -> Option<f64> {
        match resource {
            "pods" | "count/pods" => Some(1.0),
            "cpu" | "requests.cpu" | "limits.cpu" => Some(self.cpu),
            "memory" | "requests.memory" | "limits.memory" => Some(self.memory),
            _ => None,
        }
    }
}

/// How many more usual builds all of these quotas take; `None` where none of them limits builds.
pub(crate) fn room(quotas: &[ResourceQuota], need: &Need) -> Option<u32> {
    quotas
        .iter()
        .filter(|quota| counts_builds(quota))
        .filter_map(|quota| quota.status.as_ref())
        .flat_map(|status| {
            let hard = status.hard.iter().flatten();
            hard.filter_map(|(resource, hard)| {
                let used = status.used.as_ref().and_then(|used| number(&used.get(resource)?.0)).unwrap_or_default();
                fits(number(&hard.0)? - used, need.of(resource)?)
            })
        })
        .min()
}

/// Whether a quota counts builds: their pods have a deadline and limits. One that selects otherwise is met at the create.
fn counts_builds(quota: &ResourceQuota) -> bool {
    let Some(spec) = &quota.spec else { return true };
    let scopes = spec.scopes.iter().flatten();
    spec.scope_selector.is_none() && scopes.into_iter().all(|scope| matches!(scope.as_str(), "Terminating" | "NotBestEffort"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn fits(left: f64, need: f64) -> Option<u32> {
    (need > 0.0).then(|| (left / need + 1e-9).floor().clamp(0.0, f64::from(u32::MAX)) as u32)
}

/// A Kubernetes quantity as a number: `500m` is 0.5, `1Ki` is 1024.
fn number(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let factor = match &text[digits.len()..] {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn quota(hard: &Value, used: &Value) -> ResourceQuota {
        serde_json::from_value(json!({"metadata": {"name": "q"}, "status": {"hard": hard, "used": used}})).unwrap()
    }

    const NEED: Need = Need { cpu: 2.25, memory: 2_483_027_968.0 };

    #[test]
    fn the_tightest_resource_says_how_many_more() {
        let left = |hard: Value, used: Value| room(&[quota(&hard, &used)], &NEED);
        assert_eq!(left(json!({"pods": "10"}), json!({"pods": "7"})), Some(3));
        assert_eq!(left(json!({"pods": "10", "limits.cpu": "9"}), json!({"pods": "0", "limits.cpu": "0"})), Some(4));
        assert_eq!(left(json!({"limits.cpu": "8999m"}), json!({})), Some(3), "the overhead counts");
        assert_eq!(left(json!({"requests.memory": "5Gi"}), json!({"requests.memory": "1Gi"})), Some(1));
        assert_eq!(left(json!({"pods": "1"}), json!({"pods": "5"})), Some(0));
    }

    #[test]
    fn what_does_not_limit_builds_says_nothing() {
        assert_eq!(room(&[], &NEED), None);
        assert_eq!(room(&[quota(&json!({"services": "0"}), &json!({}))], &NEED), None);
        let unseen = ResourceQuota { status: None, ..quota(&json!({}), &json!({})) };
        assert_eq!(room(&[unseen], &NEED), None);
    }

    #[test]
    fn a_quota_of_other_pods_does_not_stop_builds() {
        let full = |spec: Value| {
            let spec = serde_json::from_value(spec).unwrap();
            room(&[ResourceQuota { spec: Some(spec), ..quota(&json!({"pods": "1"}), &json!({"pods": "1"})) }], &NEED)
        };
        assert_eq!(full(json!({"scopes": ["NotTerminating"]})), None);
        assert_eq!(full(json!({"scopeSelector": {"matchExpressions": []}})), None);
        assert_eq!(full(json!({"scopes": ["Terminating", "NotBestEffort"]})), Some(0));
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, wanted) in [("1", 1.0), ("500m", 0.5), ("2Gi", 2_147_483_648.0), ("1e3", 1000.0), ("1.5k", 1500.0)] {
            assert!((number(text).unwrap() - wanted).abs() < 1e-9, "{text}");
        }
        assert_eq!(number("lots"), None);
    }
}
