//! What has been said of the demo's model so far.

use switchyard_bus::{Bus, Delivery};
use switchyard_events::{
    DriftDetected, ModelEvaluated, ModelPromoted, ReferencePinned, RetrainingFinished, RetrainingRequested, WindowJudged,
    custom_data,
};

/// Events about one model, in their order; those that may begin a matter or end it with their traces.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) windows: Vec<WindowJudged>,
    pub(super) drifts: Vec<(String, DriftDetected)>,
    pub(super) requested: Vec<(String, RetrainingRequested)>,
    pub(super) evaluated: Vec<ModelEvaluated>,
    pub(super) promoted: Vec<(String, ModelPromoted)>,
    pub(super) pinned: Vec<ReferencePinned>,
    pub(super) finished: Vec<RetrainingFinished>,
}

impl Heard {
    pub(super) async fn of(bus: &Bus, model: &str) -> anyhow::Result<Self> {
        let mut heard = Self::default();
        let filter = format!("yard.dev.cdeventsx.*.*.*.*.*.{model}.*");
        bus.recorded("YARD", &filter, None, |delivery| heard.hear(&delivery)).await?;
        Ok(heard)
    }

    fn hear(&mut self, delivery: &Delivery) {
        let Ok(event) = delivery.cdevent() else { return };
        let trace = || trace_of(&delivery.trace);
        match event.context.ty.as_ref() {
            WindowJudged::TYPE => self.windows.extend(custom_data(&event)),
            DriftDetected::TYPE => self.drifts.extend(custom_data(&event).map(|said| (trace(), said))),
            RetrainingRequested::TYPE => self.requested.extend(custom_data(&event).map(|said| (trace(), said))),
            ModelEvaluated::TYPE => self.evaluated.extend(custom_data(&event)),
            ModelPromoted::TYPE => self.promoted.extend(custom_data(&event).map(|said| (trace(), said))),
            ReferencePinned::TYPE => self.pinned.extend(custom_data(&event)),
            RetrainingFinished::TYPE => self.finished.extend(custom_data(&event)),
            _ => {}
        }
    }
}

/// The trace's id in a `traceparent`.
pub(super) fn trace_of(traceparent: &str) -> String {
    traceparent.split('-').nth(1).unwrap_or_default().to_owned()
}
