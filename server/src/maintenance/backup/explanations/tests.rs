use super::*;

#[test]
fn explanations_match_snapshot() {
    let (data, target) = (Path::new("data"), Path::new("/srv/backup"));
    let error = io::Error::other("failed to read entire block");
    let (manifest, log) = ("backup.json", data.join("logs/1.log"));
    let damaged = serde_json::from_str::<u32>("x").unwrap_err();
    let explanations = [
        written_to_terminal(),
        read_from_terminal(),
        exists(target),
        not_writable(target, "the folder `/srv` does not exist"),
        temporary_folder_removed(target),
        not_copied(target, anyhow::anyhow!("the disk is full"))
            .downcast()
            .unwrap(),
        target_in_data(target, data),
        source_in_data(target, data),
        data_in_source(data, target),
        not_collected(data, &io::ErrorKind::ReadOnlyFilesystem.into()),
        not_collected(data, &io::ErrorKind::StorageFull.into()),
        not_collected(data, &io::ErrorKind::PermissionDenied.into()),
        database_not_copied(data, &sqlx::Error::WorkerCrashed),
        copy_not_named(Path::new("data/staging/buildbtw.sqlite3")),
        copy_unreadable(&sqlx::Error::WorkerCrashed),
        version_unreadable(&sqlx::Error::RowNotFound),
        archive_not_written(&io::ErrorKind::BrokenPipe.into()),
        archive_not_written(&io::ErrorKind::StorageFull.into()),
        archive_not_written(&error),
        interrupted(),
        is_running(data),
        files_removed(10),
        other_version(),
        not_opened(target, "No such file or directory (os error 2)"),
        unreadable_archive(true, &io::Error::from_raw_os_error(5)),
        unreadable_archive(true, &error),
        unreadable_archive(false, &error),
        unreadable_archive(
            false,
            &io::Error::other("numeric field was not a number: \u{1}"),
        ),
        compressed_archive("gzip"),
        damaged_database("database disk image is malformed"),
        damaged_manifest(manifest, &damaged),
        not_restored(data, not_extracted(&log, io::ErrorKind::StorageFull.into()))
            .downcast()
            .unwrap(),
        not_restored(data, not_durable(data, io::Error::from_raw_os_error(5)))
            .downcast()
            .unwrap(),
        not_restored(data, no_database().into()).downcast().unwrap(),
        foreign_archive("it contains `etc/passwd`"),
        no_file(Path::new("repos/set")),
        foreign_folder(target, manifest),
        foreign_file(target),
        other_format(2, 1, "2.0.0"),
        missing_files(10, 12),
        no_manifest(manifest),
        no_database(),
        not_empty(data, "buildbtw.sqlite3"),
        database_in_use(),
    ];
    let text: Vec<String> = explanations.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n\n"));
}
