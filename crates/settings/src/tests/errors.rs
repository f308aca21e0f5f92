//! What is wrong with a file.

use super::*;

#[test]
fn errors_match_snapshot() {
    let texts = [
        "\n\njoobs = 2",
        "no-cgroups = true",
        "SETTINGS_TEST_JOBS = 2",
        "colour = 'red'",
        "[run]\njobs = 2",
        "dry = true",
        "jobs = '2'",
        "jobs = 2.5",
        "jobs = 9",
        "jobs = 99999999999999999999999999999999999999999999",
        "no_cgroups = 'yes'",
        "architectures = 'x86_64, aarch64'",
        "architectures = [1]",
        "architectures = []",
        "log = 1",
        "data_dir = ''",
        "disk = 'tape'",
        "token = 'bbtw_secret'",
        "token_file = 'glpat-abcdefghij'",
        "listen = 8080",
        "grace = true",
        "data_dir = true",
        "grace = 'soon'",
    ];
    let errors = texts.map(|text| {
        let message = error(text, &["run"]);
        assert_eq!(error(text, &["check"]), message, "{text}");
        format!("## {}\n{message}", text.trim())
    });
    insta::assert_snapshot!(errors.join("\n\n"));
}

#[test]
fn explains_texts_that_are_not_toml() {
    for text in ["jobs", "jobs = ", "jobs = 1\njobs = 2", "log = info", "= 1"] {
        let message = error(text, &["run"]);
        assert!(message.starts_with("`FILE`, line "), "{text}: {message}");
        assert!(
            message.contains("\nhint: settings are lines like"),
            "{text}: {message}"
        );
        assert_eq!(message.lines().count(), 2, "{text}: {message}");
    }
}

#[test]
fn explains_files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program {
        command: "run",
        default_file: "/nonexistent/program.toml",
    };
    let parse = |arguments: &[&str]| {
        let arguments = ["program", "run"]
            .iter()
            .chain(arguments)
            .map(OsString::from);
        match parse::<Cli>(&program, arguments) {
            Ok(parsed) => Ok(parsed.file.is_some()),
            Err(Failure::File(explanation)) => Err(explanation.to_string()),
            Err(Failure::Usage(error)) => panic!("{error}"),
        }
    };
    // The default file need not exist.
    assert_eq!(parse(&[]), Ok(false));
    assert_eq!(parse(&["--config", "/dev/null"]), Ok(true));
    let message = parse(&["--config", "/nonexistent/other.toml"]).unwrap_err();
    let expected =
        "cannot read the configuration file `/nonexistent/other.toml`: No such file or directory";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("\nhint: create it"), "{message}");
    let path = folder.path().to_str().unwrap();
    let message = parse(&["--config", path]).unwrap_err();
    assert!(
        message.contains("Is a directory") && message.contains("\nhint: "),
        "{message}"
    );
    let binary = folder.path().join("binary.toml");
    fs_err::write(&binary, [0xff, 0xfe]).unwrap();
    let message = parse(&["--config", binary.to_str().unwrap()]).unwrap_err();
    assert!(message.contains("it is not UTF-8 text"), "{message}");
}
