//! The signals: a card each, with a plot for each golden signal that it bears, and its numbers by phase.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::axis::{TimeAxis, Unit};
use super::plot::{Mark, Plot, Series, Stage, fault_span, percent};
use crate::experiment::document::quantile_name;
use crate::report::model::{Failure, MomentKind, Panel, Point, RunReport, SignalSeries};
use crate::report::notation;

/// The resources whose use is a share; anything else that a host reading bears is a number of its own.
const RESOURCES: [(&str, &str); 6] = [
    ("cpu", "one"),
    ("memory", "two"),
    ("disk", "three"),
    ("cpu pressure", "four"),
    ("memory pressure", "five"),
    ("io pressure", "six"),
];

/// The whole section.
pub(super) fn section(report: &RunReport) -> Markup {
    let stage = Stage {
        time: TimeAxis::new(report.run.duration),
        phases: &report.phases,
        faults: &report.faults,
        alarms: report.alarms().map(|moment| moment.at).collect(),
    };
    html! {
        section #signals {
            h2 { "Signals" }
            (lanes(report, &stage))
            @for signal in &report.signals { (card(signal, &stage)) }
        }
    }
}

/// What was done when, above all the plots and on the same axis.
fn lanes(report: &RunReport, stage: &Stage<'_>) -> Markup {
    let time = stage.time;
    let marks: Vec<(f64, &str, &str)> = report
        .timeline
        .iter()
        .filter_map(|moment| match moment.kind {
            MomentKind::Alarm => Some((moment.at, "alarm", "alarm")),
            MomentKind::Verdict if moment.text.starts_with("steady again") => Some((moment.at, "good", "steady again")),
            _ => None,
        })
        .collect();
    html! {
        div.card.lanes {
            h3 { "What was done when" }
            (lane("phases", &html! {
                @for span in stage.phases {
                    @let (start, end) = (time.place(span.start), time.place(span.end));
                    div.span.(notation::phase(span.phase)) style=(format!("left:{start}%;width:{:.2}%", (end - start).max(0.3))) {
                        span { (notation::phase(span.phase)) }
                    }
                }
            }))
            @for fault in stage.faults {
                (lane("fault", &html! {
                    @if let Some((start, end)) = fault_span(fault) {
                        @let (left, right) = (time.place(start), time.place(end.unwrap_or(report.run.duration)));
                        div.span.fault.open[end.is_none()] style=(format!("left:{left}%;width:{:.2}%", (right - left).max(0.3))) {
                            span { (notation::one_line(&fault.fault)) " on " (notation::one_line(&fault.target)) @if end.is_none() { ", no undo recorded" } }
                        }
                    } @else { div.never { (notation::one_line(&fault.fault)) ": not in place" } }
                }))
            }
            @if !marks.is_empty() {
                (lane("events", &html! {
                    @for (at, class, name) in marks {
                        div.mark.(class) style=(format!("left:{}%", time.place(at))) title=(format!("{} {name}", notation::clock(at))) {}
                    }
                }))
            }
            (time_axis(time))
        }
    }
}

fn lane(name: &str, content: &Markup) -> Markup {
    html! { div.lane { div.lane-name title=(name) { (name) } div.track { (content) } } }
}

fn time_axis(time: TimeAxis) -> Markup {
    html! {
        div.frame.time-axis {
            span {}
            svg.area width="100%" height="18" aria-hidden="true" {
                @for tick in time.ticks() {
                    text.minor[tick.minor] x=(percent(tick.place)) y="13" text-anchor=(if tick.place == 0.0 { "start" } else { "middle" }) {
                        (tick.label)
                    }
                }
            }
        }
    }
}

fn card(signal: &SignalSeries, stage: &Stage<'_>) -> Markup {
    let mut plots: Vec<Plot<'_>> = plots(signal).into_iter().filter(|plot| !plot.is_empty()).collect();
    if let Some(first) = plots.first_mut() {
        first.names_phases = true;
    }
    html! {
        article.card {
            header.card-head {
                h3 { (notation::one_line(&signal.name)) }
                p.source { (notation::one_line(&signal.source)) }
            }
            @if plots.is_empty() {
                p.empty { "Nothing was read of this signal." }
            } @else {
                @for plot in &plots { (plot.render(stage)) }
                (time_axis(stage.time))
            }
            (numbers(signal))
            (reasons("Failures", &signal.failures))
            (reasons("Missing readings", &signal.missing))
        }
    }
}

fn reasons(title: &str, reasons: &[Failure]) -> Markup {
    html! {
        @if !reasons.is_empty() {
            p.reasons {
                strong { (title) ": " }
                @for (index, failure) in reasons.iter().take(6).enumerate() {
                    @if index > 0 { ", " }
                    (failure.count) " × " (notation::one_line(&failure.reason))
                }
                @if reasons.len() > 6 { ", and " (reasons.len() - 6) " other reasons" }
            }
        }
    }
}

fn points(signal: &SignalSeries, number: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
    signal.points.iter().filter_map(|point| Some((point.at, number(point)?))).collect()
}

/// The plots of a signal: those for which it has numbers.
fn plots(signal: &SignalSeries) -> Vec<Plot<'_>> {
    let missing: Vec<f64> = signal.points.iter().filter(|point| point.missing > 0).map(|point| point.at).collect();
    let plot = |title: String, unit, height, panel: Panel, series: Vec<Series>| {
        let any = series.iter().any(|series| !series.points.is_empty());
        Plot {
            title,
            signal: &signal.name,
            unit,
            height,
            bin: signal.bin,
            series,
            bounds: signal.bounds.iter().filter(|bound| bound.panel == panel).collect(),
            missing: if any { missing.clone() } else { Vec::new() },
            names_phases: false,
        }
    };
    let one = |name: &str, class, mark, points| vec![Series { name: name.into(), class, mark, points }];
    let latency = signal.quantiles.iter().enumerate().map(|(index, quantile)| {
        let class = match *quantile {
            quantile if quantile <= 0.5 => "p50",
            quantile if quantile < 0.99 => "p90",
            0.99 => "p99",
            _ => "p999",
        };
        let points = points(signal, |point| point.latency.get(index).copied());
        Series { name: quantile_name(*quantile), class, mark: Mark::Line, points }
    });
    let errors = points(signal, |point| (point.events > 0.0).then(|| point.bad / point.events));
    let saturation = RESOURCES.map(|(name, class)| {
        let points = points(signal, |point| point.host.get(name).copied());
        Series { name: name.into(), class, mark: Mark::Line, points }
    });
    let saturation = saturation.into_iter().filter(|series| !series.points.is_empty()).collect();
    let mut plots = vec![
        plot("Latency of good answers".into(), Unit::Time, 150.0, Panel::Latency, latency.collect()),
        plot("Errors".into(), Unit::Share, 64.0, Panel::Errors, one("bad events", "bad", Mark::Bar, errors)),
        plot(
            "Traffic".into(),
            Unit::Rate,
            64.0,
            Panel::Traffic,
            one("good events", "traffic", Mark::Area, points(signal, |point| point.rate)),
        ),
        plot(
            "Value".into(),
            Unit::Number,
            120.0,
            Panel::Value,
            one("value", "one", Mark::Line, points(signal, |point| point.value)),
        ),
        plot("Saturation".into(), Unit::Share, 120.0, Panel::Saturation, saturation),
    ];
    let names: BTreeSet<&String> = signal.points.iter().flat_map(|point| point.host.keys()).collect();
    let others = names.into_iter().filter(|name| !RESOURCES.iter().any(|(resource, _)| resource == name));
    plots.extend(others.map(|name| {
        let points = points(signal, |point| point.host.get(name).copied());
        let title = notation::one_line(name);
        plot(title.clone(), Unit::Number, 64.0, Panel::Number(name.clone()), one(&title, "one", Mark::Line, points))
    }));
    if plots.iter().all(Plot::is_empty) && !missing.is_empty() {
        plots.truncate(1);
        plots[0].title = "Readings".into();
        plots[0].missing = missing;
    }
    plots
}

/// The signal in numbers, by phase.
fn numbers(signal: &SignalSeries) -> Markup {
    type Cell = Box<dyn Fn(&crate::report::PhaseSummary) -> Option<String>>;
    let mut columns: Vec<(String, Cell)> = vec![
        ("events".into(), Box::new(|summary| (summary.events > 0.0).then(|| notation::count(summary.events)))),
        ("bad".into(), Box::new(|summary| (summary.events > 0.0).then(|| notation::count(summary.bad)))),
        ("good a second".into(), Box::new(|summary| summary.rate.map(|rate| Unit::Rate.print(rate)))),
        ("p50".into(), Box::new(|summary| summary.latency.map(|latency| notation::seconds(latency.p50)))),
        ("p90".into(), Box::new(|summary| summary.latency.map(|latency| notation::seconds(latency.p90)))),
        ("p99".into(), Box::new(|summary| summary.latency.map(|latency| notation::seconds(latency.p99)))),
        ("slowest".into(), Box::new(|summary| summary.latency.map(|latency| notation::seconds(latency.max)))),
        ("mean".into(), Box::new(|summary| summary.value.map(notation::number))),
        ("missing".into(), Box::new(|summary| (summary.missing > 0).then(|| summary.missing.to_string()))),
    ];
    let names: BTreeSet<&String> = signal.phases.iter().flat_map(|summary| summary.host.keys()).collect();
    for name in names {
        let unit = if RESOURCES.iter().any(|(resource, _)| resource == name) { Unit::Share } else { Unit::Number };
        let key = name.clone();
        columns.push((name.clone(), Box::new(move |summary| summary.host.get(&key).map(|number| unit.print(*number)))));
    }
    columns.retain(|(_, cell)| signal.phases.iter().any(|summary| cell(summary).is_some()));
    html! {
        @if !columns.is_empty() {
            div.scroll {
                table.numbers {
                    thead { tr { th scope="col" { "phase" } @for (name, _) in &columns { th scope="col" { (notation::one_line(name)) } } } }
                    tbody {
                        @for summary in &signal.phases {
                            tr {
                                th scope="row" { (notation::phase(summary.phase)) }
                                @for (_, cell) in &columns { td { (cell(summary).unwrap_or_else(|| "–".into())) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
