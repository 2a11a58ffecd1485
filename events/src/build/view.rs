//! A build as far as routing looks at it: everything else is checked and passed over.

use std::{borrow::Cow, collections::BTreeMap, mem};

use super::{
    BuildClocks, BuildSpec, InvalidBuild, ScrewdriverBuild, SecretRef, Texts, broken,
    check::{check_count, check_size, check_step, check_variable},
    foreign,
    read::Scalar,
};
use crate::{
    TimeLimit,
    json::scan::{Scan, once},
};

/// A build as far as routing looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildView<'a> {
    /// The container image.
    pub image: Cow<'a, str>,
    /// How long the build may run.
    pub timeout: Option<TimeLimit>,
    /// Its annotations.
    pub annotations: Texts<'a>,
    /// Its labels.
    pub labels: Texts<'a>,
    /// The names of the secrets that it needs.
    pub secrets: Vec<Cow<'a, str>>,
    /// Limits of its own.
    pub clocks: BuildClocks,
    /// The pipeline that it belongs to.
    pub pipeline: Option<Cow<'a, str>>,
    /// The job of that pipeline.
    pub job: Option<Cow<'a, str>>,
}

const EXECUTOR: [&str; 2] = ["screwdriver.cd/executor", "beta.screwdriver.cd/executor"];
const TIMEOUT: [&str; 2] = ["screwdriver.cd/timeout", "beta.screwdriver.cd/timeout"];

impl BuildSpec {
    /// What routing looks at.
    #[must_use]
    pub fn view(&self) -> BuildView<'_> {
        fn texts(texts: &BTreeMap<String, String>) -> Texts<'_> {
            texts.iter().map(|(name, text)| (name.into(), text.into())).collect()
        }
        BuildView {
            image: Cow::Borrowed(&self.image),
            timeout: self.timeout,
            annotations: texts(&self.annotations),
            labels: texts(&self.labels),
            secrets: self.secrets.iter().map(|secret| Cow::Borrowed(&*secret.name)).collect(),
            clocks: self.clocks,
            pipeline: self.pipeline.as_deref().map(Cow::Borrowed),
            job: self.job.as_deref().map(Cow::Borrowed),
        }
    }
}

impl<'a> BuildView<'a> {
    /// The executor that the build names, if it names one.
    #[must_use]
    pub fn asked_executor(&self) -> Option<&str> {
        self.annotation(EXECUTOR)
    }

    /// How long the build asks to run: its `timeout`, else Screwdriver's annotation.
    ///
    /// # Errors
    /// When the annotation is not a time limit.
    pub fn asked_timeout(&self) -> Result<Option<TimeLimit>, InvalidBuild> {
        match (self.timeout, self.annotation(TIMEOUT)) {
            (Some(timeout), _) => Ok(Some(timeout)),
            (None, None) => Ok(None),
            (None, Some(text)) => text.parse().map(Some).map_err(|error| broken("annotations.screwdriver.cd/timeout", error)),
        }
    }

    /// Annotations that are not Screwdriver's.
    pub fn foreign_annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        foreign(self.annotations.iter())
    }

    /// One of Screwdriver's annotations, with either prefix.
    pub(super) fn annotation(&self, keys: [&str; 2]) -> Option<&str> {
        keys.iter().find_map(|key| self.annotations.get(key))
    }

    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> BuildView<'static> {
        fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        BuildView {
            image: owned(self.image),
            timeout: self.timeout,
            annotations: self.annotations.into_owned(),
            labels: self.labels.into_owned(),
            secrets: self.secrets.into_iter().map(owned).collect(),
            clocks: self.clocks,
            pipeline: self.pipeline.map(owned),
            job: self.job.map(owned),
        }
    }

    /// Reads and checks a build; `None` where [`BuildSpec::parse`] has to say what is wrong, or is to read what is unusual.
    pub(crate) fn scan(scan: &mut Scan<'a>) -> Option<Self> {
        let (mut view, mut steps, mut screwdriver) = (Self::default(), 0, None);
        let mut seen = [false; NAMES.len()];
        scan.members(|scan, name| {
            let n = NAMES.iter().position(|known| *known == name)?;
            if mem::replace(&mut seen[n], true) {
                return None;
            }
            match NAMES[n] {
                "image" => view.image = scan.text()?,
                "steps" => steps = scan_steps(scan)?,
                "env" => scan.members(|scan, name| {
                    check_variable(&name).ok()?;
                    scalar(scan).map(drop)
                })?,
                size @ ("cpu" | "ram") => check_size(size, &scalar(scan)?).ok()?,
                "timeout" => view.timeout = scan.value()?,
                "annotations" => view.annotations = texts(scan)?,
                "labels" => view.labels = texts(scan)?,
                "secrets" => view.secrets = scan_secrets(scan)?,
                "screwdriver" => screwdriver = scan.value::<Option<ScrewdriverBuild>>()?,
                "clocks" => view.clocks = scan.value()?,
                "pipeline" => view.pipeline = Some(scan.text()?),
                "job" => view.job = Some(scan.text()?),
                _ => return None,
            }
            Some(())
        })?;
        screwdriver.map_or(Ok(()), |build| build.check(steps == 0)).ok()?;
        view.check().ok()?;
        seen[0].then_some(view)
    }
}

/// What a build may have; the first it must have.
const NAMES: [&str; 13] = [
    "image",
    "steps",
    "env",
    "cpu",
    "ram",
    "timeout",
    "annotations",
    "labels",
    "secrets",
    "screwdriver",
    "clocks",
    "pipeline",
    "job",
];

/// Checks the steps and counts them.
fn scan_steps(scan: &mut Scan<'_>) -> Option<usize> {
    let mut count = 0;
    scan.items(|scan| {
        let (mut step_name, mut run, mut always) = (None, None, None);
        scan.members(|scan, name| match &*name {
            "name" => once(&mut step_name, Some(scan.text()?)),
            "run" => once(&mut run, Some(scan.text()?)),
            "always" => once(&mut always, Some(scan.value::<bool>()?)),
            _ => None,
        })?;
        check_step(count, &step_name?, &run?).ok()?;
        count += 1;
        Some(())
    })?;
    check_count(count).ok()?;
    Some(count)
}

/// Checks the secrets; their names are enough.
fn scan_secrets<'a>(scan: &mut Scan<'a>) -> Option<Vec<Cow<'a, str>>> {
    let secrets: Vec<SecretRef> = scan.value()?;
    let name = |(n, secret): (usize, SecretRef)| secret.check(n).ok().map(|()| Cow::Owned(secret.name));
    secrets.into_iter().enumerate().map(name).collect()
}

fn texts<'a>(scan: &mut Scan<'a>) -> Option<Texts<'a>> {
    let mut texts = Vec::new();
    scan.members(|scan, name| {
        texts.push((name, scalar(scan)?));
        Some(())
    })?;
    Some(texts.into_iter().collect())
}

fn scalar<'a>(scan: &mut Scan<'a>) -> Option<Cow<'a, str>> {
    if scan.is_text() { scan.text() } else { scan.value().map(|Scalar(text)| Cow::Owned(text)) }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*, sample};

    use super::*;

    #[test]
    fn a_whole_build_is_read_in_one_pass() {
        let text = r#" {"image": "node:20", "steps": [ {"name": "a\"b", "run": "x\ny", "always": true}, {"name":"c","run":"d"} ], "env":{"CI":true},
            "cpu": 2, "ram": "HIGH", "timeout": "20s", "annotations": {"screwdriver.cd/executor": "k8s", "n": 1.10, "n": "\u00e9"}, "labels": {"a":"b"},
            "secrets": [{"name": "ca", "path": "/run/ca"}], "clocks": {"queued": 3}, "pipeline": "p", "job": "main"} , 1"#;
        let mut scan = Scan::of(text);
        let (view, words) = scan.words(BuildView::scan).unwrap();
        assert_eq!(words, text.trim().trim_end_matches(" , 1"));
        let spec = BuildSpec::parse(words).unwrap();
        assert_eq!(view, spec.view());
        assert_eq!((view.asked_executor(), view.secrets.clone()), (Some("k8s"), vec![Cow::Borrowed("ca")]));
        assert_eq!(view.clone().into_owned(), view);
    }

    proptest! {
        #[test]
        fn both_ways_read_the_same_build_or_only_one_reads_at_all(members in collection::vec(member(), 0..6)) {
            let text = format!(r#"{{{}"image":"a"}}"#, members.concat());
            let mut scan = Scan::of(&text);
            if let Some(view) = BuildView::scan(&mut scan) {
                let spec = BuildSpec::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(view, spec.view());
            }
        }

        #[test]
        fn a_right_build_is_read_in_one_pass(chosen in sample::subsequence(RIGHT.to_vec(), 0..RIGHT.len())) {
            let text = format!(r#"{{{}"image":"a"}}"#, chosen.concat());
            let spec = BuildSpec::parse(&text).unwrap();
            prop_assert_eq!(BuildView::scan(&mut Scan::of(&text)), Some(spec.view()));
        }
    }

    /// Members as people write them.
    const RIGHT: [&str; 12] = [
        r#""steps":[{"name":"a","run":"b \\ \n c"}],"#,
        r#""env":{"A":"1","B":2,"C":-0,"D":1e3,"A":false},"#,
        r#""cpu":"high","#,
        r#""ram":2,"#,
        r#""timeout":90,"#,
        r#""annotations":{"screwdriver.cd/timeout":"5","beta.screwdriver.cd/cpu":"low","a/b":"\t"},"#,
        r#""labels":{},"#,
        r#""secrets":[{"name":"npm","key":"k","env":"N"}],"#,
        r#""clocks":{"pending":"1m"},"#,
        r#""pipeline":"p","#,
        r#""job":"j","#,
        r#""screwdriver":null,"#,
    ];

    /// Any member with any value.
    fn member() -> impl Strategy<Value = String> {
        let values = sample::select(vec![
            "null",
            "\"2\"",
            "\"\"",
            "\"\\ud800\"",
            "0",
            "7",
            "true",
            "{}",
            "[]",
            r#"{"a":"b","screwdriver.cd/timeout":"soon"}"#,
            r#"{"a":null}"#,
            r#"{"queued":0}"#,
            r#"[{"name":"a","run":" "}]"#,
            r#"[{"name":"a","run":"b"},{"name":"a","run":"b","name":"c"}]"#,
            r#"[{"name":"a","path":"/../b"}]"#,
            r#"{"id":1,"api":"https://a","store":"https://b","ui":"https://c"}"#,
        ]);
        let right = sample::select(RIGHT.to_vec()).prop_map(str::to_owned);
        prop_oneof![right, (sample::select(NAMES.to_vec()), values).prop_map(|(name, value)| format!(r#""{name}":{value},"#))]
    }
}
