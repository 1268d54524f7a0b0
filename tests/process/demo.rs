//! What the demo says, and what Ctrl-C means to it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{ChildStdout, Command, Stdio};

use crate::hub::Process;

struct Demo {
    child: Process,
    out: BufReader<ChildStdout>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        command.args(["demo", "--port", "0"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Process::start(&mut command);
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Reads on until a line has this in it.
    fn until(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended before it said {part}");
        }
    }

    /// As Ctrl-C does.
    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// The exit status, the rest of what was said and what was complained of, but for a machine that is too busy to read in time.
    fn ended(mut self) -> (Option<i32>, String, String) {
        let (mut rest, mut complaints) = (String::new(), String::new());
        self.out.read_to_string(&mut rest).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        let is_of_the_hub = |line: &&str| !line.contains("a slow query");
        let complaints: String = complaints.lines().filter(is_of_the_hub).collect();
        (self.child.wait().unwrap().code(), rest, complaints)
    }
}

#[test]
fn the_demo_says_at_once_what_it_does_and_shows_at_the_end_what_it_mended() {
    let mut demo = Demo::start(&["--businesses", "3", "--orders-per-second", "30", "--for", "6s"]);
    let mut first = String::new();
    demo.out.read_line(&mut first).unwrap();
    assert_eq!(first, "setting up 3 businesses with 6 devices on a hub of their own…\n");
    let (status, rest, complaints) = demo.ended();
    assert_eq!(status, Some(0), "{rest}\n{complaints}");
    let figure = |name: &str| {
        let line = rest.lines().find(|line| line.trim_start().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing in {rest}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert!(figure("connections of devices cut") > 0 && figure("resumed where they had been") > 0, "{rest}");
    assert!(figure("events caught up from the history") > 0, "{rest}");
    assert_eq!(figure("orders sent again with their key"), figure("answered with the first order"), "{rest}");
    assert!(rest.contains("no new orders; "), "{rest}");
}

#[test]
fn a_second_interrupt_leaves_what_is_open_and_calls_nothing_lost() {
    let mut demo = Demo::start(&["--businesses", "3", "--orders-per-second", "100"]);
    demo.until("orders/s");
    demo.interrupt();
    demo.until("no new orders; ");
    demo.interrupt();
    let (status, rest, complaints) = demo.ended();
    assert_eq!(status, Some(130), "{rest}\n{complaints}");
    assert!(rest.contains("left open, not judged") && !rest.contains("NOT GOOD"), "{rest}");
}

#[test]
fn an_interrupt_before_the_demo_has_begun_ends_it_quietly() {
    let mut demo = Demo::start(&["--businesses", "200"]);
    demo.until("setting up");
    demo.interrupt();
    let (status, rest, complaints) = demo.ended();
    assert_eq!((status, rest.as_str(), complaints.as_str()), (Some(130), "", ""));
}

#[test]
fn a_demo_with_wrong_settings_ends_as_a_hub_with_wrong_settings_does() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let demo = Demo::start(&["--data", file.path().to_str().unwrap()]);
    let (status, _, complaints) = demo.ended();
    assert_eq!(status, Some(64), "{complaints}");
    assert!(complaints.contains("data.dir"), "{complaints}");
}
