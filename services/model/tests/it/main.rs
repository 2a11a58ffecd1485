//! The model file through its public API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot unwrap has failed")]

mod canonical;
mod documentation;
mod read;
mod wrong;

/// Every block that a file may have.
pub(crate) const WHOLE: &str = "
version: 1
model: churn
store: {url: 's3://ml/churn', secret: ml-rw}
data: {source: {url: 's3://lake/churn/*.parquet', secret: lake-ro}, where: \"plan != 'test'\", select: {tail: 90d}, key: customer_id, eventTime: ts, label: {column: churned, task: binary}, features: [age, plan]}
split: {seed: 7, folds: {train: 0.7, eval: 0.15, test: 0.15}}
preprocess: {age: [{fill: median}, {scale: zscore}], plan: [{vocabulary: 100}, {onehot: {unknown: bucket}}]}
train: {image: 'r/churn@sha256:0f', code: {repository: 'https://git.acme/churn', commit: 4f1c4f1c4f1c4f1c4f1c4f1c4f1c4f1c4f1c4f1c}, command: [python, train.py], params: {depth: 6}, cpu: 8, ram: 32Gi, timeout: 6h}
predict: {command: [python, predict.py]}
evaluate: {fold: test, metrics: [auc, logloss], slices: [plan], custom: {command: [python, metrics.py]}, gate: {metric: auc, min: 0.8, gain: 0.002, maxSliceDrop: 0.01}}
serve: {event: model.promoted}
monitor: {input: {format: kserve-v2, partitions: 4}, labels: {wait: 7d}, window: {every: 1h, lateness: 10m}, reference: {fold: train, bins: 1024}, minSamples: 500, test: {alpha: 0.01, correction: bh}, raise: {windows: 2, of: 3}, columns: {age: {ks: 0.1}, plan: {js: 0.1}}}
policy: {mode: auto, triggers: [drift, {newRows: 1000000}, {cron: '0 3 * * 0'}], warmup: 10, cooldown: 24h, concurrency: skip, budget: {runs: 5, podHours: 40, per: 7d}, rejectBackoff: 24h}
";

/// No more than a file must have.
pub(crate) const LEAST: &str = "
version: 1
model: churn
store: {url: 'file:///var/ml'}
data: {source: {url: 'file:///lake/*.csv'}, key: id, label: {column: churned, task: binary}, features: [age, plan]}
train: {image: r/churn, command: [python3, train.py]}
";
