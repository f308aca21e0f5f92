use super::*;

/// Returns the kernel's verdict on a system call under a filter program.
fn run(program: &[Instruction], architecture: u32, number: u32, argument: u32) -> u32 {
    run_with(program, architecture, number, [argument.into(), 0, 0])
}

fn run_with(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 3]) -> u32 {
    let (mut position, mut accumulator) = (0, 0);
    let half = |offset: u32| {
        let [argument, half] = [(offset - FIRST_ARGUMENT) / 8, offset / 4 % 2];
        let argument = arguments[usize::try_from(argument).unwrap()];
        u32::try_from(argument >> (32 * half) & u64::from(u32::MAX)).unwrap()
    };
    loop {
        let instruction = program[position];
        position += 1;
        let value = instruction.value;
        let holds = match instruction.code {
            RETURN => return value,
            LOAD => {
                accumulator = match value {
                    NUMBER => number,
                    ARCHITECTURE => architecture,
                    other => half(other),
                };
                continue;
            }
            KEEP_BITS => {
                accumulator &= value;
                continue;
            }
            JUMP_IF_EQUAL => accumulator == value,
            JUMP_IF_AT_LEAST => accumulator >= value,
            JUMP_IF_ANY_BIT => accumulator & value != 0,
            other => panic!("no instruction {other}"),
        };
        position += usize::from(if holds {
            instruction.if_true
        } else {
            instruction.if_false
        });
    }
}

#[test]
fn applies_syscall_table_of_the_architecture() {
    for (machine, names) in [("x86_64", [X86_64, I386]), ("aarch64", [AARCH64, ARM])] {
        let program = program(tables(machine).unwrap(), Memory::Cgroup);
        for table in names {
            let answer = |number, argument| run(&program, table.architecture, number, argument);
            let all = 0..450;
            for number in all.filter(|number| *number != table.clone3) {
                let takes_flags = table.with_flags.contains(&number);
                let expected = |refused| if refused { NOT_PERMITTED } else { ALLOW };
                let refused = table.refused.contains(&number);
                assert_eq!(answer(number, 0), expected(refused), "{number}");
                let refused = refused || takes_flags;
                assert_eq!(answer(number, u32::MAX), expected(refused), "{number}");
                let without = !NEW_USER_NAMESPACE;
                assert_eq!(answer(number, without) == ALLOW, !refused || takes_flags);
            }
            assert_eq!(answer(table.clone3, 0), NO_SUCH_CALL);
        }
    }
}

#[test]
fn blocks_unaccounted_memory() {
    for (machine, names) in [("x86_64", [X86_64, I386]), ("aarch64", [AARCH64, ARM])] {
        let program = program(tables(machine).unwrap(), Memory::Rlimits);
        for table in names {
            let answer =
                |number, arguments| run_with(&program, table.architecture, number, arguments);
            for number in table.nameless_files {
                assert_eq!(answer(number, [0; 3]), NO_SUCH_CALL);
            }
            for (size, expected) in [
                (0, ALLOW),
                (1 << 16, ALLOW),
                ((1 << 16) + 1, TOO_LARGE),
                (800 << 20, TOO_LARGE),
                (1 << 32, TOO_LARGE),
                (u64::MAX, TOO_LARGE),
            ] {
                assert_eq!(answer(table.shmget, [1, size, 0]), expected, "{size}");
                let Some(ipc) = table.ipc.filter(|_| u32::try_from(size).is_ok()) else {
                    continue;
                };
                for call in [23, 23 | 1 << 16] {
                    assert_eq!(answer(ipc, [call, 1, size]), expected, "{size}");
                }
                // msgget(2), which fakeroot uses.
                assert_eq!(answer(ipc, [13, size, size]), ALLOW);
            }
            assert_eq!(answer(table.clone3, [0; 3]), NO_SUCH_CALL);
            assert_eq!(answer(table.refused[0], [0; 3]), NOT_PERMITTED);
            assert_eq!(answer(table.with_flags[0], [17, 0, 0]), ALLOW);
            assert_eq!(answer(1, [0; 3]), ALLOW);
        }
    }
}

#[test]
fn blocks_x32_calls_and_kills_unknown_architectures() {
    let program = program(tables("x86_64").unwrap(), Memory::Cgroup);
    for number in [X32, X32 | 250, X32 | 1, u32::MAX] {
        assert_eq!(run(&program, X86_64.architecture, number, 0), NO_SUCH_CALL);
    }
    for architecture in [0, AARCH64.architecture, ARM.architecture, 0xc000_0016] {
        assert_eq!(run(&program, architecture, 1, 0), KILL);
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn matches_syscall_numbers_of_the_c_library() {
    let native = &tables(std::env::consts::ARCH).unwrap()[0];
    let numbers = |calls: &[libc::c_long]| -> Vec<u32> {
        let number = |call: &libc::c_long| u32::try_from(*call).unwrap();
        calls.iter().map(number).collect()
    };
    let refused = [
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
        libc::SYS_kexec_load,
        libc::SYS_setns,
        libc::SYS_kexec_file_load,
    ];
    assert_eq!(native.refused, numbers(&refused));
    let with_flags = [libc::SYS_clone, libc::SYS_unshare];
    assert_eq!(native.with_flags.to_vec(), numbers(&with_flags));
    assert_eq!(vec![native.clone3], numbers(&[libc::SYS_clone3]));
    let nameless = [libc::SYS_memfd_create, libc::SYS_memfd_secret];
    assert_eq!(native.nameless_files.to_vec(), numbers(&nameless));
    assert_eq!(vec![native.shmget], numbers(&[libc::SYS_shmget]));
}

#[test]
fn encodes_filters_in_kernel_layout() {
    let bytes = bytes(&[jump(JUMP_IF_EQUAL, 0x0102_0304, 5, 6)]);
    let (code, value) = (0x15_u16.to_ne_bytes(), 0x0102_0304_u32.to_ne_bytes());
    assert_eq!(bytes, [&code[..], &[5, 6], &value].concat());
    for machine in ["x86_64", "aarch64"] {
        let tables = tables(machine).unwrap();
        let section = |table| section(table, Memory::Rlimits);
        assert!(tables.iter().all(|table| section(table).len() < 256));
        assert!(super::bytes(&program(tables, Memory::Rlimits)).len() < 4096);
    }
    assert!(tables("riscv64").is_none());
}
