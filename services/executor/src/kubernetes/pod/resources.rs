//! How much a container gets. Always limits: Kata makes the virtual machine as large as they are together.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use switchyard_events::BuildSpec;
use switchyard_fleet::{Bytes, Executor, Millicores};

use super::Unlaunchable;

/// What a container may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) cpu: Millicores,
    pub(super) memory: Bytes,
    pub(super) disk: Option<Bytes>,
}

/// What the build gets: what it asks for, else what Screwdriver's annotations do, else `low`; at most `max`.
pub(super) fn of(executor: &Executor, spec: &BuildSpec) -> Result<Size, Unlaunchable> {
    let given = &executor.kubernetes.resources;
    let disk = executor.disk.as_ref().map(|disk| disk.get(spec.screwdriver("disk")));
    Ok(Size {
        cpu: given.cpu.get(spec.cpu.as_deref().or(spec.screwdriver("cpu"))).map_err(Unlaunchable::Cpu)?,
        memory: given.memory.get(spec.ram.as_deref().or(spec.screwdriver("ram"))).map_err(Unlaunchable::Memory)?,
        disk: disk.transpose().map_err(|wrong| Unlaunchable::Size("disk", wrong))?,
    })
}

/// What something beside the build gets, by annotations of its own.
pub(super) fn beside(executor: &Executor, spec: &BuildSpec, names: [&'static str; 2]) -> Result<Size, Unlaunchable> {
    let given = &executor.kubernetes.resources;
    let [cpu, memory] = names;
    Ok(Size {
        cpu: given.cpu.get(spec.screwdriver(cpu)).map_err(|wrong| Unlaunchable::Size(cpu, wrong))?,
        memory: given.memory.get(spec.screwdriver(memory)).map_err(|wrong| Unlaunchable::Size(memory, wrong))?,
        disk: None,
    })
}

impl Size {
    pub(super) fn limits(self) -> ResourceRequirements {
        let disk = self.disk.map(|disk| ("ephemeral-storage", disk.to_string()));
        let limits = [("cpu", self.cpu.to_string()), ("memory", self.memory.to_string())];
        let limits: BTreeMap<_, _> =
            limits.into_iter().chain(disk).map(|(name, size)| (name.to_owned(), Quantity(size))).collect();
        ResourceRequirements { limits: Some(limits), ..ResourceRequirements::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::pod::tests::{executor, executor_with, launch};

    fn limits(spec: &str) -> (String, String) {
        let limits = of(&executor(""), &launch(spec).spec).unwrap().limits().limits.unwrap();
        (limits["cpu"].0.clone(), limits["memory"].0.clone())
    }

    #[test]
    fn limits_are_always_set_and_never_beyond_the_maximum() {
        assert_eq!(limits("image: a"), ("2".into(), "2Gi".into()));
        assert_eq!(limits("image: a, cpu: HIGH, ram: 512Mi"), ("6".into(), "512Mi".into()));
        assert_eq!(limits("image: a, cpu: 500m, ram: 4"), ("500m".into(), "4Gi".into()));
        assert_eq!(limits("image: a, cpu: 8, ram: 4Gi"), ("8".into(), "4Gi".into()));
        assert_eq!(limits("image: a, cpu: micro, ram: max"), ("500m".into(), "16Gi".into()));
        assert_eq!(limits("image: a, cpu: 99, ram: 99"), ("12".into(), "16Gi".into()));
        let refused = of(&executor(""), &launch("image: a, ram: 500m").spec).unwrap_err();
        assert!(refused.to_string().starts_with("ram: \"500m\" is not a size"), "{refused}");
    }

    #[test]
    fn screwdrivers_annotations_choose_the_size_where_the_build_does_not() {
        let mut launch = launch("image: a, ram: 1");
        for name in ["cpu", "ram"] {
            launch.spec.annotations.insert(format!("screwdriver.cd/{name}"), "TURBO".to_owned());
        }
        let limits = of(&executor(""), &launch.spec).unwrap().limits().limits.unwrap();
        assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("12", "1Gi"));
    }

    #[test]
    fn a_disk_is_ephemeral_storage_of_its_class() {
        let executor = executor_with("", "disk: {low: 20Gi, high: 50Gi, max: 60Gi}");
        let disk = |asked: Option<&str>| {
            let mut spec = launch("image: a").spec;
            spec.annotations = asked.map(|asked| ("screwdriver.cd/disk".to_owned(), asked.to_owned())).into_iter().collect();
            of(&executor, &spec).map(|size| size.limits().limits.unwrap()["ephemeral-storage"].0.clone())
        };
        assert_eq!(disk(None).unwrap(), "20Gi");
        assert_eq!(disk(Some("HIGH")).unwrap(), "50Gi");
        assert_eq!(disk(Some("1Ti")).unwrap(), "60Gi");
        assert!(
            disk(Some("huge")).unwrap_err().to_string().starts_with("annotations.screwdriver.cd/disk: \"huge\" is not a size")
        );
        let none = of(&super::super::tests::executor(""), &launch("image: a").spec).unwrap();
        assert!(!none.limits().limits.unwrap().contains_key("ephemeral-storage"), "without a setting none is asked for");
    }
}
