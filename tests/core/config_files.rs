//! These tests check that the files in `config` equal the presets in the code, are valid, and are unchanged by a round
//! trip through serialization.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use actix_gossipsub::limits::{Limits, LimitsConfig, TopicScoreLimits, TopicScores};

/// Files in `config` that do not contain limits.
const OTHER_FILES: [&str; 0] = [];

fn presets() -> BTreeMap<String, LimitsConfig> {
    BTreeMap::from([
        ("default".into(), LimitsConfig::default()),
        ("ethereum".into(), LimitsConfig::ethereum()),
        ("filecoin".into(), LimitsConfig::filecoin()),
        ("tezos-dal".into(), LimitsConfig::tezos_dal()),
    ])
}

/// The text of each toml file in `config`, by its name without extension.
fn files() -> BTreeMap<String, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_limits = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".toml") && !OTHER_FILES.contains(&name)
    };
    paths
        .filter(|path| is_limits(path))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_preset_has_its_file_and_every_file_its_preset() {
    assert!(presets().keys().eq(files().keys()), "{:?}", files().keys());
}

#[test]
fn every_file_equals_its_preset() {
    let presets = presets();
    for (name, text) in files() {
        let read: LimitsConfig = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, presets[&name], "{name}");
    }
}

/// The files document all parameters. Topics are not checked: a file may leave out the parameters of topics that are not
/// scored.
#[test]
fn every_file_names_every_parameter() {
    let files = files();
    for (name, preset) in presets() {
        let full = toml::Table::try_from(&preset).unwrap();
        let file: toml::Table = toml::from_str(&files[&name]).unwrap();
        for section in ["", "score", "extensions", "bounds"] {
            let names = |table: &toml::Table| -> BTreeSet<String> {
                let table = if section.is_empty() { table } else { table[section].as_table().unwrap() };
                table.keys().cloned().collect()
            };
            assert_eq!(names(&file), names(&full), "{name}, [{section}]");
        }
    }
}

#[test]
fn every_preset_is_valid() {
    for (name, preset) in presets() {
        Limits::try_from(preset).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_preset_is_unchanged_by_serialization() {
    for (name, preset) in presets() {
        let text = toml::to_string(&preset).unwrap();
        assert_eq!(toml::from_str::<LimitsConfig>(&text).unwrap(), preset, "{name}: {text}");
        let text = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<LimitsConfig>(&text).unwrap(), preset, "{name}: {text}");
    }
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(toml::from_str::<LimitsConfig>("").unwrap(), LimitsConfig::default());
}

#[test]
fn a_file_changes_only_the_parameters_it_contains() {
    let text = r#"
        degree_optimal = 8
        heartbeat_interval = "700ms"
        [score]
        topic_score_cap = 40
        [score.topics]
        kind = "single"
        [score.topics.parameters]
        time_in_mesh_weight = 2
    "#;
    let parameters = TopicScoreLimits::default().with(|t| t.time_in_mesh_weight = 2.0);
    let expected = LimitsConfig::default().with(|c| {
        c.degree_optimal = 8;
        c.heartbeat_interval = Duration::from_millis(700);
        c.score.topics = TopicScores::Single { parameters };
        c.score.topic_score_cap = Some(40.0);
    });
    assert_eq!(toml::from_str::<LimitsConfig>(text).unwrap(), expected);
}

/// Each text with a part that its error must contain, so that the author finds the error.
#[test]
fn unknown_and_malformed_fields_are_rejected() {
    let rejected = [
        ("degree_optimum = 6", "degree_optimum"),
        ("degree_optimal = -6", "degree_optimal"),
        ("degree_optimal = 6.5", "degree_optimal"),
        ("heartbeat_interval = 1000", "heartbeat_interval"),
        ("heartbeat_interval = \"-1s\"", "heartbeat_interval"),
        ("heartbeat_interval = \"1 fortnight\"", "heartbeat_interval"),
        ("[bounds]\nmax_inputs = 1", "max_inputs"),
        ("[score]\nweight = 1.0", "weight"),
        ("[score]\ntopic_score_cap = \"no\"", "topic_score_cap"),
        ("[score.topics]\nkind = \"many\"", "many"),
        ("[score.topics]\nkind = \"single\"\ndefault_weight = 1.0", "default_weight"),
        ("[score.topics]\nkind = \"single\"\n[score.topics.parameters]\ntime_weight = 1.0", "time_weight"),
    ];
    for (text, part) in rejected {
        let error = toml::from_str::<LimitsConfig>(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}
