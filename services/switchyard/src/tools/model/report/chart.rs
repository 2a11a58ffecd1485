//! Charts as SVG inside the page: no script, and colours that the page's style gives them.

use std::fmt::Write as _;

use super::{
    text::{esc, number, percent},
    view::{Point, Shape},
};

/// The drawing's own size; the page scales it.
const WIDE: f64 = 500.0;
const HIGH: f64 = 150.0;

/// A column's values, then and now.
pub(super) fn shape(shape: &Shape) -> String {
    match shape {
        Shape::Numbers { low, high, reference, current } => numbers(*low, *high, reference, current),
        Shape::Names { names, reference, current } => bars(names, reference, current),
    }
}

fn numbers(low: f64, high: f64, reference: &[f64], current: &[f64]) -> String {
    let (floor, top) = (HIGH - 20.0, 6.0);
    let most = reference.iter().chain(current).copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let width = WIDE / reference.len().max(current.len()).max(1) as f64;
    let y = |share: f64| floor - share / most * (floor - top);
    let outline = |shares: &[f64]| {
        let mut path = format!("M0 {floor:.1}");
        for (n, share) in shares.iter().enumerate() {
            let _ = write!(path, "V{:.1}H{:.1}", y(*share), width * (n + 1) as f64);
        }
        format!("{path}V{floor:.1}Z")
    };
    let mut drawn = format!("<path class=\"then\" d=\"{}\"/>", outline(reference));
    if !current.is_empty() {
        let _ = write!(drawn, "<path class=\"now\" d=\"{}\"/>", outline(current));
    }
    let _ = write!(drawn, "<path class=\"axis\" d=\"M0 {floor}H{WIDE}\"/>");
    let step = (high - low) / reference.len().max(1) as f64;
    for (n, share) in reference.iter().enumerate() {
        let (from, now) = (low + step * n as f64, current.get(n).map_or_else(|| "–".to_owned(), |share| percent(*share)));
        let told = format!("{} to {}: reference {}, now {now}", number(from), number(from + step), percent(*share));
        let x = width * n as f64;
        let _ = write!(
            drawn,
            "<rect class=\"hit\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{floor}\"><title>{told}</title></rect>"
        );
    }
    for (x, anchor, value) in [(0.0, "start", low), (WIDE / 2.0, "middle", f64::midpoint(low, high)), (WIDE, "end", high)] {
        let _ = write!(drawn, "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>", HIGH - 5.0, number(value));
    }
    svg("values in the reference and in the last window", WIDE, HIGH, &drawn)
}

/// The longest name that is shown whole.
const NAME: usize = 16;
const ROW: f64 = 26.0;

fn bars(names: &[String], reference: &[f64], current: &[f64]) -> String {
    let (left, right) = (112.0, 104.0);
    let most = reference.iter().chain(current).copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let length = |share: f64| share / most * (WIDE - left - right);
    let mut drawn = String::new();
    for (n, (name, share)) in names.iter().zip(reference).enumerate() {
        let (y, now) = (ROW * n as f64, current.get(n));
        let shown: String = name.chars().take(NAME).collect();
        let cut = if name.chars().count() > NAME { "…" } else { "" };
        let (shown, name) = (esc(&format!("{shown}{cut}")), esc(name));
        let _ = write!(
            drawn,
            "<text class=\"ink\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{shown}<title>{name}</title></text>",
            left - 10.0,
            y + 16.0
        );
        let _ = write!(
            drawn,
            "<rect class=\"then\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\" rx=\"1.5\"/>",
            y + 3.0,
            length(*share)
        );
        if let Some(now) = now {
            let _ = write!(
                drawn,
                "<rect class=\"now-bar\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\" rx=\"1.5\"/>",
                y + 12.0,
                length(*now)
            );
        }
        let told = now.map_or_else(|| percent(*share), |now| format!("{} → {}", percent(*share), percent(*now)));
        let _ = write!(drawn, "<text x=\"{WIDE}\" y=\"{:.1}\" text-anchor=\"end\">{told}</text>", y + 16.0);
    }
    svg("shares in the reference and in the last window", WIDE, ROW * names.len() as f64, &drawn)
}

/// How a series is drawn.
pub(super) struct Frame {
    /// What the values must keep to.
    pub(super) limit: Option<f64>,
    /// Whether 0 belongs on the page.
    pub(super) from_zero: bool,
    /// How wide the drawing is, in its own measure.
    pub(super) wide: f64,
}

impl Frame {
    /// Beside another drawing.
    pub(super) const HALF: f64 = WIDE;
    /// By itself.
    pub(super) const WHOLE: f64 = 1040.0;
}

/// Where the values of a series are.
struct Axes {
    left: f64,
    right: f64,
    top: f64,
    floor: f64,
    scale: Scale,
    points: usize,
}

impl Axes {
    fn x(&self, n: usize) -> f64 {
        if self.points < 2 {
            return f64::midpoint(self.left, self.right);
        }
        self.left + 6.0 + (self.right - self.left - 12.0) * n as f64 / (self.points - 1) as f64
    }

    fn y(&self, value: f64) -> f64 {
        self.floor - (value - self.scale.low) / (self.scale.high - self.scale.low) * (self.floor - self.top)
    }
}

/// A figure window by window, and the limit that it must keep to.
pub(super) fn series(points: &[Point], frame: &Frame) -> String {
    let Some(scale) = Scale::of(points.iter().map(|point| point.value).chain(frame.limit), frame.from_zero) else {
        return String::new();
    };
    let axes = Axes { left: 38.0, right: frame.wide, top: 12.0, floor: HIGH - 20.0, scale, points: points.len() };
    let drawn = [grid(&axes), marks(points, &axes), limit(frame.limit, &axes), course(points, &axes), names(points, &axes)];
    svg("window by window", frame.wide, HIGH, &drawn.concat())
}

fn grid(axes: &Axes) -> String {
    let mut drawn = String::new();
    for (n, value) in axes.scale.ticks().enumerate() {
        let (class, at) = (if n == 0 { "axis" } else { "grid" }, axes.y(value));
        let _ = write!(drawn, "<path class=\"{class}\" d=\"M{} {at:.1}H{}\"/>", axes.left, axes.right);
        let told = axes.scale.shown(value);
        let _ = write!(drawn, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{told}</text>", axes.left - 6.0, at + 4.0);
    }
    drawn
}

/// Where another reference begins.
fn marks(points: &[Point], axes: &Axes) -> String {
    let mut drawn = String::new();
    for (n, point) in points.iter().enumerate().filter(|(n, point)| *n > 0 && point.anew) {
        let (at, told) = (f64::midpoint(axes.x(n - 1), axes.x(n)), format!("a new reference from window {}", point.window));
        let _ = write!(drawn, "<path class=\"anew\" d=\"M{at:.1} {}V{}\"><title>{told}</title></path>", axes.top, axes.floor);
    }
    drawn
}

fn limit(limit: Option<f64>, axes: &Axes) -> String {
    limit.map_or_else(String::new, |limit| {
        let (at, right) = (axes.y(limit), axes.right);
        let line = format!("<path class=\"limit\" d=\"M{} {at:.1}H{right}\"/>", axes.left);
        format!(
            "{line}<text class=\"limit-name\" x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            at - 4.0,
            number(limit)
        )
    })
}

fn course(points: &[Point], axes: &Axes) -> String {
    let mut drawn = String::new();
    for piece in pieces(points) {
        let path: Vec<String> = piece.map(|n| format!("{:.1} {:.1}", axes.x(n), axes.y(points[n].value))).collect();
        let _ = write!(drawn, "<path class=\"line\" d=\"M{}\"/>", path.join("L"));
    }
    let radius = if points.len() > 80 { 1.5 } else { 3.0 };
    for (n, point) in points.iter().enumerate() {
        let (look, told) = if point.drifted { (" bad", ", beyond") } else { ("", "") };
        let told = format!("window {}: {}{told}", point.window, number(point.value));
        let at = format!("cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"", axes.x(n), axes.y(point.value));
        let _ = write!(drawn, "<circle class=\"dot{look}\" {at}><title>{told}</title></circle>");
    }
    drawn
}

fn names(points: &[Point], axes: &Axes) -> String {
    let y = HIGH - 5.0;
    match points {
        [] => String::new(),
        [only] => format!("<text x=\"{:.1}\" y=\"{y}\" text-anchor=\"middle\">window {}</text>", axes.x(0), only.window),
        [first, .., last] => format!(
            "<text x=\"{}\" y=\"{y}\">window {}</text><text x=\"{}\" y=\"{y}\" text-anchor=\"end\">window {}</text>",
            axes.left, first.window, axes.right, last.window
        ),
    }
}

/// An axis that begins and ends with round numbers.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

/// About how many steps an axis has.
const STEPS: f64 = 3.0;

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone, from_zero: bool) -> Option<Self> {
        let (mut least, mut most) = (values.clone().reduce(f64::min)?, values.reduce(f64::max)?);
        if from_zero {
            (least, most) = (least.min(0.0), most.max(0.0));
        }
        let span = if most > least { most - least } else { most.abs().max(1.0) / 10.0 };
        let power = 10_f64.powf((span / STEPS).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| span / step <= STEPS).unwrap_or(span);
        let (low, high) = ((least / step).floor() * step, (most / step).ceil() * step);
        Some(Self { low, high: if high > low { high } else { low + step }, step })
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (low, high, step) = (self.low, self.high, self.step);
        (0..10).map(move |n| low + step * f64::from(n)).take_while(move |tick| *tick <= high + step / 2.0)
    }

    /// With as many digits as the steps have.
    fn shown(&self, value: f64) -> String {
        let digits = (-self.step.log10().floor()).clamp(0.0, 6.0);
        let value = if value.abs() < self.step / 1e6 { 0.0 } else { value };
        format!("{value:.*}", format!("{digits}").parse().unwrap_or(0))
    }
}

/// The runs of points that belong together: a new reference begins a new line.
fn pieces(points: &[Point]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let starts: Vec<usize> = (0..points.len()).filter(|&n| n == 0 || points[n].anew).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([points.len()]).collect();
    starts.into_iter().zip(ends).map(|(from, to)| from..to)
}

fn svg(title: &str, wide: f64, high: f64, drawn: &str) -> String {
    format!("<svg viewBox=\"0 0 {wide} {high}\" role=\"img\" aria-label=\"{title}\">{drawn}</svg>")
}
