//! One plot as inline SVG. It is as wide as the page lets it be: lines lie in an inner drawing that stretches, texts
//! and marks are placed in percent and never stretch. No script is needed; what lies under the pointer is read out by
//! style rules alone.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::{NumberAxis, TimeAxis, Unit, round};
use crate::report::model::{Bound, BoundRole, BoundSide, FaultReport, PhaseSpan};
use crate::report::notation;

/// What lies behind every plot of a run.
pub(super) struct Stage<'a> {
    /// The time axis.
    pub(super) time: TimeAxis,
    /// The phases.
    pub(super) phases: &'a [PhaseSpan],
    /// The faults.
    pub(super) faults: &'a [FaultReport],
    /// Moments of alarm: a breached guardrail, a halt.
    pub(super) alarms: Vec<f64>,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A line.
    Line,
    /// A line with the area below it.
    Area,
    /// A bar for each bin.
    Bar,
}

/// One series of a plot.
pub(super) struct Series {
    /// Its name in the legend.
    pub(super) name: String,
    /// The class that gives its colour.
    pub(super) class: &'static str,
    /// How it is drawn.
    pub(super) mark: Mark,
    /// The start of each bin with its number; bins without one are left out.
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot of one golden signal.
pub(super) struct Plot<'a> {
    /// What it shows.
    pub(super) title: String,
    /// The signal, for readers who do not see the plot.
    pub(super) signal: &'a str,
    /// What its numbers are.
    pub(super) unit: Unit,
    /// Its height in pixels.
    pub(super) height: f64,
    /// The width of a bin in seconds.
    pub(super) bin: f64,
    /// Its series.
    pub(super) series: Vec<Series>,
    /// Its bounds.
    pub(super) bounds: Vec<&'a Bound>,
    /// The starts of bins in which readings are missing.
    pub(super) missing: Vec<f64>,
    /// Whether the phases are named above it.
    pub(super) names_phases: bool,
}

/// The width of the inner drawing in its own units.
const WIDTH: f64 = 1000.0;
/// The room above a plot in which phases are named.
const HEAD: f64 = 18.0;
/// Gaps of fewer bins than this are bridged: readings drift a little against the bins.
const BRIDGED: f64 = 2.5;

impl Plot<'_> {
    /// Whether there is anything to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.series.iter().all(|series| series.points.is_empty())
    }

    fn axis(&self) -> NumberAxis {
        let numbers = || self.series.iter().flat_map(|series| &series.points).map(|(_, number)| *number);
        let (low, high) = (numbers().fold(0.0, f64::min), numbers().fold(0.0, f64::max));
        // A bound far above what was measured would press the lines to the floor; it is then named at the edge.
        let near = |limit: &f64| self.unit == Unit::Share && high > 0.2 || high <= 0.0 || *limit <= high * 5.0;
        let bounds = self.bounds.iter().map(|bound| bound.limit).filter(near);
        NumberAxis::around(low, bounds.fold(high, f64::max) * 1.04)
    }

    /// The plot with its title, legend and axes.
    pub(super) fn render(&self, stage: &Stage<'_>) -> Markup {
        let axis = self.axis();
        let head = if self.names_phases { HEAD } else { 4.0 };
        let height = head + self.height + 4.0;
        html! {
            figure.plot {
                figcaption {
                    span.plot-title { (self.title) }
                    span.legend {
                        @for series in &self.series {
                            span.key.(series.class) { span.swatch {} (series.name) }
                        }
                        @for bound in &self.bounds {
                            span.key.(bound_class(bound)) { span.swatch {} (bound_text(bound, self.unit)) }
                        }
                    }
                }
                div.frame {
                    svg.y-axis width="56" height=(height) aria-hidden="true" {
                        @for tick in axis.ticks() {
                            text x="50" y=(round(head + axis.place(tick, self.height) + 4.0)) text-anchor="end" {
                                (self.unit.print(tick))
                            }
                        }
                    }
                    svg.area width="100%" height=(height) role="img" aria-label=(self.label()) {
                        (self.backdrop(stage, axis, head))
                        svg x="0" y=(head) width="100%" height=(self.height) viewBox=(format!("0 0 {WIDTH} {}", self.height))
                            preserveAspectRatio="none" {
                            @for series in &self.series { (self.series(series, stage.time, axis)) }
                        }
                        @for bound in &self.bounds { (self.bound(bound, axis, head)) }
                        (self.readouts(stage.time, head))
                    }
                }
            }
        }
    }

    /// What the plot says, for readers who do not see it.
    fn label(&self) -> String {
        let series = self.series.iter().map(|series| {
            let numbers = || series.points.iter().map(|(_, number)| *number);
            let low = self.unit.print(numbers().fold(f64::INFINITY, f64::min));
            format!("{} from {low} to {}", series.name, self.unit.print(numbers().fold(f64::NEG_INFINITY, f64::max)))
        });
        let series: Vec<String> = series.collect();
        format!("{} of {} over time: {}", self.title, notation::one_line(self.signal), series.join("; "))
    }

    /// Phases, grid, faults and alarms.
    fn backdrop(&self, stage: &Stage<'_>, axis: NumberAxis, head: f64) -> Markup {
        let time = stage.time;
        let bottom = round(head + self.height);
        html! {
            @for span in stage.phases {
                @let (start, end) = (time.place(span.start), time.place(span.end));
                rect.phase.(notation::phase(span.phase)) x=(percent(start)) y=(head) width=(percent(round(end - start))) height=(self.height) {}
                @if self.names_phases && end - start > 1.0 {
                    text.phase-name.(notation::phase(span.phase)) x=(percent(round((start + end) / 2.0))) y="12" text-anchor="middle" {
                        (notation::phase(span.phase))
                    }
                }
            }
            @for tick in axis.ticks() {
                @let y = round(head + axis.place(tick, self.height));
                line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
            }
            @for tick in time.ticks() {
                line.grid.faint x1=(percent(tick.place)) x2=(percent(tick.place)) y1=(head) y2=(bottom) {}
            }
            @for start in &self.missing {
                @let place = time.place(*start);
                rect.missing x=(percent(place)) y=(head) width=(percent(round(time.place(start + self.bin) - place))) height=(self.height) {}
            }
            @for (start, end) in stage.faults.iter().filter_map(fault_span) {
                @for edge in [Some(start), end].into_iter().flatten() {
                    line.fault-edge x1=(percent(time.place(edge))) x2=(percent(time.place(edge))) y1=(head) y2=(bottom) {}
                }
            }
            @for at in &stage.alarms {
                line.alarm x1=(percent(time.place(*at))) x2=(percent(time.place(*at))) y1=(head) y2=(bottom) {}
            }
        }
    }

    fn series(&self, series: &Series, time: TimeAxis, axis: NumberAxis) -> Markup {
        let x = |at: f64| round(time.place(at) * WIDTH / 100.0);
        let floor = axis.place(0.0, self.height);
        if series.mark == Mark::Bar {
            let mut path = String::new();
            for (at, number) in series.points.iter().filter(|(_, number)| *number != 0.0) {
                let (left, right) = (x(*at), x(at + self.bin));
                let gap = (right - left) * 0.12;
                let top = axis.place(*number, self.height).min(floor - 1.5);
                let _ = write!(path, "M{} {floor}V{top}H{}V{floor}Z", round(left + gap), round(right - gap));
            }
            return html! { path.bars.(series.class) d=(path) {} };
        }
        let mut line = String::new();
        let mut area = String::new();
        for stretch in self.stretches(&series.points) {
            let places: Vec<(f64, f64)> =
                stretch.iter().map(|(at, number)| (x(at + self.bin / 2.0), axis.place(*number, self.height))).collect();
            let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
            let mut stroke = String::new();
            if places.len() == 1 {
                // A point alone has no length; it is drawn as wide as its bin.
                let half = (x(stretch[0].0 + self.bin) - x(stretch[0].0)) / 2.0;
                let _ = write!(stroke, "{} {}H{}", round(first.0 - half), first.1, round(first.0 + half));
            } else {
                for (index, (x, y)) in places.iter().enumerate() {
                    let _ = write!(stroke, "{}{x} {y}", if index == 0 { "" } else { "L" });
                }
            }
            let _ = write!(line, "M{stroke}");
            let _ = write!(area, "M{} {floor}L{stroke}V{floor}Z", if places.len() == 1 { last.0 } else { first.0 });
        }
        html! {
            @if series.mark == Mark::Area { path.fill.(series.class) d=(area) {} }
            path.line.(series.class) d=(line) vector-effect="non-scaling-stroke" {}
        }
    }

    /// Runs of points without a gap: a gap is never bridged by a line, since nobody knows what was in it.
    fn stretches<'p>(&self, points: &'p [(f64, f64)]) -> Vec<&'p [(f64, f64)]> {
        let joined = |one: &(f64, f64), other: &(f64, f64)| {
            let between = |start: &&f64| **start > one.0 && **start < other.0;
            other.0 - one.0 < self.bin * BRIDGED && !self.missing.iter().any(|start| between(&start))
        };
        points.chunk_by(joined).collect()
    }

    fn bound(&self, bound: &Bound, axis: NumberAxis, head: f64) -> Markup {
        let above = bound.limit > axis.high();
        let y = round(head + axis.place(bound.limit, self.height));
        html! {
            @if above {
                text.bound-note.(bound_class(bound)) x="100%" dx="-4" y=(round(head + 11.0)) text-anchor="end" {
                    "▲ " (self.unit.print(bound.limit)) " is above the plot"
                }
            } @else {
                line.bound.(bound_class(bound)) x1="0" x2="100%" y1=(y) y2=(y) {}
            }
        }
    }

    /// One strip a bin: under the pointer it shows itself and reads out its numbers.
    fn readouts(&self, time: TimeAxis, head: f64) -> Markup {
        let mut bins: Vec<f64> = self
            .series
            .iter()
            .flat_map(|series| &series.points)
            .map(|(at, _)| *at)
            .chain(self.missing.iter().copied())
            .collect();
        bins.sort_by(f64::total_cmp);
        bins.dedup();
        let number = |series: &Series, at: f64| {
            let found = series.points.binary_search_by(|(start, _)| start.total_cmp(&at)).ok()?;
            Some(format!("{} {}", series.name, self.unit.print(series.points[found].1)))
        };
        html! {
            @for at in bins {
                @let place = time.place(at);
                @let numbers: Vec<String> = self.series.iter().filter_map(|series| number(series, at)).collect();
                @let missing = self.missing.contains(&at).then(|| "readings missing".to_owned());
                g.bin {
                    rect x=(percent(place)) y=(head) width=(percent(round(time.place(at + self.bin) - place))) height=(self.height) {}
                    text x=(if place > 50.0 { "1%" } else { "99%" }) y=(round(head + 13.0)) text-anchor=(if place > 50.0 { "start" } else { "end" }) {
                        (notation::clock(at)) "  " (numbers.into_iter().chain(missing).collect::<Vec<_>>().join(" · "))
                    }
                }
            }
        }
    }
}

/// A place in percent, as an attribute.
pub(super) fn percent(place: f64) -> String {
    format!("{place}%")
}

/// From the beginning of a fault's injection to the end of its undo, if both are known.
pub(super) fn fault_span(fault: &FaultReport) -> Option<(f64, Option<f64>)> {
    let start = fault.injected_at? - fault.injection_took.unwrap_or(0.0);
    Some((start, fault.undone_at))
}

fn bound_class(bound: &Bound) -> &'static str {
    match bound.role {
        BoundRole::Objective => "objective",
        BoundRole::Guardrail => "guardrail",
    }
}

fn bound_text(bound: &Bound, unit: Unit) -> String {
    let role = bound_class(bound);
    let side = match bound.side {
        BoundSide::Below => "below",
        BoundSide::AtLeast => "at least",
    };
    format!("{role}: {side} {}", unit.print(bound.limit))
}
