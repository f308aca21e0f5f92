//! Git objects that decompress to far more than was pushed: they are reported, not read.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use buildbtw_model::api::ProblemKind;

use crate::support::{Srcinfo, TestServer, git, new_namespace, refusal, run};

const LARGE: usize = 100 << 20;

/// Passes input to a program; returns its output.
fn piped(command: &mut Command, input: impl FnOnce(&mut dyn std::io::Write)) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    input(&mut child.stdin.take().unwrap());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn object(repository: &Path, kind: &str, content: &[u8]) -> String {
    let mut command = git(repository);
    command.args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"]);
    piped(&mut command, |input| input.write_all(content).unwrap())
}

fn move_ref(repository: &Path, name: &str, id: &str) {
    // Git itself would read the object to check it.
    let path = repository.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, format!("{id}\n")).unwrap();
}

fn tree_of(repository: &Path) -> String {
    piped(git(repository).args(["rev-parse", "main^{tree}"]), |_| {})
}

fn commit(tree: &str, message: usize) -> Vec<u8> {
    let head = format!("tree {tree}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n");
    let mut content = head.into_bytes();
    content.resize(content.len() + message, b'a');
    content
}

/// Waits until a repository is broken, and checks that its reason contains all of these texts.
async fn expect_refused(server: &TestServer, name: &str, expected: &[&str]) {
    let source = server
        .source_that(name, "broken", |source| source.problem.is_some())
        .await;
    let problem = source.problem.unwrap();
    for word in expected.iter().chain(&[name]) {
        assert!(problem.contains(word), "{name}: {problem}");
    }
}

#[tokio::test]
async fn checks_size_of_objects_before_reading_them() {
    let mut commits = Vec::new();
    let server = TestServer::start(|sources| {
        for name in ["commit", "tree", "tag"] {
            sources.push(&Srcinfo::new(name, "1-1"));
            let path = sources.path(name);
            let tree = tree_of(&path);
            let id = match name {
                "commit" => object(&path, "commit", &commit(&tree, LARGE)),
                "tree" => {
                    let mut content = Vec::with_capacity(LARGE);
                    for number in 0..LARGE / 40 {
                        write!(content, "100644 {number:011}\0").unwrap();
                        content.extend_from_slice(&[7; 20]);
                    }
                    let tree = object(&path, "tree", &content);
                    object(&path, "commit", &commit(&tree, 0))
                }
                _ => {
                    let commit = sources.commit_of(name, "main");
                    let tag =
                        format!("object {commit}\ntype commit\ntag t\ntagger a <a> 1 +0000\n\n");
                    let content = [tag.into_bytes(), vec![b'a'; LARGE]].concat();
                    object(&path, "tag", &content)
                }
            };
            let place = if name == "tag" {
                "refs/tags/t"
            } else {
                "refs/heads/main"
            };
            move_ref(&path, place, &id);
            commits.push(id);
        }
    })
    .await;
    expect_refused(&server, "commit", &["1048576", &commits[0]]).await;
    expect_refused(&server, "tree", &["1048576", "tree"]).await;
    let refused = server
        .admin()
        .create_namespace(&new_namespace(&["tag/t"]))
        .await;
    let refused = refusal(refused);
    assert_eq!(refused.kind, ProblemKind::BrokenSource, "{refused:?}");
    let detail = refused.detail.unwrap();
    for word in ["1048576", &commits[2], "`tag`"] {
        assert!(detail.contains(word), "{detail}");
    }
    // Objects of ordinary size are built.
    server.namespace("fine", &["tag/main"]).await;
}

/// Adds the header of a pack's entry: its kind and size (gitformat-pack(5)).
fn entry(pack: &mut Vec<u8>, kind: u8, size: usize) {
    let mut rest = size >> 4;
    let mut byte = kind << 4 | u8::try_from(size & 15).unwrap();
    while rest > 0 {
        pack.push(byte | 0x80);
        byte = u8::try_from(rest & 0x7f).unwrap();
        rest >>= 7;
    }
    pack.push(byte);
}

fn number(delta: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        delta.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    delta.push(u8::try_from(value).unwrap());
}

fn deflate(content: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    flate2::read::ZlibEncoder::new(content, flate2::Compression::fast())
        .read_to_end(&mut compressed)
        .unwrap();
    compressed
}

/// Builds a pack with a large object and a small one stored as a delta of it.
fn pack(base: &[u8], small: &[u8]) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x02".to_vec();
    let first = pack.len();
    entry(&mut pack, 1, base.len());
    pack.extend(deflate(base));
    let distance = pack.len() - first;
    let mut delta = Vec::new();
    number(&mut delta, base.len());
    number(&mut delta, small.len());
    for part in small.chunks(127) {
        delta.push(u8::try_from(part.len()).unwrap());
        delta.extend_from_slice(part);
    }
    entry(&mut pack, 6, delta.len());
    // The distance to the base, most significant digits first, each but the last one minus one.
    let mut digits = vec![u8::try_from(distance & 0x7f).unwrap()];
    let mut rest = distance >> 7;
    while rest > 0 {
        rest -= 1;
        digits.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    digits.reverse();
    pack.extend(digits);
    pack.extend(deflate(&delta));
    let sum = piped(&mut Command::new("sha1sum"), |input| {
        input.write_all(&pack).unwrap();
    });
    for index in 0..20 {
        pack.push(u8::from_str_radix(&sum[2 * index..2 * index + 2], 16).unwrap());
    }
    pack
}

#[tokio::test]
async fn does_not_read_small_delta_of_large_object() {
    let mut id = String::new();
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("delta", "1-1"));
        let path = sources.path("delta");
        let tree = tree_of(&path);
        let small = commit(&tree, 1);
        let pack = pack(&commit(&tree, LARGE), &small);
        assert!(pack.len() < 2_800_000, "{}", pack.len());
        let mut command = git(&path);
        command.args(["index-pack", "--stdin"]);
        piped(&mut command, |input| input.write_all(&pack).unwrap());
        let mut command = git(&path);
        command.args(["hash-object", "-t", "commit", "--stdin"]);
        id = piped(&mut command, |input| input.write_all(&small).unwrap());
        run(git(&path).args(["cat-file", "-e", &id]));
        move_ref(&path, "refs/heads/main", &id);
    })
    .await;
    expect_refused(&server, "delta", &["33554432", &id]).await;
}

#[tokio::test]
async fn limits_length_of_tag_chains() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("chain", "1-1"));
        let path = sources.path("chain");
        let mut id = sources.commit_of("chain", "main").to_string();
        for (number, kind) in (0..40).zip(std::iter::once("commit").chain(std::iter::repeat("tag")))
        {
            let tag = format!("object {id}\ntype {kind}\ntag t{number}\ntagger a <a> 1 +0000\n\n");
            id = object(&path, "tag", tag.as_bytes());
            move_ref(&path, &format!("refs/tags/t{number}"), &id);
        }
    })
    .await;
    server.namespace("near", &["chain/t5"]).await;
    let far = server
        .admin()
        .create_namespace(&new_namespace(&["chain/t39"]))
        .await;
    let far = refusal(far);
    assert_eq!(far.kind, ProblemKind::BrokenSource, "{far:?}");
}
