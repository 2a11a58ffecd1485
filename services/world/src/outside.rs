//! What the world outside asks for: routes and refusals of the router, cancellations of tenants.

use switchyard_events::{
    BuildExtended, BuildKey, BuildRefused, BuildRouted, BuildSpec, CancelRequested, Request, TimeLimit, Why, derived_traceparent,
};

use crate::{
    site::now,
    state::{EXECUTORS, Message, What},
    world::World,
};

impl World {
    /// The router answers for an attempt, as the fleet file says now.
    pub(crate) fn route(&mut self, build: usize, attempt: u32, to: usize) {
        if self.refusing {
            return self.refuse(build, attempt);
        }
        let build = &self.builds[build % self.builds.len()];
        let eligible = EXECUTORS.map(str::to_owned).to_vec();
        let why = Why { rule: "default".into(), revision: "r".into(), eligible, excluded: vec![] };
        let routed = BuildRouted {
            build: build.clone(),
            attempt,
            executor: EXECUTORS[to % 2].to_owned(),
            request: request(build),
            tenant: "default".into(),
            spec: BuildSpec { image: "a".into(), ..BuildSpec::default() },
            limits: self.limits,
            at: now(),
            why,
        };
        let mut state = self.state();
        state.asked.insert(build.clone());
        state.publish(routed.outgoing().unwrap());
    }

    pub(crate) fn refuse(&mut self, build: usize, attempt: u32) {
        let build = &self.builds[build % self.builds.len()];
        let refused = BuildRefused {
            build: build.clone(),
            attempt,
            request: request(build),
            tenant: "default".into(),
            pipeline: None,
            job: None,
            reason: "no executor may have it".into(),
            at: now(),
        };
        let mut state = self.state();
        state.asked.insert(build.clone());
        state.publish(refused.outgoing().unwrap());
    }

    pub(crate) fn extend(&mut self, build: usize, seconds: u64) {
        let build = self.builds[build % self.builds.len()].clone();
        let extended = BuildExtended { build, running: TimeLimit::seconds(seconds) };
        self.state().publish(extended.outgoing("default", &format!("x{seconds}"), now()).unwrap());
    }

    pub(crate) fn cancel(&mut self, build: usize) {
        let build = self.builds[build % self.builds.len()].clone();
        let cancel = CancelRequested { build: build.clone() }.outgoing("default", "c", now(), None).unwrap();
        let mut state = self.state();
        state.publish(cancel);
        state.cancelled.push(build);
    }
}

impl Message {
    pub(crate) fn is_cancel_of(&self, build: &BuildKey) -> bool {
        matches!(&self.what, What::Cancel { build: found, .. } if found == build)
    }
}

fn request(build: &BuildKey) -> Request {
    Request {
        id: "e".into(),
        source: "/ci".into(),
        r#type: "dev.cdevents.build.queued.0.3.0".into(),
        subject: build.to_string(),
        stream: "CI".into(),
        sequence: 1,
        chain_id: "c".into(),
        trace: derived_traceparent(build),
        ..Request::default()
    }
}
