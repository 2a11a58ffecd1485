//! Which tool comes from which Go module: the table behind everything else here.

use std::time::Duration;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Tool;

/// A Go module that one or more tools are built from, in one call.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    pub(crate) packages: &'static [&'static str],
    link: &'static str,
    /// Of a cold build on two cores.
    pub(crate) usual: Duration,
}

impl Module {
    /// The pinned dependencies, as the files that Go reads.
    pub(crate) fn files(&self) -> [(&'static str, &'static str); 2] {
        [("go.mod", self.go_mod), ("go.sum", self.go_sum)]
    }

    /// The arguments of `go`, but for the output folder.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["build", "-trimpath", "-ldflags"].map(str::to_owned).to_vec();
        arguments.push(format!("-s -w {}", self.link).trim_end().to_owned());
        arguments
    }

    /// The name of its folder in the cache: it changes with everything that goes into the build.
    pub(crate) fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.go_mod, self.go_sum, &self.arguments().join(" "), &self.packages.join(" ")] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        format!("{}-{}", self.name, &HEXLOWER.encode(&hash.finalize())[..16])
    }
}

macro_rules! module {
    ($name:literal, $version:literal, $minutes:literal m $seconds:literal s, [$($package:literal),+], $link:expr) => {
        Module {
            name: $name,
            version: $version,
            go_mod: include_str!(concat!("../../tools/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../../tools/", $name, "/go.sum")),
            packages: &[$($package),+],
            link: $link,
            usual: Duration::from_secs($minutes * 60 + $seconds),
        }
    };
}

/// Without these Kubernetes calls itself v0.0.0, and clients refuse it.
const KUBERNETES_VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.37.2 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37";

pub(crate) static NATS: Module = module!("nats", "2.15.2", 0 m 26 s, ["github.com/nats-io/nats-server/v2"], "");
pub(crate) static ETCD: Module = module!("etcd", "3.6.8", 0 m 34 s, ["go.etcd.io/etcd/server/v3"], "");
pub(crate) static KUBERNETES: Module = module!(
    "kubernetes", "1.37.2", 9 m 20 s,
    ["k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-scheduler"],
    KUBERNETES_VERSION
);
pub(crate) static KWOK: Module = module!("kwok", "0.8.0", 1 m 37 s, ["sigs.k8s.io/kwok/cmd/kwok"], "");
pub(crate) static HELM: Module = module!("helm", "3.22.0", 2 m 30 s, ["helm.sh/helm/v3/cmd/helm"], "");
pub(crate) static JAEGER: Module = module!("jaeger", "1.62.0", 2 m 50 s, ["github.com/jaegertracing/jaeger/cmd/all-in-one"], "");

impl Tool {
    /// The usual name of its binary.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NatsServer => "nats-server",
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kwok => "kwok",
            Self::Jaeger => "jaeger-all-in-one",
            Self::Helm => "helm",
        }
    }

    /// The environment variable that names a binary to be used as it is.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::NatsServer => "SWITCHYARD_NATS_SERVER",
            Self::Etcd => "SWITCHYARD_ETCD",
            Self::KubeApiserver => "SWITCHYARD_KUBE_APISERVER",
            Self::KubeScheduler => "SWITCHYARD_KUBE_SCHEDULER",
            Self::Kwok => "SWITCHYARD_KWOK",
            Self::Jaeger => "SWITCHYARD_JAEGER",
            Self::Helm => "SWITCHYARD_HELM",
        }
    }

    /// The argument that makes it say its version.
    pub(crate) fn asks_version(self) -> &'static str {
        match self {
            Self::Jaeger | Self::Helm => "version",
            Self::NatsServer | Self::Etcd | Self::KubeApiserver | Self::KubeScheduler | Self::Kwok => "--version",
        }
    }

    /// What it is built from.
    pub(crate) fn module(self) -> &'static Module {
        match self {
            Self::NatsServer => &NATS,
            Self::Etcd => &ETCD,
            Self::KubeApiserver | Self::KubeScheduler => &KUBERNETES,
            Self::Kwok => &KWOK,
            Self::Jaeger => &JAEGER,
            Self::Helm => &HELM,
        }
    }

    /// What `go build` calls its binary: the last part of the package's path.
    pub(crate) fn built_name(self) -> &'static str {
        match self {
            Self::Etcd => "server",
            Self::Jaeger => "all-in-one",
            Self::NatsServer | Self::KubeApiserver | Self::KubeScheduler | Self::Kwok | Self::Helm => self.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ETCD, HELM, JAEGER, KUBERNETES, KUBERNETES_VERSION, KWOK, NATS};

    #[test]
    fn each_version_is_the_one_that_go_mod_pins() {
        for module in [&NATS, &ETCD, &KUBERNETES, &KWOK, &JAEGER, &HELM] {
            let pinned = module.go_mod.lines().any(|line| {
                let mut words = line.split_whitespace();
                let package = words.next().unwrap_or_default();
                let belongs = module.packages.iter().all(|p| p.starts_with(package));
                !package.is_empty() && belongs && words.next() == Some(&format!("v{}", module.version))
            });
            assert!(pinned, "{} {}", module.name, module.version);
        }
        assert!(KUBERNETES_VERSION.contains(&format!("gitVersion=v{} ", KUBERNETES.version)));
    }
}
