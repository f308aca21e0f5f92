//! The one writer. Writes that queue behind each other are members of one transaction, each between
//! savepoints of its own (SQLite, "Savepoints"), and share its commit: making a hundred reports
//! durable costs the disk as much as one.
//!
//! Nobody is told that a write is done before the commit is. If that fails, all members fail.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};
use tokio::task::AbortHandle;

use crate::error;

/// A commit does not wait for more members than this.
const MAX_MEMBERS: usize = 128;

/// About as many as fill the thousand pages at which SQLite itself would copy.
const COMMITS_PER_CHECKPOINT: u32 = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    batch: Arc<Mutex<Batch>>,
    /// There is something to commit, or to roll back.
    pending: Arc<Notify>,
    /// Commits since the last checkpoint.
    written: Arc<Written>,
    checkpointer: AbortHandle,
}

/// Tells the checkpointer how much there is to do.
#[derive(Debug, Default)]
struct Written {
    commits: AtomicU32,
    many: Notify,
}

impl Written {
    fn commit(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed) + 1 == COMMITS_PER_CHECKPOINT {
            self.many.notify_one();
        }
    }
}

/// The open transaction and those who wait for its commit.
#[derive(Debug, Default)]
struct Batch {
    /// Nothing after a failure that left its state in doubt.
    connection: Option<SqliteConnection>,
    state: State,
    members: Vec<oneshot::Sender<Result<(), Arc<sqlx::Error>>>>,
}

/// What the connection is in the middle of. Whoever finds another state than it should be left by
/// the one before, which was dropped, failed or cancelled at some await.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// A transaction is being begun or ended.
    InDoubt,
    /// A transaction is open, with what its members did.
    Open,
    /// A member has begun, and not ended.
    InMember,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection, options: SqliteConnectOptions) -> Arc<Self> {
        let batch = Batch {
            connection: Some(connection),
            ..Batch::default()
        };
        let written = Arc::default();
        let checkpointer = tokio::spawn(checkpoint(options.clone(), Arc::clone(&written)));
        let writer = Arc::new(Self {
            options,
            batch: Arc::new(Mutex::new(batch)),
            pending: Arc::default(),
            written,
            checkpointer: checkpointer.abort_handle(),
        });
        tokio::spawn(commit_pending(
            Arc::downgrade(&writer),
            Arc::clone(&writer.pending),
        ));
        writer
    }

    /// Waits for the members before, and becomes the next one.
    pub(super) async fn begin(&self) -> sqlx::Result<WriteTransaction> {
        let batch = Arc::clone(&self.batch).lock_owned().await;
        // Dropped at any await from here on, it lets the committer clean up.
        let mut member = WriteTransaction {
            batch: Some(batch),
            pending: Arc::clone(&self.pending),
        };
        if let Some(batch) = &mut member.batch {
            batch.undo_unfinished().await;
            batch.open(&self.options).await?;
            batch.state = State::InMember;
            batch.execute("SAVEPOINT member").await?;
        }
        Ok(member)
    }

    /// Commits what is open, then closes the connection.
    pub(super) async fn close(&self) {
        self.checkpointer.abort();
        let mut batch = self.batch.lock().await;
        batch.commit().await;
        if let Some(connection) = batch.connection.take() {
            let _ = connection.close().await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.checkpointer.abort();
        self.pending.notify_one();
    }
}

/// Queues behind the members of a transaction and commits it when its turn comes.
async fn commit_pending(writer: Weak<Writer>, pending: Arc<Notify>) {
    loop {
        pending.notified().await;
        let Some(batch) = writer.upgrade().map(|writer| Arc::clone(&writer.batch)) else {
            return;
        };
        batch.lock().await.commit().await;
        if let Some(writer) = writer.upgrade() {
            writer.written.commit();
        }
    }
}

/// Copies the write-ahead log into the database from time to time, beside the commits (SQLite,
/// "Write-Ahead Logging", section 2.3.2). What it leaves is copied when the database is closed, or by the
/// next run.
async fn checkpoint(options: SqliteConnectOptions, written: Arc<Written>) {
    let mut connection = None;
    loop {
        written.many.notified().await;
        written.commits.store(0, Ordering::Relaxed);
        let mut own = match connection.take() {
            Some(own) => own,
            None => match options.connect().await {
                Ok(own) => own,
                Err(_) => continue,
            },
        };
        match sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut own)
            .await
        {
            Ok(_) => connection = Some(own),
            Err(error) => {
                tracing::warn!(%error, "cannot checkpoint the database's write-ahead log; will retry")
            }
        }
    }
}

impl Batch {
    fn connection(&mut self) -> sqlx::Result<&mut SqliteConnection> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    async fn execute(&mut self, statement: &'static str) -> sqlx::Result<()> {
        sqlx::query(statement).execute(self.connection()?).await?;
        Ok(())
    }

    async fn open(&mut self, options: &SqliteConnectOptions) -> sqlx::Result<()> {
        if self.state == State::Open {
            return Ok(());
        }
        if self.connection.is_none() {
            self.connection = Some(options.connect().await?);
        }
        self.state = State::InDoubt;
        if let Err(error) = self.execute("BEGIN IMMEDIATE").await {
            // Whatever is wrong with it, the next one begins with another.
            self.connection = None;
            self.state = State::Idle;
            return Err(error);
        }
        self.state = State::Open;
        Ok(())
    }

    /// Undoes what the last member did if it did not come to its end.
    async fn undo_unfinished(&mut self) {
        let undone = match self.state {
            State::Idle | State::Open => return,
            State::InMember => match self.execute("ROLLBACK TO member").await {
                Ok(()) => self.execute("RELEASE member").await,
                Err(error) => Err(error),
            },
            State::InDoubt => Err(sqlx::Error::WorkerCrashed),
        };
        match undone {
            Ok(()) => self.state = State::Open,
            // Errors such as a full disk make SQLite roll back the whole transaction (SQLite,
            // "Transactions", section 3), the savepoint with it. Nothing of it may be taken for done.
            Err(error) => self.fail(error),
        }
    }

    /// Makes all members durable and tells them.
    async fn commit(&mut self) {
        self.undo_unfinished().await;
        if self.state != State::Open {
            return;
        }
        self.state = State::InDoubt;
        let statement = if self.members.is_empty() {
            "ROLLBACK"
        } else {
            "COMMIT"
        };
        match self.execute(statement).await {
            Ok(()) => {
                self.state = State::Idle;
                for member in self.members.drain(..) {
                    // Whoever waited may be gone; what it wrote is durable all the same.
                    let _ = member.send(Ok(()));
                }
            }
            Err(error) => self.fail(error),
        }
    }

    /// Gives the transaction up. The connection goes with it: closing it rolls back whatever is open.
    fn fail(&mut self, error: sqlx::Error) {
        self.connection = None;
        self.state = State::Idle;
        let error = Arc::new(error);
        for member in self.members.drain(..) {
            let _ = member.send(Err(Arc::clone(&error)));
        }
    }
}

/// A write transaction; rolled back when dropped. Functions that change something take it, so that
/// nothing can bypass it.
#[derive(Debug)]
pub struct WriteTransaction {
    /// Nothing after its end.
    batch: Option<OwnedMutexGuard<Batch>>,
    pending: Arc<Notify>,
}

impl WriteTransaction {
    /// Makes the changes durable.
    ///
    /// # Errors
    /// When the database cannot be written; nothing was changed then.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        let Some(batch) = &mut self.batch else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        batch.execute("RELEASE member").await?;
        batch.state = State::Open;
        let (member, committed) = oneshot::channel();
        batch.members.push(member);
        if batch.members.len() >= MAX_MEMBERS
            && let Some(mut batch) = self.batch.take()
        {
            // In a task of its own: whoever waits here may be dropped, and a commit must not be.
            tokio::spawn(async move { batch.commit().await });
        }
        // Lets the next one in, and the committer behind those that wait already.
        drop(self);
        match committed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(sqlx::Error::Io(shared(error))),
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }

    /// Undoes the changes, and waits until what it has seen of others is durable. Whoever answers by
    /// what a transaction has seen ends it so: the members before may not be committed yet, so that
    /// readers do not see what they did, and their commit may still fail.
    ///
    /// # Errors
    /// When the database cannot be written; what was seen may not be there then.
    pub async fn undo(mut self) -> sqlx::Result<()> {
        if let Some(batch) = &mut self.batch {
            batch.execute("ROLLBACK TO member").await?;
        }
        self.commit().await
    }

    /// For queries inside the transaction.
    ///
    /// # Panics
    /// Never: only [`Self::commit`] and [`Self::undo`] end it, and consume it.
    #[expect(clippy::expect_used, reason = "see the section about panics")]
    pub fn connection(&mut self) -> &mut SqliteConnection {
        let batch = self.batch.as_mut().expect("not ended");
        batch.connection().expect("not ended")
    }
}

/// The error of a commit for one of its members; a full disk and a locked database stay recognisable.
fn shared(error: Arc<sqlx::Error>) -> std::io::Error {
    let kind = match error::database_code(&error) {
        Some(error::FULL) => std::io::ErrorKind::StorageFull,
        Some(code) if error::BUSY.contains(&code) => std::io::ErrorKind::ResourceBusy,
        _ => std::io::ErrorKind::Other,
    };
    std::io::Error::new(kind, error)
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        self.batch = None;
        self.pending.notify_one();
    }
}

#[cfg(test)]
mod tests;
