//! Drawing what happens: each step comes out of one number. The smaller the number, the plainer the step, so that histories
//! shrink; and a history costs no more to draw than so many numbers.

use crate::{
    cluster::Away,
    step::{Happening, Step},
};

/// A number that is used up choice by choice: what comes first depends on its highest part.
struct Draw(u64);

impl Draw {
    /// One of so many, each as likely.
    #[expect(clippy::cast_possible_truncation, reason = "the high and the low half of a product")]
    const fn below(&mut self, many: u8) -> u8 {
        let product = self.0 as u128 * many as u128;
        self.0 = product as u64;
        (product >> 64) as u8
    }

    const fn byte(&mut self) -> u8 {
        // 256 of them.
        let byte = (self.0 >> 56) as u8;
        self.0 <<= 8;
        byte
    }

    const fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    const fn executor(&mut self) -> u8 {
        self.below(2)
    }
}

/// What goes on all the time, and the trouble that may come in between.
pub(crate) fn step(number: u64) -> Step {
    usual(&mut Draw(number))
}

/// What is rarer still: where these may happen, the others would seldom get far.
pub(crate) fn rare_step(number: u64) -> Step {
    let draw = &mut Draw(number);
    match draw.below(22) {
        0..20 => usual(draw),
        20 => Step::There { cluster: draw.executor(), happening: Happening::Reject },
        _ => Step::Refuse(draw.byte()),
    }
}

/// Clocks may be lost, and watches miss what happens.
pub(crate) fn forgetful_step(number: u64) -> Step {
    let draw = &mut Draw(number);
    match draw.below(22) {
        0..20 => usual(draw),
        20 => Step::Lose(draw.byte()),
        _ => Step::Overlook(draw.byte()),
    }
}

fn usual(draw: &mut Draw) -> Step {
    match draw.below(80) {
        0..12 => Step::Deliver { acknowledged: draw.below(5) < 4, which: draw.byte() },
        12..32 => Step::Go { effects: if draw.flag() { u8::MAX } else { 1 + draw.below(3) }, which: draw.byte() },
        32..40 => Step::Watch { cluster: draw.executor(), which: draw.byte() },
        40..52 => Step::There { cluster: draw.executor(), happening: happening(draw) },
        52..57 => Step::Turn,
        57..61 => Step::Next,
        61..64 => Step::Wait { seconds: draw.below(100) },
        64..66 => Step::Early(draw.byte()),
        66..68 => Step::Crash(draw.byte()),
        68 => Step::Restart(draw.executor()),
        69 => Step::Sweep(draw.executor()),
        70 => Step::Cancel(draw.byte()),
        71 => Step::Route { build: draw.byte(), to: draw.byte() },
        72 => Step::Extend { build: draw.byte(), seconds: draw.byte() },
        73 => Step::Repeat(draw.byte()),
        74..76 => Step::Pause(draw.byte()),
        76 => Step::Configure(draw.byte()),
        77..79 => Step::Fleet { executor: draw.executor(), draining: draw.flag(), takes: draw.flag() },
        _ => Step::Broker(away(draw)),
    }
}

/// A server is there again sooner than it goes.
fn away(draw: &mut Draw) -> Away {
    match draw.below(6) {
        0..3 => Away::No,
        3 => Away::Deaf,
        4 => Away::Mute,
        _ => Away::Late,
    }
}

fn happening(draw: &mut Draw) -> Happening {
    match draw.below(14) {
        0..8 => Happening::Work { which: draw.byte(), how: draw.byte() },
        8..10 => Happening::Delete { force: draw.below(5) == 4, which: draw.byte() },
        10..12 => Happening::Away(away(draw)),
        12 => Happening::Arrive(draw.byte()),
        _ => Happening::Machine { lost: draw.flag(), which: draw.byte() },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// How many of `all` numbers, evenly spread, make a step of each kind.
    fn kinds(step: fn(u64) -> Step, all: u64) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for n in 0..all {
            let name = format!("{:?}", step(n * (u64::MAX / all)));
            let name: String = name.chars().take_while(|letter| letter.is_alphanumeric()).collect();
            *kinds.entry(name).or_default() += 1;
        }
        kinds
    }

    #[test]
    fn every_kind_of_step_and_of_happening_is_drawn() {
        let usual = kinds(step, 80_000);
        assert_eq!(usual.len(), 19, "{usual:?}");
        let of = |name: &str| (usual[name] + 500) / 1000;
        assert_eq!(["Deliver", "Go", "Watch", "There", "Crash", "Broker"].map(of), [12, 20, 8, 12, 2, 1], "{usual:?}");
        let (rare, forgetful) = (kinds(rare_step, 80_000), kinds(forgetful_step, 80_000));
        assert!(rare["Refuse"] > 3_000 && forgetful["Lose"] > 3_000 && forgetful["Overlook"] > 3_000);
        let drawn: Vec<_> = (0..80_000).map(|n| format!("{:?}", rare_step(n * (u64::MAX / 80_000)))).collect();
        for happening in ["Work", "Delete", "Away(No)", "Away(Deaf)", "Away(Mute)", "Away(Late)", "Arrive", "Machine", "Reject"] {
            assert!(drawn.iter().any(|step| step.contains(happening)), "{happening}");
        }
    }

    #[test]
    fn a_smaller_number_is_a_plainer_step() {
        assert!(matches!(step(0), Step::Deliver { which: 0, acknowledged: true }));
        assert!(matches!(rare_step(0), Step::Deliver { .. }));
        assert!(matches!(step(u64::MAX), Step::Broker(Away::Late)));
    }
}
