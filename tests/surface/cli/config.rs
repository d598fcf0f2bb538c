//! The configuration: the file, the environment and the flags, and what errors and warnings say.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::{
    file, get,
    process::{Process, binary, finish, run},
};

/// The file that `init` writes.
fn template() -> String {
    let out = run(&["init", "-"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    out.stdout
}

/// The topics that a node joins.
fn joined(config: &str, variables: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
    let path = file("precedence.toml", config);
    let arguments =
        [&["node", "--json", "--seconds", "0", "--config", path.to_str().unwrap()], flags].concat();
    let out = finish(binary(&arguments).envs(variables.iter().copied()));
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let summary: Value = serde_json::from_str(out.stdout.lines().last().unwrap()).unwrap();
    summary["mesh"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_file_that_init_writes_is_accepted_and_not_overwritten() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("init.toml");
    let _ = fs::remove_file(&path);
    let path = path.to_str().unwrap();
    assert_eq!(run(&["init", path]).code, Some(0));
    assert_eq!(fs::read_to_string(path).unwrap(), template());
    let out = run(&["check-config", path]);
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), "ok\n", ""));
    assert_eq!(run(&["init", path]).code, Some(1));
    assert_eq!(run(&["init", "--force", path]).code, Some(0));
}

#[test]
fn each_example_of_the_file_that_init_writes_is_accepted() {
    let template = template();
    let lines: Vec<_> = template.lines().collect();
    let is_example = |line: &str| line.starts_with("# ") && line.contains(" = ") && !line.contains(". ");
    let examples: Vec<_> = (0..lines.len()).filter(|index| is_example(lines[*index])).collect();
    assert!(examples.len() >= 6, "{examples:?}");
    for index in examples {
        let example = &lines[index][2..];
        // The file of an example does not exist, and a peer id is abbreviated.
        if example.starts_with("file =") || example.contains("12D3KooW...") {
            continue;
        }
        let with_example: Vec<_> =
            lines.iter().enumerate().map(|(at, line)| if at == index { example } else { line }).collect();
        let path = file("example.toml", &with_example.join("\n"));
        let out = run(&["check-config", path.to_str().unwrap()]);
        assert_eq!(out.code, Some(0), "{example}: {}", out.stderr);
    }
}

/// The options in the help of `node`, each with its whole text.
fn options_of_node() -> Vec<String> {
    let help = run(&["node", "--help"]).stdout;
    let mut options: Vec<String> = Vec::new();
    for line in help.lines() {
        if line.trim_start().starts_with("--") {
            options.push(String::new());
        } else if !line.starts_with(' ') {
            continue;
        }
        if let Some(option) = options.last_mut() {
            option.push_str(line.trim());
            option.push(' ');
        }
    }
    options
}

#[test]
fn every_flag_states_its_default_and_its_key() {
    let template: toml::Table = toml::from_str(&template()).unwrap();
    let text = self::template();
    let (mut keys, switches) = (BTreeSet::new(), ["--config", "--json"]);
    for option in options_of_node() {
        if switches.iter().any(|switch| option.starts_with(switch)) {
            continue;
        }
        assert!(option.contains("[default: "), "{option}");
        if let Some((_, key)) = option.split_once("[key: ") {
            keys.insert(key.split(']').next().unwrap().to_owned());
        }
    }
    assert_eq!(keys.len(), 18, "{keys:?}");
    for key in keys.iter().filter(|key| key.contains('.')) {
        let (section, name) = key.split_once('.').unwrap();
        assert!(template.contains_key(section), "{key}");
        assert!(text.contains(&format!("\n{name} = ")) || text.contains(&format!("\n# {name} = ")), "{key}");
    }
}

#[test]
fn flags_are_over_variables_and_variables_over_the_file() {
    let config = "[topics]\njoin = [\"file\"]";
    let variables = [("GOSSIPSUB_TOPICS__JOIN", "one, two")];
    assert_eq!(joined(config, &[], &[]), ["file"]);
    assert_eq!(joined(config, &variables, &[]), ["one", "two"]);
    let set = ["--set", "topics.join=[\"with, comma\"]"];
    assert_eq!(joined(config, &variables, &set), ["with, comma"]);
    assert_eq!(joined(config, &variables, &[&set[..], &["--topic", "flag"]].concat()), ["flag"]);
    // Variables that Kubernetes sets for a service are not ours.
    assert_eq!(joined(config, &[("GOSSIPSUB_PORT", "tcp://10.0.0.1:80")], &[]), ["file"]);
}

#[test]
fn rules_are_checked_when_all_sources_are_joined() {
    let variables = [("GOSSIPSUB_LIMITS__DEGREE_LOW", "7"), ("GOSSIPSUB_LIMITS__DEGREE_OPTIMAL", "8")];
    assert_eq!(
        joined("[limits]\ndegree_high = 7\n", &variables, &["--topic", "t", "--set", "limits.degree_high=9"]),
        ["t"]
    );
}

#[test]
fn values_that_no_node_can_use_are_refused() {
    let text =
        format!("[network]\nmax_frame_out = 100\n[topics]\njoin = [\"\", \"{}\"]\n", "x".repeat(1_025));
    let out = run(&["check-config", file("unusable.toml", &text).to_str().unwrap()]);
    assert_eq!(out.code, Some(2));
    for expected in [
        "network.max_frame_out = 100: must be from 32768 to 16777216",
        "unusable.toml, line 2)",
        "topics.join = a topic of 0 bytes: must have names of 1 to 1024 bytes",
        "topics.join = a topic of 1025 bytes",
    ] {
        assert!(out.stderr.contains(expected), "{expected}: {}", out.stderr);
    }
}

#[test]
fn each_error_names_its_source() {
    let path = file("sources.toml", "[limits]\n\ndegree_low = 9\n[limits.bounds]\nmax_input_items = 0\n");
    let config = path.to_str().unwrap();
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 9] = [
        (&["--config", config], &[], "degree_low = 9: must be at most degree_optimal (6) ("),
        (&["--config", config], &[], "sources.toml, line 3)"),
        (&["--config", config], &[], "sources.toml, line 5)"),
        (
            &[],
            &[("GOSSIPSUB_LIMITS__DEGREE_LOW", "9")],
            "degree_low = 9: must be at most degree_optimal (6) (environment variable GOSSIPSUB_LIMITS__DEGREE_LOW)",
        ),
        (
            &[],
            &[("GOSSIPSUB_NETWORK__LISEN", "x")],
            "environment variable GOSSIPSUB_NETWORK__LISEN: unknown field `lisen`: did you mean `listen`?",
        ),
        (
            &["--set", "limits.bounds.max_input_itms=1"],
            &[],
            "option --set limits.bounds.max_input_itms: unknown field `max_input_itms`: did you mean `max_input_items`?",
        ),
        (&["--set", "limits.degree_low=many"], &[], "expected a whole number, at least 0"),
        (&["--set", "limits.degree_low=9"], &[], "(option --set limits.degree_low)"),
        (&["--limits", "no/such/file"], &[], "option --limits: no/such/file: can't be read"),
    ];
    for (flags, variables, expected) in cases {
        let out =
            finish(binary(&[&["node", "--topic", "t"], flags].concat()).envs(variables.iter().copied()));
        assert_eq!(out.code, Some(2), "{flags:?} {variables:?}");
        assert!(out.stderr.contains(expected), "{expected}: {}", out.stderr);
    }
}

#[test]
fn mistakes_of_a_file_have_a_caret_and_a_near_name() {
    let cases = [
        (
            "[netwrk]\n",
            "line 1, column 2: unknown field `netwrk`: did you mean `network`?\n  |\n1 | [netwrk]\n  |  ^^^^^^\n",
        ),
        ("[http]\nlisen = 1\n", "line 2, column 1: unknown field `lisen`"),
        ("[network]\nlisten = [\"/ip4/1.2.3.4/tp/1\"]\n", "line 2, column 11: unknown protocol string: tp"),
        ("[limits]\npreset = \"tezos-dl\"\n", "unknown variant `tezos-dl`: did you mean `tezos-dal`?"),
        (
            "[limits.bounds]\nmax_input_itms = 1\n",
            "line 2, column 1: unknown field `max_input_itms`: did you mean `max_input_items`?",
        ),
        ("[log]\nformat = \"jsn\"\n", "unknown variant `jsn`: did you mean `json`?"),
        ("[log\n", "line 1, column 5"),
    ];
    for (text, expected) in cases {
        let out = run(&["check-config", file("mistake.toml", text).to_str().unwrap()]);
        assert_eq!(out.code, Some(2), "{text}");
        assert!(out.stderr.contains(expected), "{text}: {}", out.stderr);
    }
}

/// The limits in force of a node that was started with these flags.
fn limits(flags: &[&str]) -> Value {
    let mut node =
        Process::start(&[&["node", "--json", "--topic", "t", "--http", "127.0.0.1:0"], flags].concat());
    let lines = node.until("serving", 1);
    let url =
        lines.iter().find(|line| line["event"] == "serving").unwrap()["url"].as_str().unwrap().to_owned();
    let (_, limits) = get(&url, "/p2p/gossipsub/parameters", None);
    node.terminate();
    serde_json::from_str(&limits).unwrap()
}

#[test]
fn a_preset_is_named_or_given_as_a_file_in_any_of_three_ways() {
    let dal = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/tezos-dal.toml");
    let dal = dal.to_str().unwrap();
    let named = limits(&["--preset", "tezos-dal"]);
    assert_eq!(named["max_topics_per_peer"], 65_536);
    assert_eq!(named["bounds"]["reconnect_interval_ticks"], 15);
    assert_eq!(limits(&["--config", dal]), named);
    assert_eq!(limits(&["--limits", dal]), named);
    let text = format!("[limits]\nfile = {dal:?}\ndegree_low = 4\n");
    let with_change = limits(&["--config", file("by-file.toml", &text).to_str().unwrap()]);
    assert_eq!((&with_change["degree_low"], &with_change["do_px"]), (&4.into(), &true.into()));
    // A flag replaces the file that the file names, and not the values that it sets.
    let path = file("by-file.toml", &text);
    let replaced = limits(&["--config", path.to_str().unwrap(), "--preset", "filecoin"]);
    assert_eq!((&replaced["degree_low"], &replaced["max_topics_per_peer"]), (&4.into(), &1_024.into()));
}

#[test]
fn a_preset_changes_what_the_file_leaves_out_of_the_network() {
    let check = |name: &str, text: &str| run(&["check-config", file(name, text).to_str().unwrap()]);
    let out = check("format.toml", "[limits]\npreset = \"ethereum\"\n");
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    let out = check("signed.toml", "[limits]\npreset = \"ethereum\"\n[network]\nsigning = \"strict\"\n");
    let expected = "network.signing = strict: must be none if network.message_format is ethereum";
    assert!(out.code == Some(2) && out.stderr.contains(expected), "{}", out.stderr);
}

#[test]
fn what_the_limits_do_not_fit_is_a_warning_at_the_start() {
    let topics: Vec<_> = (0..5_000).map(|number| format!("t{number}")).collect();
    let text = format!("[network]\nmax_frame_out = 98304\n[topics]\njoin = {topics:?}\n");
    let path = file("unfit.toml", &text);
    let path = path.to_str().unwrap();
    let expected = [
        "topics.join has 5000 topics, and limits.max_topics_per_peer is 1024: peers with this limit ignore 3976",
        "network.max_frame_out is 98304: rust-libp2p closes the stream of a larger frame than 65536 bytes",
    ];
    for out in [run(&["check-config", path]), run(&["node", "--config", path, "--seconds", "0"])] {
        assert_eq!(out.code, Some(0), "{}", out.stderr);
        for warning in expected {
            assert!(out.stderr.contains(warning), "{}", out.stderr);
        }
    }
    let out = run(&["check-config", file("factor.toml", "gossip_factor = 7.5\n").to_str().unwrap()]);
    assert!(
        out.stderr.contains("limits.gossip_factor is 7.5: it is a fraction, and counts as 1"),
        "{}",
        out.stderr
    );
    // A message that can't be sent is refused at the start.
    let out = run(&["node", "--topic", "t", "--publish", "1", "--size", "98304"]);
    assert_eq!(out.code, Some(2));
    assert!(out.stderr.contains("--size 98304: a message of this size can't be sent"), "{}", out.stderr);
}
