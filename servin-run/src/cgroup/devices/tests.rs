//! The program is run here, by an interpreter of those instructions that it uses, and compared with a plain reading
//! of the rules.

use super::*;

/// Executes a program for a request; an instruction that the kernel would refuse fails the test.
fn run(code: &[Instruction], kind: u8, access: u8, major: u32, minor: u32) -> bool {
    let request = [u32::from(access) << 16 | u32::from(kind), major, minor];
    let mut registers = [None::<u64>; 4];
    let mut at = 0;
    loop {
        let Instruction { code: operation, registers: names, offset, immediate } = code[at];
        let (to, from) = (usize::from(names & 15), usize::from(names >> 4));
        at += 1;
        let value = immediate as i64 as u64;
        match operation {
            LOAD_WORD => {
                assert_eq!(from, usize::from(REQUEST));
                registers[to] = Some(request[offset as usize / 4].into());
            }
            AND => registers[to] = Some(registers[to].expect("set") & value),
            RIGHT_SHIFT => registers[to] = Some(registers[to].expect("set") >> value),
            SET => registers[to] = Some(value),
            COPY => registers[to] = Some(registers[from].expect("set")),
            JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL => {
                assert!(offset > 0);
                if (registers[to].expect("set") == value) == (operation == JUMP_IF_EQUAL) {
                    at += offset as usize;
                }
            }
            EXIT => return registers[0].expect("an answer") == 1,
            other => panic!("operation {other:#x}"),
        }
    }
}

/// Each bit by the last rule that speaks of it.
fn plainly(rules: &[Rule], kind: u8, access: u8, major: u32, minor: u32) -> bool {
    [MKNOD, READ, WRITE].into_iter().filter(|bit| access & bit != 0).all(|bit| {
        let speaks = |rule: &&Rule| {
            rule.kind.is_none_or(|k| k == kind)
                && rule.major.is_none_or(|n| n == major)
                && rule.minor.is_none_or(|n| n == minor)
                && rule.access & bit != 0
        };
        rules.iter().rev().find(speaks).is_some_and(|rule| rule.allow)
    })
}

/// A small generator of numbers that only look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as u32 % limit
    }

    fn rule(&mut self) -> Rule {
        Rule {
            allow: self.below(2) == 0,
            kind: [None, Some(BLOCK), Some(CHARACTER)][self.below(3) as usize],
            major: Some(self.below(4)).filter(|&n| n != 0),
            minor: Some(self.below(4)).filter(|&n| n != 0),
            access: 1 + self.below(7) as u8,
        }
    }
}

/// What the verifier wants: no jump out of the program, no instruction that is not reached, an exit at the end.
fn verify(code: &[Instruction]) {
    let mut reached = vec![false; code.len()];
    reached[0] = true;
    for (at, instruction) in code.iter().enumerate() {
        assert!(reached[at], "instruction {at} of {} is not reached", code.len());
        let jumps = matches!(instruction.code, JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL);
        if jumps {
            reached[at + 1 + instruction.offset as usize] = true;
        }
        if instruction.code != EXIT {
            reached[at + 1] = true;
        }
    }
    assert_eq!(code.last().map(|last| last.code), Some(EXIT));
}

#[test]
fn random_rules_mean_what_they_say() {
    let mut dice = Dice(0x5eed_1234_abcd);
    for round in 0..3000 {
        let rules: Vec<Rule> = (0..dice.below(12) + round / 1000).map(|_| dice.rule()).collect();
        let code = assemble(&rules);
        verify(&code);
        for kind in [BLOCK, CHARACTER] {
            for access in 1..=ALL {
                for (major, minor) in [(0, 0), (1, 2), (2, 1), (3, 3)] {
                    assert_eq!(
                        run(&code, kind, access, major, minor),
                        plainly(&rules, kind, access, major, minor),
                        "{rules:?} on {kind} {access} {major}:{minor}"
                    );
                }
            }
        }
    }
}

fn given(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
    let kind = Some(kind.to_owned());
    DeviceRule { allow, kind, major: Some(major), minor: Some(minor), access: Some(access.to_owned()) }
}

#[test]
fn the_defaults_are_allowed_whatever_the_configuration_says() {
    let deny_all = DeviceRule { access: Some("rwm".into()), ..DeviceRule::default() };
    let code = program(&[deny_all.clone(), given(true, "b", 8, -1, "r")]).expect("rules").expect("a program");
    verify(&code);
    assert!(run(&code, CHARACTER, READ | WRITE, 1, 3) && run(&code, CHARACTER, READ | WRITE, 136, 77));
    assert!(
        run(&code, BLOCK, MKNOD, 8, 0) && run(&code, BLOCK, READ, 8, 0) && !run(&code, BLOCK, WRITE, 8, 0)
    );
    assert!(!run(&code, CHARACTER, READ, 1, 1));
    assert!(program(&[]).expect("no rules").is_none());
    // Later rules over earlier ones.
    let code = program(&[given(true, "b", 8, -1, "r"), deny_all]).expect("rules").expect("a program");
    assert!(!run(&code, BLOCK, READ, 8, 0));
}

#[test]
fn hundreds_of_rules_fit_into_the_oldest_kernels() {
    let rules: Vec<DeviceRule> = (0..350).map(|n| given(n % 3 != 0, "c", n, n, "rw")).collect();
    let code = program(&rules).expect("rules").expect("a program");
    verify(&code);
    // BPF_MAXINSNS, the most before Linux 5.2 and for those without CAP_BPF.
    assert!(code.len() <= 4096, "{}", code.len());
}

#[test]
fn bad_rules_are_refused_by_field() {
    for (rule, field) in [
        (given(true, "p", 1, 1, "r"), "type: "),
        (given(true, "c", -2, 1, "r"), "major: "),
        (given(true, "c", 1, 1 << 20, "r"), "minor: "),
        (given(true, "c", 1, 1, "rx"), "access: "),
    ] {
        let error = program(&[DeviceRule::default(), rule]).expect_err("refused").to_string();
        assert!(error.starts_with(&format!("linux.resources.devices[1]: {field}")), "{error}");
    }
}
