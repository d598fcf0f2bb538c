//! This module controls a headless Chromium through chromedriver. If chromedriver is missing, a test prints that it is
//! skipped, or fails if `CI` or `GOSSIPSUB_REQUIRE_BROWSER` is set.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use testkit::{
    http::{connector, send, send_blocking},
    skip::skip,
};
use tokio::sync::{Mutex, MutexGuard};

/// With this environment variable or `CI`, tests fail without a real browser and the tools for it.
pub const REQUIRED: &str = "GOSSIPSUB_REQUIRE_BROWSER";

/// A browser with one window.
pub struct Browser {
    pub client: Client,
    driver: Driver,
    /// At most one browser runs at a time, because each has several processes.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::const_new(());

struct Driver {
    process: Child,
    port: u16,
    session: Option<String>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // After a failed test the browser still runs. The driver ends it with the session.
        if let Some(session) = &self.session {
            // An error means that the browser has already ended.
            let _ = send_blocking("DELETE", &format!("{}/session/{session}", self.address()), &[], None);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// `None` if chromedriver is absent and not required.
    pub async fn start() -> Option<Self> {
        let turn = TURN.lock().await;
        let mut driver = Driver::start()?;
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--window-size=1120,1500"],
        });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let Value::Object(wanted) = wanted else { unreachable!("an object") };
        let client = ClientBuilder::new(connector()).capabilities(wanted).connect(&driver.address()).await;
        let client = client.expect("a session of the browser");
        driver.session = client.session_id().await.expect("asked");
        Some(Self { client, driver, _turn: turn })
    }

    pub async fn end(mut self) {
        self.driver.session = None;
        self.client.clone().close().await.expect("it closes");
    }

    /// The value that the script returns.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The text of an element.
    pub async fn text(&self, id: &str) -> String {
        let found = self.run(&format!("return document.getElementById('{id}').textContent")).await;
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Polls until the script returns true. Fails the test after 30 s.
    pub async fn until(&self, script: &str) {
        for _ in 0..600 {
            if self.run(script).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("still false: {script}\n{}", self.run("return document.body.innerText").await);
    }

    /// The errors and warnings in the console.
    pub async fn errors(&self) -> Vec<String> {
        let log = self.driver.post("se/log", json!({ "type": "browser" })).await;
        let lines = log["value"].as_array().expect("lines").iter();
        let problems = lines.filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        problems.map(|line| line["message"].to_string()).collect()
    }

    /// Sets the preferred colour scheme.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Sets the size of the page in pixels of CSS, and the number of pixels of the screen for each: a window of 1280 pixels at
    /// 200 % has 640 of CSS, each two wide.
    pub async fn resize(&self, width: u32, height: u32, scale: f64) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Sends a command of the DevTools protocol.
    async fn command(&self, name: &str, parameters: Value) {
        let command = json!({ "cmd": name, "params": parameters });
        let answer = self.driver.post("goog/cdp/execute", command).await;
        assert!(answer["value"].get("error").is_none(), "{answer}");
    }

    /// Writes a picture of the window to the folder that `GOSSIPSUB_SCREENSHOTS` names, if it is set.
    pub async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("GOSSIPSUB_SCREENSHOTS") {
            let picture = self.client.screenshot().await.expect("a picture");
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), picture)
                .expect("a writable folder");
        }
    }

    /// The process id of the driver, whose children are those of the browser.
    pub fn process(&self) -> u32 {
        self.driver.process.id()
    }
}

impl Driver {
    fn start() -> Option<Self> {
        // It takes a free port of IPv4, and ends if that port of IPv6 is in use: then it is started again.
        for _ in 0..5 {
            let process = Self::spawn()?;
            if let Some(driver) = Self::of(process) {
                return Some(driver);
            }
        }
        panic!("chromedriver did not print its port");
    }

    fn spawn() -> Option<Child> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        match command.spawn() {
            Ok(process) => Some(process),
            Err(error) => {
                let problem = format!("chromedriver: {error}: install Debian's chromium and chromium-driver");
                skip(REQUIRED, &problem);
                None
            }
        }
    }

    /// `None` if the driver has ended without a port.
    fn of(mut process: Child) -> Option<Self> {
        let stdout = BufReader::new(process.stdout.take().expect("piped"));
        let port = stdout.lines().map_while(Result::ok).find_map(|line| {
            line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
        });
        match port {
            Some(port) => Some(Self { process, port, session: None }),
            None => {
                process.wait().expect("a started process ends");
                None
            }
        }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a command that WebDriver does not define.
    async fn post(&self, path: &str, body: Value) -> Value {
        let session = self.session.as_deref().expect("a session");
        let url = format!("{}/session/{session}/{path}", self.address());
        let answer = send("POST", &url, &[], Some(&body)).await.expect("the driver answers");
        serde_json::from_str(&answer.text).expect("JSON")
    }
}

/// A test that is skipped, for the test below.
#[test]
#[ignore = "started by another test"]
fn a_test_without_its_program() {
    skip("GOSSIPSUB_REQUIRE_NOTHING", "a program is missing");
}

#[test]
fn a_skipped_test_is_visible_though_it_passes() {
    let mut test = Command::new(std::env::current_exe().expect("this program"));
    test.args(["--ignored", "--exact", "http::browser::a_test_without_its_program"]).env_remove("CI");
    let out = test.output().expect("it runs");
    let printed = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && printed.starts_with("SKIPPED: a program is missing"), "{printed}");
    let required = test.env("CI", "1").output().expect("it runs");
    assert!(!required.status.success(), "it is required");
}
