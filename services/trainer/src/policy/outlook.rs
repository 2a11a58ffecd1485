//! What a model is doing, and why no training of it is begun now: for people.

use jiff::Timestamp;
use switchyard_events::Cause;
use switchyard_model::{Concurrency, Mode, Trigger};

use super::{Reason, Record, Rules, Why, gate, trigger};

/// What a model is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// Where it stands, in one word.
    pub state: &'static str,
    /// What speaks for a training.
    pub causes: Vec<Cause>,
    /// What keeps one from being begun; none where nothing does but that nothing speaks for it.
    pub why: Option<Why>,
    /// When the clock asks for one, where the policy has such a trigger.
    pub next: Option<Timestamp>,
}

/// What the policy would say of a model now.
#[must_use]
pub fn outlook(record: &Record, rules: &Rules, now: Timestamp) -> Outlook {
    let policy = &rules.policy;
    let causes = trigger::causes(record, &policy.triggers, policy.warmup, now);
    let waits = |ask: &super::Ask| Why::new(Reason::AwaitingApproval, format!("run {} waits since {:.0}", ask.n, ask.at));
    let asked = record.asked.as_ref().filter(|ask| ask.granted.is_none()).map(waits);
    let why = gate(record, rules, now, (false, false)).err().map(|why| match (why.reason, policy.concurrency) {
        (Reason::Running, Concurrency::Queue) if !causes.is_empty() => Why { reason: Reason::Queued, ..why },
        _ => why,
    });
    let suggests = || (policy.mode == Mode::Suggest).then(|| Why::new(Reason::Suggested, "the policy only suggests"));
    Outlook {
        state: record.state(policy.warmup),
        causes,
        why: asked.or(why).or_else(suggests),
        next: next(&policy.triggers, record.since),
    }
}

/// The first time of `cron` that stands anywhere among the triggers.
fn next(trigger: &Trigger, since: Timestamp) -> Option<Timestamp> {
    match trigger {
        Trigger::Cron(cron) => cron.next(since),
        Trigger::Drift | Trigger::Performance | Trigger::NewRows(_) => None,
        Trigger::Any(parts) | Trigger::All(parts) | Trigger::AtLeast { of: parts, .. } => {
            parts.iter().filter_map(|part| next(part, since)).min()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fixture::{Life, at};

    #[test]
    fn it_says_what_the_policy_is_about_to_do_and_what_keeps_it() {
        let mut life = Life::new("{mode: auto, triggers: [drift, {cron: '0 0 * * *'}], cooldown: 60}");
        let look = |life: &Life| outlook(&life.record, &life.rules, at(life.now));
        assert_eq!((look(&life).state, look(&life).why, look(&life).causes.len()), ("watching", None, 0));
        assert!(look(&life).next.is_some_and(|next| next > at(0)));
        life.window(1, true);
        life.train("k1");
        life.passes();
        life.crown();
        life.window(1, true);
        let Outlook { state, causes, why, .. } = look(&life);
        assert_eq!((state, causes.len(), why.as_ref().map(|why| why.reason)), ("drifted", 1, Some(Reason::Cooldown)));
        assert_eq!(why.unwrap().until, Some(at(60)));
    }
}
