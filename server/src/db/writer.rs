//! The single writer. Queued writes are members of one transaction, each with a savepoint of its own (SQLite,
//! "Savepoints"), and share its commit: making a hundred reports durable costs the disk as much as one.
//!
//! A write returns only after the commit. If that fails, all members fail.

use std::sync::{Arc, Weak};
use std::time::Instant;

use buildbtw_telemetry::spawn_named;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::checkpoints::{Checkpointer, Written};
use crate::error;
use crate::metrics::database::DatabaseMetrics;
use crate::time::{Clock, Millis};

/// The maximum number of members of a commit.
const MAX_MEMBERS: usize = 128;

/// The single writer; see the module.
#[derive(Debug)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    batch: Arc<Mutex<Batch>>,
    /// Notified when there is something to commit or to roll back.
    pending: Arc<Notify>,
    /// Cancelled when the committer has ended, also by a panic.
    committer_ended: CancellationToken,
    /// Tells the checkpointer how much was written.
    written: Arc<Written>,
    clock: Clock,
    metrics: DatabaseMetrics,
}

/// The open transaction, and the members that wait for its commit.
#[derive(Debug, Default)]
struct Batch {
    /// `None` after a failure that left its state in doubt.
    connection: Option<SqliteConnection>,
    state: State,
    members: Vec<oneshot::Sender<Result<(), Arc<sqlx::Error>>>>,
}

/// The state of the connection. It is unexpected if the previous member was dropped, failed or cancelled at some
/// await.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// A transaction is being begun or ended.
    InDoubt,
    /// A transaction is open, with what its members did.
    Open,
    /// A member has begun and not ended.
    InMember,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        clock: Clock,
        metrics: DatabaseMetrics,
    ) -> Arc<Self> {
        let batch = Batch {
            connection: Some(connection),
            ..Batch::default()
        };
        let writer = Arc::new(Self {
            options,
            batch: Arc::new(Mutex::new(batch)),
            pending: Arc::default(),
            committer_ended: CancellationToken::new(),
            written: Arc::default(),
            clock,
            metrics,
        });
        spawn_named(
            "committer",
            commit_pending(
                Arc::downgrade(&writer),
                Arc::clone(&writer.pending),
                writer.committer_ended.clone().drop_guard(),
            ),
        );
        writer
    }

    /// Waits until the committer has ended.
    pub(super) async fn committer_ended(&self) {
        self.committer_ended.cancelled().await;
    }

    /// Returns a checkpointer of what this writes. Only one may wait until a checkpoint is due.
    pub(super) fn checkpointer(&self) -> Checkpointer {
        Checkpointer::new(self.options.clone(), Arc::clone(&self.written))
    }

    /// Waits for the earlier members, and becomes the next one.
    pub(super) async fn begin(&self) -> sqlx::Result<WriteTransaction> {
        let asked = Instant::now();
        let batch = Arc::clone(&self.batch).lock_owned().await;
        let since = Instant::now();
        self.metrics.waited(since - asked);
        // If it is dropped at any await from here on, the committer cleans up.
        let mut member = WriteTransaction {
            batch: Some(batch),
            pending: Arc::clone(&self.pending),
            clock: self.clock.clone(),
            since,
            metrics: self.metrics.clone(),
        };
        if let Some(batch) = &mut member.batch {
            batch.undo_unfinished().await;
            batch.open(&self.options).await.inspect_err(|error| {
                if is_locked(error) {
                    self.metrics.locked();
                }
            })?;
            batch.state = State::InMember;
            batch.execute("SAVEPOINT member").await?;
        }
        Ok(member)
    }

    /// Commits the open transaction, then closes the connection.
    pub(super) async fn close(&self) {
        let mut batch = self.batch.lock().await;
        batch.commit().await;
        if let Some(connection) = batch.connection.take() {
            let _ = connection.close().await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.pending.notify_one();
    }
}

/// Queues behind the members of a transaction, and commits it when its turn comes. Drops `_running` at its end, also
/// when it panics.
async fn commit_pending(writer: Weak<Writer>, pending: Arc<Notify>, _running: DropGuard) {
    loop {
        pending.notified().await;
        let parts = writer
            .upgrade()
            .map(|writer| (Arc::clone(&writer.batch), writer.metrics.clone()));
        let Some((batch, metrics)) = parts else {
            return;
        };
        batch.lock().await.commit_measured(&metrics).await;
        if let Some(writer) = writer.upgrade() {
            writer.written.commit();
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
            // The next member starts with a new connection.
            self.connection = None;
            self.state = State::Idle;
            return Err(error);
        }
        self.state = State::Open;
        Ok(())
    }

    /// Rolls back the last member if it did not end.
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
            // "Transactions", section 3), and the savepoint with it. No member may count as committed.
            Err(error) => self.fail(error),
        }
    }

    /// Commits like [`Self::commit`], and records the time, if there is anything to commit.
    async fn commit_measured(&mut self, metrics: &DatabaseMetrics) {
        let (began, has_members) = (Instant::now(), !self.members.is_empty());
        self.commit().await;
        if has_members {
            metrics.committed(began.elapsed());
        }
    }

    /// Makes all members durable and notifies them.
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
                    // A member that no longer waits is durable all the same.
                    let _ = member.send(Ok(()));
                }
            }
            Err(error) => self.fail(error),
        }
    }

    /// Fails all members. Drops the connection, which rolls back the open transaction.
    fn fail(&mut self, error: sqlx::Error) {
        self.connection = None;
        self.state = State::Idle;
        let error = Arc::new(error);
        for member in self.members.drain(..) {
            let _ = member.send(Err(Arc::clone(&error)));
        }
    }
}

/// A write transaction; rolled back when dropped. Functions that change rows take it as a parameter, so that none
/// can bypass it.
#[derive(Debug)]
pub struct WriteTransaction {
    /// `None` after its end.
    batch: Option<OwnedMutexGuard<Batch>>,
    pending: Arc<Notify>,
    clock: Clock,
    /// When its turn began.
    since: Instant,
    metrics: DatabaseMetrics,
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
            // In a task of its own: this future may be dropped, and a commit must not be.
            let metrics = self.metrics.clone();
            spawn_named("full batch", async move {
                batch.commit_measured(&metrics).await;
            });
        }
        // Admits the next member, and queues the committer behind those that wait already.
        drop(self);
        match committed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(sqlx::Error::Io(shared(error))),
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }

    /// Rolls back the changes, and waits until the changes of earlier members are durable. Use it before responding
    /// with what the transaction has read: earlier members might not be committed yet, so that readers do not see
    /// their changes, and their commit may still fail.
    ///
    /// # Errors
    /// When the database cannot be written; the rows that were read might not exist then.
    pub async fn undo(mut self) -> sqlx::Result<()> {
        if let Some(batch) = &mut self.batch {
            batch.execute("ROLLBACK TO member").await?;
        }
        self.commit().await
    }

    /// Returns the current time, for the rows that it changes.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Returns the connection for queries inside the transaction.
    ///
    /// # Panics
    /// Never: only [`Self::commit`] and [`Self::undo`] end it, and consume it.
    #[expect(clippy::expect_used, reason = "see the section about panics")]
    pub fn connection(&mut self) -> &mut SqliteConnection {
        let batch = self.batch.as_mut().expect("not ended");
        batch.connection().expect("not ended")
    }
}

/// Converts the error of a commit for one of its members; a full disk and a locked database stay recognizable.
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
        self.metrics.held(self.since.elapsed());
        self.pending.notify_one();
    }
}

/// Returns whether another process had locked the database.
fn is_locked(error: &sqlx::Error) -> bool {
    error::database_code(error).is_some_and(|code| error::BUSY.contains(&code))
}

#[cfg(test)]
mod tests;
