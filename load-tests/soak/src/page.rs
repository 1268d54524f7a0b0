//! The page of docs/benchmarks/soak.md and its plot.

use std::fmt::Write as _;

use crate::sampler::{DATABASE, Sample, WAL, points, series};
use crate::verdict::{DESCRIPTORS, MEMORY, SOCKETS, Verdict};

const MIB: f64 = 1024.0 * 1024.0;

/// The area of one plot, pixels.
const AREA: (f64, f64) = (600.0, 100.0);

/// What lies left of it and above it, pixels.
const MARGIN: (f64, f64) = (80.0, 34.0);

/// A line of a plot: its name, its colour, seconds and values.
type Line = (String, &'static str, Vec<(f64, f64)>);

/// One plot: its title and its lines.
struct Plot {
    title: &'static str,
    lines: Vec<Line>,
}

/// Description of the run, so that it can be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances {
    pub(crate) store: String,
    pub(crate) commit: String,
    /// The command that makes such a run.
    pub(crate) command: String,
    /// Settings of the hub that differ from its defaults.
    pub(crate) settings: String,
    /// The load, in words.
    pub(crate) load: String,
}

/// The page.
pub(crate) fn page(circumstances: &Circumstances, verdict: &Verdict) -> String {
    let Circumstances { store, commit, command, settings, load } = circumstances;
    let minutes = verdict.length / 60.0;
    let outcome = if verdict.holds() { "Everything levels off." } else { "Not all of it holds." };
    format!(
        "# Soak\n\n\
         {minutes:.0} minutes of steady mixed load on one hub with {store}, hub and clients on the same machine.\n\
         {outcome}\n\n\
         {load}\n\n\
         ![Memory, descriptors, queues and files over time](soak.svg)\n\n\
         {}\n\
         ## How it is judged\n\n\
         The hub is sampled every five seconds. The first quarter is warm-up: caches, the rings of rooms and the\n\
         pools of connections fill to their bounds, and the allocator keeps pages that it once needed. So that they\n\
         are full by then, and a leak shows all the better, the hub is given small bounds:\n\n{settings}\n\n\
         After the warm-up a line is laid through the medians of minutes, for memory through the least of each (a\n\
         password hash takes 19 MiB for a moment), by Theil–Sen, which outliers do not bend. *Gains* is what the line\n\
         rises until the end, or the step from the second quarter to the last if that is more. A figure may gain 5 %\n\
         or a small amount, whichever is larger: 2 MiB of memory, 10 descriptors or sockets, 2 threads or\n\
         connections, 1 message in a queue, 1 MiB of the write-ahead log. The database file is not judged: it grows\n\
         by what is stored.\n\n\
         Commit {commit}; {}. Again: `{command}`.\n",
        verdict.markdown(),
        machine(),
    )
}

/// Cores, their kind, and the kernel.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |m| m.1);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    // What follows the version names a build, which nobody else has.
    let version = kernel.trim().split('-').next().unwrap_or_default();
    format!("{cores} cores, {model}, Linux {version}")
}

/// The plots below each other; what is before `warm` seconds lies under grey.
pub(crate) fn svg(samples: &[Sample], length: f64) -> String {
    let mib = |name: &str| points(samples, name).into_iter().map(|(at, value)| (at, value / MIB)).collect();
    let own = |name: &str| points(samples, name);
    let depths = series(samples).into_iter().filter(|name| name.contains("_depth"));
    let colours = ["#1f6f5c", "#b5651d", "#5b5ea6", "#9aa5b1"];
    let depths =
        depths.zip(colours.into_iter().cycle()).map(|(name, colour)| (name.to_owned(), colour, own(name)));
    let named = |name: &str, colour, points| (name.to_owned(), colour, points);
    let plots = [
        Plot { title: "Resident memory, MiB", lines: vec![named("", colours[0], mib(MEMORY))] },
        Plot {
            title: "Open descriptors and sockets",
            lines: vec![
                named("descriptors", colours[0], own(DESCRIPTORS)),
                named("sockets", colours[1], own(SOCKETS)),
            ],
        },
        Plot { title: "Waiting in queues and mailboxes", lines: depths.collect() },
        Plot {
            title: "SQLite, MiB",
            lines: vec![named("file", colours[0], mib(DATABASE)), named("log", colours[1], mib(WAL))],
        },
    ];
    let plots: Vec<Plot> =
        plots.into_iter().filter(|plot| plot.lines.iter().any(|(_, _, points)| !points.is_empty())).collect();
    let height = plots.len() as f64 * (AREA.1 + MARGIN.1) + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (index, plot) in plots.iter().enumerate() {
        draw(&mut text, plot, index as f64 * (AREA.1 + MARGIN.1) + MARGIN.1 - 8.0, length);
    }
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\">{:.0} minutes</text>\n</svg>",
        MARGIN.0 + AREA.0,
        height - 6.0,
        length / 60.0
    );
    text
}

fn draw(text: &mut String, plot: &Plot, top: f64, length: f64) {
    let most =
        plot.lines.iter().flat_map(|(_, _, points)| points).map(|(_, value)| *value).fold(1.0, f64::max);
    let (left, (width, height)) = (MARGIN.0, AREA);
    let warm = width / 4.0;
    let _ = write!(
        text,
        "<text x=\"{left}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>\n\
         <rect x=\"{left}\" y=\"{top:.0}\" width=\"{warm}\" height=\"{height}\" fill=\"#eef0f2\"/>\n\
         <path d=\"M{left} {top:.0}V{:.0}H{}\" fill=\"none\" stroke=\"#444\"/>\n\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{most:.0}</text>\n\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">0</text>\n",
        top - 6.0,
        plot.title,
        top + height,
        left + width,
        left - 6.0,
        top + 10.0,
        left - 6.0,
        top + height,
    );
    for (row, (name, colour, points)) in plot.lines.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|(at, value)| {
                format!(
                    "{:.1} {:.1}",
                    left + (at / length).min(1.0) * width,
                    top + height - value / most * height
                )
            })
            .collect();
        if !path.is_empty() {
            let _ = writeln!(text, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\"/>", path.join("L"));
        }
        let _ = writeln!(
            text,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>",
            left + width - 4.0,
            top + 14.0 + row as f64 * 14.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plot_has_a_line_for_each_figure_that_was_sampled_and_none_for_others() {
        let values = [(MEMORY, MIB), (DESCRIPTORS, 9.0), ("mailbox_depth{actor=a}", 1.0)];
        let sample = |at| Sample { at, values: values.map(|(name, value)| (name.to_owned(), value)).into() };
        let text = svg(&[sample(0.0), sample(5.0)], 10.0);
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert_eq!(text.matches("fill=\"none\" stroke=\"#1f6f5c\"").count(), 3, "{text}");
        assert!(!text.contains("SQLite") && !text.contains("NaN"), "{text}");
    }
}
