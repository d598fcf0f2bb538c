//! axe-core finds no violation on the page, whatever is open, in both colour schemes, at 200 % zoom and on a phone. npm
//! fetches it, as a tool of the tests, into the build folder.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use testkit::skip::skip;

use super::layout::busy;
use crate::http::{
    browser::{Browser, REQUIRED},
    support::{Server, run},
};

/// The version whose rules the page is tested by.
const AXE: &str = "axe-core@4.14.1";

/// The script of axe-core; `None` if npm can't fetch it and that is not required. `GOSSIPSUB_AXE` names a file to use instead.
fn axe() -> Option<String> {
    if let Some(file) = std::env::var_os("GOSSIPSUB_AXE") {
        return Some(std::fs::read_to_string(file).expect("the file that GOSSIPSUB_AXE names"));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(AXE);
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(AXE);
        let problem = match npm.output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            let message = format!("npm can't fetch {AXE}: {problem}");
            skip(REQUIRED, &message);
            return None;
        }
    }
    Some(std::fs::read_to_string(script).expect("axe-core"))
}

/// Each violation with the elements that have it.
async fn violations(browser: &Browser, axe: &str) -> Vec<Value> {
    let rules = browser.run(&format!("{axe}; return axe.getRules().length")).await;
    assert!(rules.as_u64().unwrap() > 80, "{rules}");
    let script = "return axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations.map(one => \
        [one.id, one.help, ...one.nodes.map(node => node.html.slice(0, 150) + ' ' + node.failureSummary)]))";
    serde_json::from_value(browser.run(script).await).expect("a list")
}

#[test]
fn axe_finds_no_violation() {
    run(async {
        let Some(browser) = Browser::start().await else { return };
        let Some(axe) = axe() else { return };
        let worker = busy().await;
        let server = Server::of(&worker);
        // A window of 1280 pixels, the same at 200 %, and a phone.
        for (scheme, width, scale) in [
            ("light", 1280, 1.0),
            ("dark", 1280, 1.0),
            ("light", 640, 2.0),
            ("dark", 640, 2.0),
            ("dark", 360, 3.0),
        ] {
            browser.prefer(scheme).await;
            browser.resize(width, 900, scale).await;
            browser.open(&server).await;
            let place = format!("{scheme}, {width} pixels, {scale}");
            assert_eq!(violations(&browser, &axe).await, Vec::<Value>::new(), "{place}");
            browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })").await;
            browser.open_graph().await;
            browser.click("pause").await;
            assert_eq!(violations(&browser, &axe).await, Vec::<Value>::new(), "{place}, all open and paused");
            for (list, dialog) in [("peers", "peer"), ("topics", "topic")] {
                browser.run(&format!("document.querySelector('#{list} a').click()")).await;
                browser.until(&format!("return document.getElementById('{dialog}').open")).await;
                assert_eq!(violations(&browser, &axe).await, Vec::<Value>::new(), "{place}, a {dialog}");
                browser.run(&format!("document.getElementById('{dialog}').close()")).await;
            }
        }
        // The page without details is no proof that the rules are applied.
        browser.run("document.documentElement.removeAttribute('lang')").await;
        let found = violations(&browser, &axe).await;
        assert_eq!(found[0][0], json!("html-has-lang"), "{found:?}");
        server.end().await;
        browser.end().await;
    });
}
