//! The seccomp filter of everything that runs foreign code. It refuses system calls that builds do not need
//! and that kernel exploits start from, and all ways into a new user namespace.
//!
//! The filter has a table for each architecture of the host: with only one, it would have to kill the
//! 32-bit programs that multilib packages build and run.
//!
//! Without a cgroup, only rlimits limit memory, and they count address space only. The filter then also
//! refuses memory outside any address space: nameless files, and large segments of System V shared memory.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

/// `struct sock_filter` of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const KEEP_BITS: u16 = 0x54;
const RETURN: u16 = 0x06;

// Offsets in `struct seccomp_data`. For an argument, this is the lower half (both machines are
// little-endian), which contains all flags of clone(2) and unshare(2).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;
const THIRD_ARGUMENT: u32 = 32;
const UPPER_HALF: u32 = 4;

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const NOT_PERMITTED: u32 = 0x0005_0000 | libc::EPERM.cast_unsigned();
const NO_SUCH_CALL: u32 = 0x0005_0000 | libc::ENOSYS.cast_unsigned();
/// The error of shmget(2) for a segment above the system's limit.
const TOO_LARGE: u32 = 0x0005_0000 | libc::EINVAL.cast_unsigned();

/// The largest uncounted segment of shared memory. An IPC namespace has up to 4,096 segments.
const MAX_SEGMENT: u32 = 1 << 16;
/// The call number in ipc(2) for shmget(2); the upper half of the argument is a version.
const IPC_SHMGET: u32 = 23;
const IPC_CALL: u32 = 0xffff;

const NEW_USER_NAMESPACE: u32 = libc::CLONE_NEWUSER.cast_unsigned();
/// The bit of x32 calls, which share the architecture of x86-64. All calls above it are x32 calls.
const X32: u32 = 0x4000_0000;

/// The mechanism that limits the memory of the processes behind a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// A cgroup, which counts all memory; or no limit at all.
    Cgroup,
    /// Rlimits, which count the address space of each process.
    Rlimits,
}

/// The system call numbers of one architecture.
struct Table {
    /// `AUDIT_ARCH_…`
    architecture: u32,
    has_x32: bool,
    /// Calls that are always refused.
    refused: &'static [u32],
    /// Calls that are refused if the first argument has the flag for a new user namespace.
    with_flags: [u32; 2],
    /// Takes its flags from memory, which a filter cannot read. With ENOSYS, programs fall back to clone(2).
    clone3: u32,
    /// memfd_create(2) and memfd_secret(2). With ENOSYS, programs fall back to files.
    nameless_files: [u32; 2],
    shmget: u32,
    /// ipc(2), which multiplexes all System V calls.
    ipc: Option<u32>,
}

/// In this order: `add_key request_key keyctl bpf io_uring_setup io_uring_enter io_uring_register userfaultfd
/// perf_event_open kexec_load setns`, and `kexec_file_load` where it exists. setns(2) is always refused: its
/// second argument may be 0, which means any kind of namespace, and no step has the capabilities to enter
/// another kind.
const X86_64: Table = Table {
    architecture: 0xc000_003e,
    has_x32: true,
    refused: &[248, 249, 250, 321, 425, 426, 427, 323, 298, 246, 308, 320],
    with_flags: [56, 272],
    clone3: 435,
    nameless_files: [319, 447],
    shmget: 29,
    ipc: None,
};

const I386: Table = Table {
    architecture: 0x4000_0003,
    has_x32: false,
    refused: &[286, 287, 288, 357, 425, 426, 427, 374, 336, 283, 346],
    with_flags: [120, 310],
    clone3: 435,
    nameless_files: [356, 447],
    shmget: 395,
    ipc: Some(117),
};

const AARCH64: Table = Table {
    architecture: 0xc000_00b7,
    has_x32: false,
    refused: &[217, 218, 219, 280, 425, 426, 427, 282, 241, 104, 268, 294],
    with_flags: [220, 97],
    clone3: 435,
    nameless_files: [279, 447],
    shmget: 194,
    ipc: None,
};

const ARM: Table = Table {
    architecture: 0x4000_0028,
    has_x32: false,
    refused: &[309, 310, 311, 386, 425, 426, 427, 388, 364, 347, 375, 401],
    with_flags: [120, 337],
    clone3: 435,
    nameless_files: [385, 447],
    shmget: 307,
    ipc: None,
};

/// Describes the missing filter of an unsupported architecture.
pub(crate) fn missing() -> Option<String> {
    let machine = std::env::consts::ARCH;
    tables(machine).is_none().then(|| {
        format!("a system call filter for {machine} (there is one for x86_64 and aarch64)")
    })
}

/// Returns a descriptor from which bubblewrap reads the filter of the host.
pub(crate) fn descriptor(memory: Memory) -> io::Result<OwnedFd> {
    let tables = tables(std::env::consts::ARCH).ok_or_else(|| {
        io::Error::other(format!(
            "this machine lacks {}",
            missing().unwrap_or_default()
        ))
    })?;
    let (reader, mut writer) = io::pipe()?;
    // The filter fits into the buffer of a pipe, so this does not block.
    writer.write_all(&bytes(&program(tables, memory)))?;
    Ok(reader.into())
}

fn tables(machine: &str) -> Option<&'static [Table]> {
    match machine {
        "x86_64" => Some(&[X86_64, I386]),
        "aarch64" => Some(&[AARCH64, ARM]),
        _ => None,
    }
}

fn program(tables: &[Table], memory: Memory) -> Vec<Instruction> {
    let mut program = vec![load(ARCHITECTURE)];
    for table in tables {
        let section = section(table, memory);
        // A test checks that sections are short enough for a jump.
        let length = u8::try_from(section.len()).unwrap_or(u8::MAX);
        program.push(jump(JUMP_IF_EQUAL, table.architecture, 0, length));
        program.extend(section);
    }
    program.push(end(KILL));
    program
}

fn section(table: &Table, memory: Memory) -> Vec<Instruction> {
    let mut section = vec![load(NUMBER)];
    if table.has_x32 {
        section.push(jump(JUMP_IF_AT_LEAST, X32, 0, 1));
        section.push(end(NO_SUCH_CALL));
    }
    for number in table.refused {
        section.push(jump(JUMP_IF_EQUAL, *number, 0, 1));
        section.push(end(NOT_PERMITTED));
    }
    section.push(jump(JUMP_IF_EQUAL, table.clone3, 0, 1));
    section.push(end(NO_SUCH_CALL));
    for number in table.with_flags {
        section.push(jump(JUMP_IF_EQUAL, number, 0, 4));
        section.push(load(FIRST_ARGUMENT));
        section.push(jump(JUMP_IF_ANY_BIT, NEW_USER_NAMESPACE, 0, 1));
        section.push(end(NOT_PERMITTED));
        section.push(end(ALLOW));
    }
    if memory == Memory::Rlimits {
        section.extend(block_uncounted_memory(table));
    }
    section.push(end(ALLOW));
    section
}

fn block_uncounted_memory(table: &Table) -> Vec<Instruction> {
    let mut section = Vec::new();
    for number in table.nameless_files {
        section.push(jump(JUMP_IF_EQUAL, number, 0, 1));
        section.push(end(NO_SUCH_CALL));
    }
    section.extend([
        jump(JUMP_IF_EQUAL, table.shmget, 0, 6),
        load(SECOND_ARGUMENT + UPPER_HALF),
        jump(JUMP_IF_EQUAL, 0, 0, 2),
        load(SECOND_ARGUMENT),
        jump(JUMP_IF_AT_LEAST, MAX_SEGMENT + 1, 0, 1),
        end(TOO_LARGE),
        end(ALLOW),
    ]);
    if let Some(ipc) = table.ipc {
        section.extend([
            jump(JUMP_IF_EQUAL, ipc, 0, 7),
            load(FIRST_ARGUMENT),
            jump(KEEP_BITS, IPC_CALL, 0, 0),
            jump(JUMP_IF_EQUAL, IPC_SHMGET, 0, 3),
            load(THIRD_ARGUMENT),
            jump(JUMP_IF_AT_LEAST, MAX_SEGMENT + 1, 0, 1),
            end(TOO_LARGE),
            end(ALLOW),
        ]);
    }
    section
}

fn load(offset: u32) -> Instruction {
    jump(LOAD, offset, 0, 0)
}

fn end(action: u32) -> Instruction {
    jump(RETURN, action, 0, 0)
}

fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        value,
    }
}

fn bytes(program: &[Instruction]) -> Vec<u8> {
    program
        .iter()
        .flat_map(|instruction| {
            let [code_low, code_high] = instruction.code.to_ne_bytes();
            let value = instruction.value.to_ne_bytes();
            [
                code_low,
                code_high,
                instruction.if_true,
                instruction.if_false,
                value[0],
                value[1],
                value[2],
                value[3],
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests;
