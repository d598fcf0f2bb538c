//! What the commands that print one thing do when it can't be written.

use std::{fs, path::PathBuf, process::Stdio};

use super::{
    file,
    process::{binary, finish, run},
};

/// The commands that print one thing, each with files of its own.
fn commands(test: &str) -> Vec<Vec<String>> {
    let path = |name: &str| {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{name}"));
        let _ = fs::remove_file(&path);
        path.to_str().unwrap().to_owned()
    };
    let (new, other, init) = (path("new.key"), path("other.key"), path("init.toml"));
    assert_eq!(run(&["key", "new", &other]).code, Some(0));
    let checked = file(&format!("{test}-checked.toml"), "");
    let checked = checked.to_str().unwrap();
    let commands: [&[&str]; 5] = [
        &["key", "new", &new],
        &["key", "show", &other],
        &["init", &init],
        &["init", "-"],
        &["check-config", checked],
    ];
    commands.iter().map(|command| command.iter().map(|&part| part.to_owned()).collect()).collect()
}

/// Runs a command whose standard output is `out`. Returns its exit code and standard error.
fn run_into(command: &[String], out: impl Into<Stdio>) -> (Option<i32>, String) {
    let arguments: Vec<_> = command.iter().map(String::as_str).collect();
    let out = finish(binary(&arguments).stdout(out));
    (out.code, out.stderr)
}

#[test]
fn output_that_can_t_be_written_is_a_failure_with_a_text() {
    for command in commands("full") {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let expected = "error: can't write to standard output: No space left on device (os error 28)\n";
        assert_eq!(run_into(&command, full), (Some(1), expected.to_owned()), "{command:?}");
    }
}

/// Who closes the pipe has what it wanted.
#[test]
fn a_closed_pipe_is_no_failure() {
    for command in commands("closed") {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(run_into(&command, writer), (Some(0), String::new()), "{command:?}");
    }
}

/// Nothing can be reported without standard error, and nothing depends on it.
#[test]
fn warnings_that_can_t_be_written_are_no_failure() {
    let path = file("warnings.toml", "[http]\nadmin_token_file = \"t\"\n");
    let mut command = binary(&["check-config", path.to_str().unwrap()]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = command.stdout(Stdio::piped()).stderr(full).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(0), &b"ok\n"[..]));
}
