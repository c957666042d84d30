//! What installs, schedules and releases the program: those for whom it is made accept it, and a pod can sync.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path, process::Command};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{
    debian,
    lake::Lake,
    pod::{Pod, documents},
    program::{Ended, end, executable, program_without_credentials, run, spawn},
    python,
    sandbox::Sandbox,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CRONJOB: &str = "config/cronjob.yaml";
const WORKFLOW: &str = ".github/workflows/release.yml";

/// What the program prints, in a file of this name.
fn printed(folder: &Path, name: &str, words: &[&str]) -> String {
    let ended = run(program_without_credentials(folder).args(words));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words:?}");
    let file = folder.join(name);
    fs::write(&file, ended.stdout).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Runs another program in the repository.
fn run_there(program: impl AsRef<OsStr>, words: &[&str]) -> Ended {
    end(spawn(Command::new(program).args(words).current_dir(ROOT)))
}

/// Runs a program of Python's environment.
fn judge(program: &str, words: &[&str]) -> Ended {
    run_there(python::of_packaging().with_file_name(program), words)
}

#[track_caller]
fn assert_accepts(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The names in a help's list of commands.
fn commands() -> Vec<String> {
    let help = run(program_without_credentials(Path::new("/")).arg("--help")).stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn bash_completes_a_command_a_flag_and_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let script = printed(folder.path(), "completions", &["completions", "bash"]);
    let complete = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                    \"$(complete -p lumetrade-export | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" \"$1\" \"${@: -1}\" \"${@: -2:1}\"; \
                    printf '%s\\n' \"${COMPREPLY[@]}\"";
    let rows =
        [(&["rec"][..], "reconcile\n"), (&["sync", "--accept"], "--accept-removals\n"), (&["ddl", "at"], "athena\n")];
    for (typed, expected) in rows {
        let words = [&["--norc", "-c", complete, "bash", &script, "lumetrade-export"], typed].concat();
        let ended = run_there("bash", &words);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (expected, ""), "{typed:?}");
    }
}

#[test]
fn zsh_loads_its_completions() {
    debian::need("zsh", "zsh");
    let folder = tempfile::tempdir().unwrap();
    printed(folder.path(), "_lumetrade-export", &["completions", "zsh"]);
    let load = "fpath=($1 $fpath); autoload -U compinit && compinit -D -u && print $_comps[lumetrade-export] \
                && autoload +X -U _lumetrade-export && print $functions[_lumetrade-export]";
    let ended = run_there("zsh", &["-f", "-c", load, "zsh", folder.path().to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert!(ended.stdout.starts_with("_lumetrade-export\n") && ended.stdout.contains("--accept-removals"));
}

#[test]
fn fish_completes_a_command() {
    debian::need("fish", "fish");
    let folder = tempfile::tempdir().unwrap();
    let script = printed(folder.path(), "completions", &["completions", "fish"]);
    let words = ["--no-config", "-c", "source $argv[1]; complete -C 'lumetrade-export rec'", &script];
    let ended = run_there("fish", &words);
    assert!(ended.stdout.starts_with("reconcile\t") && ended.stdout.lines().count() == 1, "{ended:?}");
}

#[test]
fn the_manual_page_is_sound_and_has_a_section_for_every_command() {
    debian::need("groff", "groff-base");
    let folder = tempfile::tempdir().unwrap();
    let page = printed(folder.path(), "lumetrade-export.1", &["man"]);
    let read = run_there("groff", &["-man", "-ww", "-Tascii", "-P-cbou", &page]);
    assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""));
    let text = read.stdout.trim();
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("lumetrade-export(1)") && first.contains("User Commands"), "{first}");
    assert!(
        text.lines().last().unwrap().starts_with(concat!("lumetrade-export ", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(text.contains(&format!("\nlumetrade-export {command}\n ")), "{command}\n{text}");
    }
    assert_eq!(text.matches("\nOPTIONS\n").count(), 1, "{text}");
}

/// Kubernetes refuses what it does not know, so the check must.
#[test]
fn kubernetes_takes_the_cronjob() {
    assert_accepts(&judge("kubernetes-validate", &["--strict", CRONJOB]));
    let mistyped = tempfile::NamedTempFile::new().unwrap();
    fs::write(&mistyped, read(CRONJOB).replace("concurrencyPolicy", "concurencyPolicy")).unwrap();
    let ended = judge("kubernetes-validate", &["--strict", mistyped.path().to_str().unwrap()]);
    assert_ne!(ended.code, Some(0), "{}", ended.stdout);
}

#[test]
fn a_pod_of_the_cronjob_syncs_with_secrets_that_are_its_users_alone() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(7, 30));
    let manifest = read(CRONJOB).replace("api.lumetrade.com", "127.0.0.1");
    let (url, place) = (sandbox.url(), lake.path());
    let arguments = ["--base-url", &url, "--lake", place.to_str().unwrap()];
    // Were the files of a secret taken as they come, the pod would not need copies.
    let without_copies = manifest.replace("\"/run/lumetrade-export/", "\"/run/secrets/lumetrade-export/");
    let refused = Pod::of_cron_job(&without_copies).run(&executable(), lake.folder(), &arguments);
    assert_eq!(refused.code, Some(78), "{}", refused.stderr);
    assert!(refused.stderr.contains("can be read by others (mode 0440)"), "{}", refused.stderr);
    let pod = Pod::of_cron_job(&manifest);
    // A node that begins anew may run it once more.
    for _ in 0..2 {
        let initialized = pod.initialize();
        assert_eq!((initialized.code, initialized.stderr.as_str()), (Some(0), ""));
    }
    assert_accepts(&pod.run(&executable(), lake.folder(), &arguments));
    assert!(lake.path().join("current/trades").is_dir());
}

#[test]
fn the_container_is_the_program_alone_and_not_root() {
    let script = "import json, sys; from dockerfile_parse import DockerfileParser; \
                  print(json.dumps(DockerfileParser(fileobj=open(sys.argv[1], 'rb')).structure))";
    let parsed = judge("python", &["-c", script, "config/Containerfile"]);
    assert_accepts(&parsed);
    let steps: Vec<Value> = serde_json::from_str(&parsed.stdout).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let steps = steps.iter().filter(|step| step["instruction"] == name);
        steps.map(|step| step["value"].as_str().unwrap()).collect()
    };
    let pod = &documents(&read(CRONJOB))[2]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(of("USER"), [format!("{}:{}", pod["runAsUser"], pod["runAsGroup"])]);
    assert_eq!(of("ENTRYPOINT"), ["[\"/usr/local/bin/lumetrade-export\"]"], "without a shell, which is not there");
    assert!(of("RUN").is_empty() && of("ENV").is_empty() && of("ARG").is_empty(), "{steps:?}");
    // What it copies is what `.ci/release` puts into the folder.
    let copied: Vec<_> = of("COPY").iter().map(|copy| copy.split(' ').rev().nth(1).unwrap()).collect();
    assert_eq!(copied, ["lumetrade-export", "LICENSE"]);
}

#[test]
fn the_workflow_is_one_and_has_no_known_weakness() {
    assert_accepts(&judge("check-jsonschema", &["--builtin-schema", "vendor.github-workflows", WORKFLOW]));
    assert_accepts(&judge("zizmor", &["--offline", "--no-progress", WORKFLOW]));
    // An action that its tag alone names is another one tomorrow.
    let loose = tempfile::tempdir().unwrap();
    let file = loose.path().join("release.yml");
    let text = read(WORKFLOW);
    let at = text.find("actions/checkout@").unwrap() + "actions/checkout@".len();
    fs::write(&file, format!("{}v4{}", &text[..at], &text[at + 40..])).unwrap();
    assert_ne!(judge("zizmor", &["--offline", "--no-progress", file.to_str().unwrap()]).code, Some(0));
}

#[test]
fn the_scripts_are_sound() {
    assert_accepts(&judge("shellcheck", &["--enable=all", "--exclude=SC2250,SC2312", ".ci/release", ".ci/run"]));
}

#[test]
fn a_package_is_what_the_program_is_built_from() {
    let listed = run_there(env!("CARGO"), &["package", "--list", "--allow-dirty", "--offline"]);
    assert_accepts(&listed);
    let tops = |paths: &str| -> BTreeSet<String> {
        paths.lines().map(|path| path.split('/').next().unwrap().to_owned()).collect()
    };
    let expected = "Cargo.lock Cargo.toml Cargo.toml.orig LICENSE README.md config schemas src".replace(' ', "\n");
    let found: BTreeSet<_> = tops(&listed.stdout).into_iter().filter(|top| top != ".cargo_vcs_info.json").collect();
    assert_eq!(found, tops(&expected));
}

#[test]
fn the_licence_is_the_one_that_is_declared_to_the_letter() {
    // As https://www.apache.org/licenses/LICENSE-2.0.txt has it.
    const APACHE_2_0: &str = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30";
    assert_eq!(env!("CARGO_PKG_LICENSE"), "Apache-2.0");
    assert_eq!(hex::encode(Sha256::digest(read("LICENSE"))), APACHE_2_0);
}

#[test]
fn the_changelog_begins_with_this_version() {
    let changelog = read(".github/CHANGELOG.md");
    let first = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert_eq!(first, env!("CARGO_PKG_VERSION"));
}
