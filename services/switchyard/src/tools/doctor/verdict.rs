//! The decision: whether a probe ran in a virtual machine of its own.

use switchyard_executor::Machine;

use super::Probe;

/// Whether the probe was isolated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another kernel, started another time: a machine of its own.
    Isolated,
    /// The node's own kernel, or what may be it.
    Shared(String),
    /// Nothing can be said.
    Unknown(String),
}

/// Compares what the probe saw with what the node says. Both the kernel and its start must be others.
pub(super) fn verdict(node: &Machine, probe: Option<&Probe>) -> Verdict {
    if node.simulated {
        return Verdict::Unknown(format!("node {} is simulated: nothing runs there", node.name));
    }
    let Some(probe) = probe else { return Verdict::Unknown("the probe said nothing of its kernel".to_owned()) };
    match (probe.boot == node.boot_id, probe.kernel == node.kernel) {
        (false, false) => Verdict::Isolated,
        (true, _) => {
            Verdict::Shared(format!("the probe ran under the kernel of node {} itself (boot {})", node.name, node.boot_id))
        }
        (false, true) => Verdict::Shared(format!(
            "another start, but of the same kernel {} as node {}: that it is a machine of its own is not proven",
            node.kernel, node.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(simulated: bool) -> Machine {
        Machine { name: "n".into(), kernel: "6.1".into(), boot_id: "a".into(), simulated }
    }

    fn probe(kernel: &str, boot: &str) -> Probe {
        Probe { kernel: kernel.into(), boot: boot.into() }
    }

    #[test]
    fn only_another_kernel_with_another_start_is_a_machine_of_its_own() {
        assert_eq!(verdict(&node(false), Some(&probe("6.12-kata", "b"))), Verdict::Isolated);
        for shared in [probe("6.1", "a"), probe("6.12-kata", "a"), probe("6.1", "b")] {
            assert!(matches!(verdict(&node(false), Some(&shared)), Verdict::Shared(_)), "{shared:?}");
        }
    }

    #[test]
    fn of_a_simulated_node_or_a_silent_probe_nothing_is_said() {
        assert!(matches!(verdict(&node(true), Some(&probe("6.12", "b"))), Verdict::Unknown(why) if why.contains("simulated")));
        assert!(matches!(verdict(&node(false), None), Verdict::Unknown(_)));
    }
}
