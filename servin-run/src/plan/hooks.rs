//! `hooks`: what can be wrong with them ([config.md, POSIX-platform
//! Hooks](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#posix-platform-hooks)).

use alloc::string::String;

use crate::error::{Error, Result};
use crate::spec::{Hook, Hooks};

/// Checks every hook of every kind.
pub fn plan(hooks: Option<&Hooks>) -> Result<Hooks> {
    let Some(hooks) = hooks else { return Ok(Hooks::default()) };
    let kinds: [(&str, &[Hook]); 6] = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (kind, hooks) in kinds {
        for (index, hook) in hooks.iter().enumerate() {
            check(hook).map_err(|error| error.within(format_args!("hooks.{kind}[{index}]")))?;
        }
    }
    Ok(hooks.clone())
}

fn check(hook: &Hook) -> Result<()> {
    if !hook.path.starts_with('/') {
        return Err(Error::new(format_args!("path: \"{}\" is not an absolute path", hook.path)));
    }
    if let Some(seconds) = hook.timeout.filter(|seconds| *seconds <= 0) {
        return Err(Error::new(format_args!("timeout: {seconds} is not more than 0")));
    }
    let holds_nul = |text: &String| text.contains('\0');
    if holds_nul(&hook.path) || hook.args.iter().any(holds_nul) || hook.env.iter().any(holds_nul) {
        return Err(Error::new("holds a NUL byte"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_hook_is_refused_by_its_place() {
        let refused = |hook: Hook| {
            let hooks = Hooks {
                poststop: [Hook { path: "/a".into(), ..Hook::default() }, hook].into(),
                ..Hooks::default()
            };
            plan(Some(&hooks)).expect_err("refused").to_string()
        };
        let hook = Hook { path: "bin/a".into(), ..Hook::default() };
        assert_eq!(refused(hook), "hooks.poststop[1]: path: \"bin/a\" is not an absolute path");
        let hook = Hook { path: "/a".into(), timeout: Some(0), ..Hook::default() };
        assert_eq!(refused(hook), "hooks.poststop[1]: timeout: 0 is not more than 0");
        let hook = Hook { path: "/a".into(), args: ["\0".into()].into(), ..Hook::default() };
        assert_eq!(refused(hook), "hooks.poststop[1]: holds a NUL byte");
        assert!(plan(None).is_ok());
    }
}
