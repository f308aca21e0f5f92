//! What a user reads about a text that is not a valid identifier, state or address.

use std::fmt::Display;
use std::str::FromStr;

use crate::{
    Architecture, AttemptId, BuildToolName, BuildToolVersion, Changeset, CommitHash, GitRef,
    MergeRequestUrl, NamespaceName, NetworkPolicy, OriginSpec, PackageFileName, PackageVersion,
    Packager, Pkgbase, Pkgname, ProjectId, RepositoryName, Scope, Sha256Digest, TokenId,
    TokenScope, TreeHash, WorkerName,
};

fn error<T>(text: &str) -> String
where
    T: FromStr<Err: Display>,
{
    match text.parse::<T>() {
        Ok(_) => panic!("`{text}` is valid"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_match_snapshot() {
    let errors = [
        error::<Pkgbase>("-lib"),
        error::<Pkgname>("lib greet"),
        error::<PackageVersion>("1.0"),
        error::<PackageFileName>("libgreet.tar"),
        error::<Architecture>("x86-64"),
        error::<GitRef>("a..b"),
        error::<CommitHash>("main"),
        error::<TreeHash>("main"),
        error::<NamespaceName>("My Set"),
        error::<RepositoryName>("a/b"),
        error::<WorkerName>("my worker"),
        error::<Sha256Digest>("0"),
        error::<Packager>("nobody"),
        error::<BuildToolName>("my tool"),
        error::<BuildToolVersion>("1 2"),
        error::<AttemptId>("7"),
        error::<TokenId>("first"),
        error::<ProjectId>("first"),
        error::<Scope>("some"),
        error::<NetworkPolicy>("all"),
        error::<TokenScope>("root"),
        error::<Changeset>("libgreet"),
        error::<OriginSpec>("libgreet"),
        error::<OriginSpec>("https://gitlab.example/packages/libgreet"),
        error::<MergeRequestUrl>("https://gitlab.example/packages/libgreet"),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}
