//! Histories that are told step by step: who hears what, how far it comes, what the machines do meanwhile.

use std::time::Duration;

use switchyard_events::Decided;

use crate::{
    laws,
    site::now,
    state::{Consumer, Message, What},
    step::{Happening, Step},
    world::World,
};

/// A history as a test tells it; it answers which law was broken, or what else is wrong.
pub(crate) type Script = fn(&mut World) -> Result<(), String>;

pub(crate) const LAUNCHER: Consumer = Consumer::Launcher(0);
pub(crate) const REAPER: Consumer = Consumer::Reaper(0);
pub(crate) const OTHER_REAPER: Consumer = Consumer::Reaper(1);

impl World {
    /// The build is routed to the first executor.
    pub(crate) fn routed(&mut self) -> Result<(), String> {
        self.does(Step::Route { build: 0, to: 0 })
    }

    /// The build is routed and launched, everybody has heard of it, and its pod is let run by its machine so far: 1, it has
    /// one; 2, it runs; 3, it has ended.
    pub(crate) fn launched(&mut self, worked: usize) -> Result<(), String> {
        self.routed()?;
        self.hears(LAUNCHER, "routed")?;
        self.hears(REAPER, "routed")?;
        self.hears(REAPER, "launched")?;
        for _ in 0..worked {
            self.works(0)?;
        }
        Ok(())
    }

    /// One thing happens.
    pub(crate) fn does(&mut self, step: Step) -> Result<(), String> {
        self.step(step).map_or(Ok(()), |broken| Err(format!("{step:?}: {broken}")))
    }

    pub(crate) fn there(&mut self, happening: Happening) -> Result<(), String> {
        self.does(Step::There { cluster: 0, happening })
    }

    /// Each machine of the first cluster works; builds that may end succeed, or as `how` says.
    pub(crate) fn works(&mut self, how: u8) -> Result<(), String> {
        let pods = self.state().clusters[0].pods.len();
        (0..pods).try_for_each(|which| self.there(Happening::Work { which: u8::try_from(which).unwrap(), how }))
    }

    /// Somebody hears of the first such event, or of such a clock, and does all that follows.
    pub(crate) fn hears(&mut self, who: Consumer, what: &str) -> Result<(), String> {
        self.begins(who, what);
        self.finishes()
    }

    /// Somebody begins to hear of it, and comes nowhere yet.
    pub(crate) fn begins(&mut self, who: Consumer, what: &str) {
        let message = self.waiting(who, what).unwrap_or_else(|| panic!("{who:?} has no {what} to hear of"));
        self.deliver(&message, true);
    }

    /// The message that `who` has still to be told.
    pub(crate) fn waiting(&self, who: Consumer, what: &str) -> Option<Message> {
        let state = self.state();
        let is = |message: &&Message| match &message.what {
            What::Event { at, .. } | What::Cancel { at, .. } => state.log[*at].about.what.name() == what,
            What::Fire(clock) => clock.kind.name() == what,
        };
        state.messages.iter().filter(|message| message.to == who).find(is).cloned()
    }

    /// Whoever began last does so many steps more.
    pub(crate) fn goes(&mut self, effects: usize) -> Result<(), String> {
        self.go(self.flights.len().saturating_sub(1), effects);
        laws::broken(&self.state()).map_or(Ok(()), Err)
    }

    /// Whoever began last does all that is left.
    pub(crate) fn finishes(&mut self) -> Result<(), String> {
        self.goes(1000)
    }

    /// The first watch tells all it knows.
    pub(crate) fn watches(&mut self) -> Result<(), String> {
        while !self.state().clusters[0].changed.is_empty() || !self.state().clusters[0].gone.is_empty() {
            self.watch(0, 0);
            self.finishes()?;
        }
        Ok(())
    }

    pub(crate) fn passes(&mut self, seconds: u64) -> Result<(), String> {
        self.wait(now() + Duration::from_secs(seconds));
        laws::broken(&self.state()).map_or(Ok(()), Err)
    }

    pub(crate) fn rests(&mut self, endless: bool) -> Result<(), String> {
        self.settle_down(endless).map_or(Ok(()), Err)
    }

    /// How each attempt of the first build ended.
    pub(crate) fn ends(&self) -> Vec<Decided> {
        let state = self.state();
        let record = state.record(&self.builds[0]);
        record.into_iter().flat_map(|record| &record.attempts).filter_map(|attempt| attempt.decided.clone()).collect()
    }

    /// That the first build came to rest with these reasons, one per attempt.
    pub(crate) fn ended(&mut self, endless: bool, reasons: &[&str]) -> Result<(), String> {
        self.rests(endless)?;
        let ends: Vec<_> = self.ends().iter().map(|decided| decided.reason.to_string()).collect();
        if ends == reasons { Ok(()) } else { Err(format!("it ended as {ends:?}, not as {reasons:?}")) }
    }
}
