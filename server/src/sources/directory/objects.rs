//! Reads git objects within limits. Anyone with push access controls their content, and a few megabytes of a push
//! may unpack to any size.

use gix::object::Kind;

use super::error::{GitError, unreadable};

/// The maximum size of a commit, tag or tree. Those of source repositories are a hundred times smaller.
const MAX_OBJECT: u64 = 1 << 20;
/// The maximum memory for reading one object, with the objects that its deltas refer to.
const MAX_MEMORY: u64 = 32 << 20;
/// The maximum length of a delta chain; git creates none that is longer (pack.depth).
const MAX_DELTAS: u32 = 4_095;
/// The maximum length of a chain of tags.
const MAX_TAGS: usize = 10;

/// Returns the setting that limits the allocations for an object.
pub(super) fn memory_limit() -> String {
    format!("gitoxide.objects.allocLimit={MAX_MEMORY}")
}

/// Follows tags to their commit.
pub(super) fn peel<'a>(
    repository: &'a gix::Repository,
    mut id: gix::ObjectId,
    what: &str,
) -> Result<gix::Commit<'a>, GitError> {
    for _ in 0..=MAX_TAGS {
        let object = read(repository, id, what)?;
        if object.kind != Kind::Tag {
            return object.try_into_commit().map_err(unreadable(what));
        }
        let tag = object.try_into_tag().map_err(unreadable(what))?;
        id = tag.target_id().map_err(unreadable(what))?.detach();
    }
    let name = name_of(repository);
    let text = format!("{what} of `{name}` is behind a chain of more than {MAX_TAGS} tags");
    Err(GitError::Broken(text))
}

/// Reads a commit, tag or tree.
pub(super) fn read<'a>(
    repository: &'a gix::Repository,
    id: gix::ObjectId,
    what: &str,
) -> Result<gix::Object<'a>, GitError> {
    let header = repository.find_header(id).map_err(unreadable(what))?;
    let kind = header.kind();
    let refused = |why: String| {
        let name = name_of(repository);
        GitError::Broken(format!("cannot read {what}: {kind} {id} of `{name}` {why}"))
    };
    if kind == Kind::Blob {
        return Err(refused("is not a commit, tag or tree".to_owned()));
    }
    if header.size() > MAX_OBJECT {
        let size = header.size();
        return Err(refused(format!(
            "has {size} bytes, the limit is {MAX_OBJECT}"
        )));
    }
    find(repository, id, &header, what)
}

/// Reads a file whose size the caller has checked.
pub(super) fn read_blob(
    repository: &gix::Repository,
    id: gix::ObjectId,
    what: &str,
) -> Result<Vec<u8>, GitError> {
    let header = repository.find_header(id).map_err(unreadable(what))?;
    Ok(find(repository, id, &header, what)?.detach().data)
}

fn find<'a>(
    repository: &'a gix::Repository,
    id: gix::ObjectId,
    header: &gix::odb::find::Header,
    what: &str,
) -> Result<gix::Object<'a>, GitError> {
    let name = name_of(repository);
    if header
        .num_deltas()
        .is_some_and(|deltas| deltas > MAX_DELTAS)
    {
        let text = format!(
            "cannot read {what}: object {id} of `{name}` is stored as a chain of more than {MAX_DELTAS} deltas"
        );
        return Err(GitError::Broken(text));
    }
    repository.find_object(id).map_err(|error| {
        let what = format!("{what}, object {id} of `{name}`, within {MAX_MEMORY} bytes");
        unreadable(what)(error)
    })
}

/// Returns the name of a repository for messages.
fn name_of(repository: &gix::Repository) -> String {
    let path = repository.workdir().unwrap_or_else(|| repository.path());
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
