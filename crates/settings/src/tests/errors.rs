//! What is wrong with a file.

use super::*;

#[test]
fn explains_invalid_files() {
    for (text, expected) in [
        (
            "\n\njoobs = 2",
            "`FILE`, line 3: unknown setting `joobs`\nhint: did you mean `jobs`?",
        ),
        (
            "no-cgroups = true",
            "`FILE`, line 1: unknown setting `no-cgroups`\nhint: did you mean `no_cgroups`?",
        ),
        (
            "SETTINGS_TEST_JOBS = 2",
            "`FILE`, line 1: unknown setting `SETTINGS_TEST_JOBS`\nhint: did you mean `jobs`?",
        ),
        (
            "colour = 'red'",
            "`FILE`, line 1: unknown setting `colour`\nhint: `program run --help` lists the settings; a flag like \
             --two-words is `two_words` here",
        ),
        (
            "[run]\njobs = 2",
            "`FILE`, line 1: unknown table `run`\nhint: settings are not grouped in tables: write each one as `name = \
             value`",
        ),
        (
            "dry = true",
            "`FILE`, line 1: unknown setting `dry`\nhint: `program run --help` lists the settings; a flag like \
             --two-words is `two_words` here",
        ),
        (
            "jobs = '2'",
            "`FILE`, line 1: `jobs` must be an integer, not a string\nhint: write `jobs = 2`, without quotes",
        ),
        (
            "jobs = 2.5",
            "`FILE`, line 1: `jobs` must be an integer, not a number with fractions\nhint: write a number without \
             fractions and quotes: `jobs = 1`",
        ),
        (
            "jobs = 9",
            "`FILE`, line 1: invalid value `9` of `jobs`: expected a number from 1 to 8\nhint: `program run --help` \
             describes --jobs",
        ),
        (
            "jobs = 99999999999999999999999999999999999999999999",
            "`FILE`, line 1: invalid value `99999999999999999999999999999999999999999999` of `jobs`: expected a number \
             from 1 to 8\nhint: `program run --help` describes --jobs",
        ),
        (
            "no_cgroups = 'yes'",
            "`FILE`, line 1: `no_cgroups` must be true or false, not a string\nhint: write `no_cgroups = true` or \
             `no_cgroups = false`, without quotes",
        ),
        (
            "architectures = 'x86_64, aarch64'",
            "`FILE`, line 1: `architectures` must be a list of strings, not a string\nhint: write `architectures = \
             [\"x86_64\", \"aarch64\"]`",
        ),
        (
            "architectures = [1]",
            "`FILE`, line 1: `architectures` must be a list of strings, not one with other values\nhint: write \
             `architectures = [\"…\", \"…\"]`",
        ),
        (
            "architectures = []",
            "`FILE`, line 1: `architectures` is empty\nhint: name at least one value, or remove `architectures`",
        ),
        (
            "log = 1",
            "`FILE`, line 1: `log` must be a string, not an integer\nhint: write it in quotes: `log = \"1\"`",
        ),
        (
            "data_dir = ''",
            "`FILE`, line 1: `data_dir` is empty\nhint: set a value, or remove `data_dir`",
        ),
        (
            "disk = 'tape'",
            "`FILE`, line 1: invalid value `tape` of `disk`\nhint: set it to one of `auto`, `image`",
        ),
        (
            "token = 'bbtw_secret'",
            "`FILE`, line 1: `token` is not allowed in a configuration file, which must not contain secrets\nhint: \
             write the secret to a file of its own, and its path to `token_file`",
        ),
        (
            "token_file = 'glpat-abcdefghij'",
            "`FILE`, line 1: `token_file` must be the path of a file, not its content\nhint: write the secret to a \
             file of its own, and its path to `token_file`",
        ),
    ] {
        for arguments in [&["run"][..], &["check"]] {
            assert_eq!(error(text, arguments), expected, "{text} {arguments:?}");
        }
    }
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
