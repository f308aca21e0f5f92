//! What builds have to produce, for each step of an attempt in one query: tables `build_output`, `build_release` and
//! `package`.

use buildbtw_model::api::ExpectedPackage;
use buildbtw_model::{
    AttemptId, AttemptStatus, BuildId, NetworkPolicy, PackageFileName, PackageVersion, Pkgbase,
    Pkgname, Sha256Digest,
};
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::TokenId;

/// What the release of a build depends on, apart from the packages of its namespace.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Release {
    /// Whether it is always raised.
    pub is_rebuild: bool,
    /// The versions of its packages in the base repositories when it was planned.
    pub base: Vec<PackageVersion>,
}

/// What a worker is told about a build, besides its row.
#[derive(Clone, Debug)]
pub struct ForWorker {
    /// Its `.SRCINFO`, in the planner's stored form.
    pub parsed: String,
    /// Whether rebuilt packages of its namespace get a release bump.
    pub bump: bool,
    /// The network policy of its namespace.
    pub network: NetworkPolicy,
    /// The packages that it has to produce.
    pub outputs: Json<Vec<ExpectedPackage>>,
    /// What its release depends on; nothing for a build that an older server planned.
    pub release: Option<Json<Release>>,
}

/// Returns what a worker is told about a build.
pub async fn for_worker(
    executor: impl SqliteExecutor<'_>,
    build: BuildId,
) -> sqlx::Result<Option<ForWorker>> {
    sqlx::query_as!(
        ForWorker,
        r#"select srcinfo.parsed as "parsed!", namespace.bump as "bump!: bool",
           namespace.network as "network!: NetworkPolicy", (
               select json_group_array(json_object('name', pkgname, 'architecture', architecture))
               from (
                   select pkgname, architecture from build_output
                   where build_id = build.id order by pkgname
               )
           ) as "outputs!: Json<Vec<ExpectedPackage>>", (
               select json_object('is_rebuild', json(iif(is_rebuild, 'true', 'false')),
                   'base', json(base))
               from build_release where build_id = build.id
           ) as "release?: Json<Release>"
           from build join iteration on iteration.id = build.iteration_id
           join namespace on namespace.id = iteration.namespace_id
           join srcinfo on srcinfo.sha256 = build.srcinfo_sha256
           where build.id = ?"#,
        build,
    )
    .fetch_optional(executor)
    .await
}

/// What the upload of a package is checked against.
#[derive(Clone, Debug)]
pub struct ForUpload {
    /// The token that the attempt was claimed with.
    pub token: TokenId,
    /// The status of the attempt.
    pub status: AttemptStatus,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The packages that the build has to produce.
    pub outputs: Json<Vec<ExpectedPackage>>,
    /// The size of the package of this name that the attempt has uploaded before.
    pub stored_size: Option<u64>,
    /// The digest of that package.
    pub stored_sha256: Option<Sha256Digest>,
}

/// Returns what the upload of a package is checked against.
pub async fn for_upload(
    executor: impl SqliteExecutor<'_>,
    attempt: AttemptId,
    file_name: &PackageFileName,
) -> sqlx::Result<Option<ForUpload>> {
    sqlx::query_as!(
        ForUpload,
        r#"select attempt.token_id as "token!: TokenId", attempt.status as "status!: AttemptStatus",
           build.pkgbase as "pkgbase!: Pkgbase", (
               select json_group_array(json_object('name', pkgname, 'architecture', architecture))
               from (
                   select pkgname, architecture from build_output
                   where build_id = build.id order by pkgname
               )
           ) as "outputs!: Json<Vec<ExpectedPackage>>",
           package.size as "stored_size?: u64", package.sha256 as "stored_sha256?: Sha256Digest"
           from attempt join build on build.id = attempt.build_id
           left join package on package.attempt_id = attempt.id and package.file_name = ?
           where attempt.id = ?"#,
        file_name,
        attempt,
    )
    .fetch_optional(executor)
    .await
}

/// A package that an attempt has uploaded.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Uploaded {
    /// Its file name.
    pub file_name: PackageFileName,
    /// Its name.
    pub pkgname: Pkgname,
    /// Its version.
    pub version: PackageVersion,
    /// Its digest.
    pub sha256: Sha256Digest,
}

/// What the success of an attempt is checked against.
#[derive(Clone, Debug)]
pub struct ForOutcome {
    /// The token that the attempt was claimed with.
    pub token: TokenId,
    /// The status of the attempt.
    pub status: AttemptStatus,
    /// The build.
    pub build: BuildId,
    /// The packages that it has uploaded, by file name.
    pub uploaded: Json<Vec<Uploaded>>,
    /// The packages that the build has to produce.
    pub outputs: Json<Vec<ExpectedPackage>>,
    /// What the release depends on; nothing for a build that an older server planned.
    pub release: Option<Json<Release>>,
}

/// Returns what the success of an attempt is checked against.
pub async fn for_outcome(
    executor: impl SqliteExecutor<'_>,
    attempt: AttemptId,
) -> sqlx::Result<Option<ForOutcome>> {
    sqlx::query_as!(
        ForOutcome,
        r#"select attempt.token_id as "token!: TokenId", attempt.status as "status!: AttemptStatus",
           attempt.build_id as "build!: BuildId", (
               select json_group_array(json_object('file_name', file_name, 'pkgname', pkgname,
                   'version', version, 'sha256', sha256))
               from (
                   select file_name, pkgname, version, sha256 from package
                   where attempt_id = attempt.id order by file_name
               )
           ) as "uploaded!: Json<Vec<Uploaded>>", (
               select json_group_array(json_object('name', pkgname, 'architecture', architecture))
               from (
                   select pkgname, architecture from build_output
                   where build_id = attempt.build_id order by pkgname
               )
           ) as "outputs!: Json<Vec<ExpectedPackage>>", (
               select json_object('is_rebuild', json(iif(is_rebuild, 'true', 'false')),
                   'base', json(base))
               from build_release where build_id = attempt.build_id
           ) as "release?: Json<Release>"
           from attempt where attempt.id = ?"#,
        attempt,
    )
    .fetch_optional(executor)
    .await
}
