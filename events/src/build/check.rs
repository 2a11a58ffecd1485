//! The rules of a build.

use super::{BuildClocks, BuildSpec, BuildView, InvalidBuild, ScrewdriverBuild, SecretRef};
use crate::{TimeLimit, syntax};

const CLASSES: [&str; 5] = ["micro", "low", "high", "turbo", "max"];
const SUFFIXES: [&str; 12] = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];
const MOST_STEPS: usize = 500;

impl BuildSpec {
    pub(super) fn check(&self) -> Result<(), InvalidBuild> {
        check_count(self.steps.len())?;
        for (n, step) in self.steps.iter().enumerate() {
            check_step(n, &step.name, &step.run)?;
        }
        if let Some(build) = &self.screwdriver_build {
            build.check(self.steps.is_empty())?;
        }
        for name in self.env.keys() {
            check_variable(name)?;
        }
        for (n, secret) in self.secrets.iter().enumerate() {
            secret.check(n)?;
        }
        for (field, size) in [("cpu", &self.cpu), ("ram", &self.ram)] {
            size.as_deref().map_or(Ok(()), |size| check_size(field, size))?;
        }
        self.view().check()
    }
}

impl BuildView<'_> {
    pub(super) fn check(&self) -> Result<(), InvalidBuild> {
        if self.image.is_empty() || self.image.len() > 1024 || !syntax::all(&self.image, |byte| byte.is_ascii_graphic()) {
            return Err(broken("image", "must be an image reference: 1 to 1024 printable characters without spaces"));
        }
        for (field, size) in [("annotations.screwdriver.cd/cpu", CPU), ("annotations.screwdriver.cd/ram", RAM)] {
            self.annotation(size).map_or(Ok(()), |size| check_size(field, size))?;
        }
        for (key, _) in self.annotations.iter() {
            check_annotation(key)?;
        }
        let BuildClocks { queued, pending, teardown } = self.clocks;
        for (field, limit) in [("clocks.queued", queued), ("clocks.pending", pending), ("clocks.teardown", teardown)] {
            if limit == Some(TimeLimit::ZERO) {
                return Err(broken(field, "must be more than 0"));
            }
        }
        if self.asked_timeout()? == Some(TimeLimit::ZERO) {
            return Err(broken("timeout", "must be more than 0"));
        }
        Ok(())
    }
}

const CPU: [&str; 2] = ["screwdriver.cd/cpu", "beta.screwdriver.cd/cpu"];
const RAM: [&str; 2] = ["screwdriver.cd/ram", "beta.screwdriver.cd/ram"];

/// So many steps.
pub(super) fn check_count(steps: usize) -> Result<(), InvalidBuild> {
    if steps > MOST_STEPS {
        return Err(broken("steps", format!("{steps} steps, at most {MOST_STEPS}")));
    }
    Ok(())
}

/// Step `n`, from 0.
pub(super) fn check_step(n: usize, name: &str, run: &str) -> Result<(), InvalidBuild> {
    if name.is_empty() || name.len() > 100 || has_control(name) {
        return Err(broken(format!("steps[{n}].name"), "must be 1 to 100 characters without control characters"));
    }
    if run.trim().is_empty() || run.contains('\0') {
        return Err(broken(format!("steps[{n}].run"), "must be shell text"));
    }
    Ok(())
}

impl ScrewdriverBuild {
    pub(super) fn check(&self, without_steps: bool) -> Result<(), InvalidBuild> {
        let at = |field: &str| format!("screwdriver.{field}");
        if !without_steps {
            return Err(broken("steps", "a build of Screwdriver's has its steps there, and none here"));
        }
        let ids = [
            ("id", Some(&self.id)),
            ("pipeline", self.pipeline.as_ref()),
            ("job", self.job.as_ref()),
            ("event", self.event.as_ref()),
        ];
        if let Some((field, _)) = ids.into_iter().find(|(_, id)| id.is_some_and(|id| !is_part(id, 40, b"-_"))) {
            return Err(broken(at(field), "must be an id: letters, digits, - and _, at most 40"));
        }
        for (field, address) in [("api", &self.api), ("store", &self.store), ("ui", &self.ui)] {
            let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or_default();
            if rest.is_empty() || address.len() > 1024 || !address.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(broken(at(field), "must be an address that begins with https:// or http://"));
            }
        }
        Ok(())
    }
}

impl SecretRef {
    pub(super) fn check(&self, n: usize) -> Result<(), InvalidBuild> {
        let at = |field: &str| format!("secrets[{n}]{field}");
        if !is_part(&self.name, 253, b"-.") {
            return Err(broken(at(".name"), "must be the name of a Secret, as Kubernetes has it"));
        }
        if self.key.as_deref().is_some_and(|key| !is_part(key.trim_matches(['.', '_', '-']), 253, b"-_.")) {
            return Err(broken(at(".key"), "must be a key of a Secret: letters, digits, -, _ and ."));
        }
        match (&self.env, &self.path) {
            (Some(_), None) if self.key.is_none() => Err(broken(at(""), "a variable needs the key of the secret")),
            (Some(name), None) => check_variable(name),
            (None, Some(path)) if path.starts_with('/') && !path.contains(':') && !path.split('/').any(|part| part == "..") => {
                Ok(())
            }
            (None, Some(_)) => Err(broken(at(".path"), "must begin with / and hold neither : nor ..")),
            (Some(_), Some(_)) | (None, None) => Err(broken(at(""), "must have exactly one of env and path")),
        }
    }
}

pub(super) fn check_variable(name: &str) -> Result<(), InvalidBuild> {
    let valid = name.bytes().enumerate().all(|(n, b)| b == b'_' || b.is_ascii_alphabetic() || (n > 0 && b.is_ascii_digit()));
    if valid && !name.is_empty() {
        Ok(())
    } else {
        Err(broken(format!("env.{name}"), "a variable's name is letters, digits and _, and starts with no digit"))
    }
}

/// The rule of Kubernetes for annotation keys: an optional DNS prefix, then a name of at most 63 characters.
fn check_annotation(key: &str) -> Result<(), InvalidBuild> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let valid = is_part(name, 63, b"-_.") && (!key.contains('/') || is_part(prefix, 253, b"-."));
    if valid {
        Ok(())
    } else {
        Err(broken(format!("annotations.{key}"), "not an annotation key: [prefix/]name, as Kubernetes has it"))
    }
}

/// Letters and digits at both ends, these others between them.
fn is_part<const N: usize>(text: &str, most: usize, also: &[u8; N]) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_known = |byte: &u8| byte.is_ascii_alphanumeric() || also.iter().any(|known| known == byte);
    let bytes = text.as_bytes();
    bytes.len() <= most && is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(is_known)
}

fn has_control(text: &str) -> bool {
    !syntax::is_printable(text) && text.chars().any(char::is_control)
}

pub(super) fn check_size(field: &str, size: &str) -> Result<(), InvalidBuild> {
    let digits = size.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(size.len());
    let (number, suffix) = size.split_at(digits);
    let exact = number.parse::<f64>().is_ok_and(|n| n > 0.0) && SUFFIXES.contains(&suffix);
    let class = CLASSES.iter().any(|class| class.eq_ignore_ascii_case(size));
    if exact || class {
        Ok(())
    } else {
        Err(broken(field, format!("{size:?} is neither a class ({}) nor a quantity such as 2, 500m or 4Gi", CLASSES.join(", "))))
    }
}

pub(super) fn broken(path: impl Into<String>, rule: impl std::fmt::Display) -> InvalidBuild {
    InvalidBuild { path: path.into(), rule: rule.to_string() }
}
