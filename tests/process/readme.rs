//! The tour of the README, its own blocks, as people paste them: in bash and in zsh, and a second time on the same data.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::hub::Hub;

const README: &str = include_str!("../../README.md");

/// Everything that is to be typed in one chapter.
fn blocks(chapter: &str) -> String {
    let (_, rest) = README.split_once(&format!("\n## {chapter}")).expect("the README has the chapter");
    let chapter = rest.split_once("\n## ").map_or(rest, |(chapter, _)| chapter);
    let mut typed = String::new();
    for block in chapter.split("```sh\n").skip(1) {
        typed.push_str(block.split_once("```").expect("a block ends").0);
        typed.push('\n');
    }
    typed
}

/// What an interactive shell makes of `typed`. It has no terminal, and two minutes.
fn pasted(shell: &[&str], typed: &str) -> Output {
    let mut command = Command::new("setsid");
    command.args(["--wait", "timeout", "--kill-after=5", "120"]).args(shell);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("scripts/test installs what is missing");
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    drop(stdin);
    running.wait_with_output().unwrap()
}

async fn the_tour_twice(shell: &'static [&'static str]) {
    let hub = Hub::start("warn", "", |command, _| {
        command.env("BELLHOP__LIMITS__ENABLED", "true");
    })
    .await;
    let typed = blocks("The tour").replace("127.0.0.1:8000", &hub.at.address.to_string());
    assert!(typed.contains("heard order_created"), "{typed}");
    for attempt in 1..=2 {
        let typed = typed.clone();
        let output = tokio::task::spawn_blocking(move || pasted(shell, &typed)).await.unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        let said = format!("attempt {attempt}: {out}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{said}");
        let (before, after) = out.split_once("\"recovered\":true").unwrap_or_else(|| panic!("{said}"));
        assert_eq!(before.matches("\"code\":\"already_exists\"").count(), (attempt - 1) * 2, "{said}");
        assert_eq!(before.matches("\"type\":\"order_created\"").count(), 1, "{said}");
        assert!(before.contains("accepted\n") && before.contains("preparing\nready\n"), "{said}");
        assert_eq!(after.matches("\"type\":\"order_updated\"").count(), 3, "{said}");
        assert!(after.contains("\"kind\":\"acknowledged\""), "{said}");
        assert!(after.contains("idempotency-replayed: true"), "{said}");
    }
    assert_eq!(hub.stop().code(), Some(0));
}

#[tokio::test]
async fn the_tour_works_in_bash_and_a_second_time_on_the_same_data() {
    the_tour_twice(&["bash", "--noprofile", "--norc", "-i"]).await;
}

#[tokio::test]
async fn the_tour_works_in_zsh_and_a_second_time_on_the_same_data() {
    the_tour_twice(&["zsh", "-f", "-i"]).await;
}

#[test]
fn no_block_of_the_readme_has_a_comment_that_an_interactive_zsh_would_run() {
    let blocks = README.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    for line in blocks.flat_map(str::lines) {
        assert!(!line.starts_with('#') && !line.contains(" # "), "{line}");
    }
}
